"""The form of ``fold_fresh`` in Python, which is the specification; see ``fresh_event``."""

from __future__ import annotations

from sessiontrace.store.folding import DecodedRecord, EventState, SessionState, fold
from sessiontrace.store.sqlite.fresh.event_row import Row, event_row

__all__ = ["fold_fresh"]


def fold_fresh(record: DecodedRecord, session: SessionState) -> Row:
    """Add an event to its session, and return its row.

    ``record``: of the kind EVENT, and the only one of its event so far.
    """
    events: dict[str, EventState] = {}
    fold(record, {session.session_id: session}, events)
    return event_row(events[record.event["event_id"]])
