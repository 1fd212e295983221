"""Finding the session that an argument ``ID`` means, with or without its records.

Reads only. Invariant: an id that fits no session, or more than one, is an error that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from sessiontrace.model.errors import SessionTraceError
from sessiontrace.store.models import SessionQuery, StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.session_ids import exact_session, ids_for
from sessiontrace.text.format import amount, day_or_time, printable

__all__ = ["LATEST", "LookupFailedError", "find_session", "with_records"]

LATEST = "last"
"""The word for the session that was active last."""

_HINT = "`sessiontrace sessions list` shows the stored sessions"


class LookupFailedError(SessionTraceError):
    """No stored session or step fits a text, or several do; the message says what to do.

    ``reason`` holds no recorded text; ``choices`` are recorded names, or with ``as_lines`` lines
    with such names.
    """

    def __init__(self, reason: str, choices: Sequence[str] = (), *, as_lines: bool = True) -> None:
        if as_lines:
            text = "\n  ".join((f"{reason}:" if choices else reason, *choices))
        else:
            text = f"{reason} {', '.join(choices)}"
        super().__init__(text)
        self.reason = reason
        self.choices = choices


def find_session(store: Store, session_id: str, hint: str = _HINT) -> StoredSession:
    """The session of this id, or the only one whose id has this prefix, or the latest.

    The id may be ours, in any case, or the application's own. ``hint``: where to look for ids.
    Raises ``LookupFailedError``.
    """
    stored = exact_session(store, session_id)
    if stored is not None:
        return stored
    if session_id == LATEST:
        latest = store.sessions(SessionQuery(limit=1)).sessions
        ids = [summary.session_id for summary in latest]
    else:
        ids = list(ids_for(store, session_id))
    if not ids:
        raise LookupFailedError(f"no session starts with {printable(session_id, 60)!r}; {hint}")
    if len(ids) > 1:
        raise LookupFailedError(
            f"{amount(len(ids), 'session')} or more start with {printable(session_id, 60)!r}; "
            "use a longer prefix",
            [_line(store, match) for match in ids],
        )
    stored = store.session(ids[0])
    if stored is None:
        raise LookupFailedError(f"session {printable(ids[0])} was deleted a moment ago")
    return stored


def _line(store: Store, session_id: str) -> str:
    """What tells a session from others with a similar id."""
    stored = store.session(session_id, 1)
    if stored is None:
        return session_id
    summary = stored.summary
    name = printable(summary.name or "unnamed session", 40)
    return f"{session_id}  {name}  {day_or_time(summary.last_active)}"


def with_records(store: Store, stored: StoredSession) -> dict[str, Any]:
    """The session with the whole records of its steps and its judgements, as plain values."""
    return {
        "summary": stored.summary.as_json(),
        "session": stored.record,
        "events": [store.event(event.event_id) for event in stored.events],
        "omitted": stored.omitted,
        "judgements": [
            attrs.asdict(judgement) for judgement in store.judgements(stored.summary.session_id)
        ],
    }
