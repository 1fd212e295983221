"""The forms of ``fold_fresh`` and ``fold_records`` in Python, the specification."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sessiontrace.model.record import EVENT, Record
from sessiontrace.store.folding import DecodedRecord, EventState, SessionState, decode, fold
from sessiontrace.store.sqlite.fresh.event_row import COLUMNS, Row, event_row

__all__ = ["fold_fresh", "fold_records", "record_of"]


def fold_fresh(record: DecodedRecord, session: SessionState) -> Row:
    """Add an event to its session, and return its row.

    ``record``: of the kind EVENT, and the only one of its event so far.
    """
    events: dict[str, EventState] = {}
    fold(record, {session.session_id: session}, events)
    return event_row(events[record.event["event_id"]])


def record_of(row: Row) -> DecodedRecord:
    """The record of an event that ``outlines`` made a row of."""
    record = decode(Record(EVENT, b"*", row[COLUMNS.index("body")].encode()))
    assert isinstance(record, DecodedRecord)
    return record


def fold_records(
    records: Iterable[DecodedRecord | Row],
    sessions: dict[str, SessionState],
    events: dict[str, EventState],
    repeated: Collection[str],
) -> list[Row | EventState]:
    """Fold the records into the states; returns those of events that are new, in their order.

    ``repeated``: the events of which there are several records.
    """
    added: list[Row | EventState] = []
    for entry in records:
        record = entry if isinstance(entry, DecodedRecord) else record_of(entry)
        event_id = record.event["event_id"]
        if record.kind == EVENT and event_id not in events and event_id not in repeated:
            session_id = record.event["session_id"]
            if (session := sessions.get(session_id)) is None:
                session = sessions[session_id] = SessionState(session_id)
            added.append(fold_fresh(record, session))
            continue
        is_new = event_id not in events
        fold(record, sessions, events)
        if is_new and event_id in events:
            added.append(events[event_id])
    return added
