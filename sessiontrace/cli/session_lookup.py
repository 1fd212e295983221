"""Finding the session that an argument ``ID`` means, with or without its records.

Reads only. Invariant: an id that fits no session, or more than one, is an error that says so.
"""

from __future__ import annotations

from typing import Any

import attrs
import click

from sessiontrace.cli.render.format import amount, printable
from sessiontrace.store.models import SessionQuery, StoredSession
from sessiontrace.store.protocol import Store

__all__ = ["LATEST", "find_session", "with_records"]

LATEST = "last"
"""The word for the session that started last."""


def find_session(store: Store, session_id: str) -> StoredSession:
    """The session of this id, or the only one whose id has this prefix, or the latest.

    UUIDs are stored in lower case; a caller's own id may have capital letters.
    """
    stored = store.session(session_id) or store.session(session_id.lower())
    if stored is not None:
        return stored
    if session_id == LATEST:
        latest = store.sessions(SessionQuery(limit=1)).sessions
        ids = [summary.session_id for summary in latest]
    else:
        prefixes = dict.fromkeys((session_id, session_id.lower())) if session_id else {}
        ids = [match for prefix in prefixes for match in store.ids_with_prefix(prefix)]
    if not ids:
        raise click.ClickException(
            f"no session starts with {printable(session_id, 60)!r}; "
            "`sessiontrace sessions list` shows the stored sessions"
        )
    if len(ids) > 1:
        lines = "\n  ".join(ids)
        raise click.ClickException(
            f"{amount(len(ids), 'session')} or more start with {printable(session_id, 60)!r}; "
            f"use a longer prefix:\n  {lines}"
        )
    stored = store.session(ids[0])
    if stored is None:
        raise click.ClickException(f"session {ids[0]} was deleted a moment ago")
    return stored


def with_records(store: Store, stored: StoredSession) -> dict[str, Any]:
    """The session with the whole records of its steps, as plain values."""
    return {
        "summary": attrs.asdict(stored.summary),
        "session": stored.record,
        "events": [store.event(event.event_id) for event in stored.events],
        "omitted": stored.omitted,
    }
