"""What several commands need of the store: opening it, and finding the session that is meant.

Reads only, and makes no file. Invariant: an id that fits no session, or more than one, is told in
one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from sessiontrace.cli.render.format import amount, printable
from sessiontrace.store.models import SessionQuery, StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.vendors.local.destination import default_store

__all__ = ["db_option", "find_session", "open_store", "whole"]

_LAST = "last"

db_option = click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The store's file (SESSIONTRACE_STORE, else in the user's data directory).",
)


def whole(store: Store, stored: StoredSession) -> dict[str, Any]:
    """A session with the whole records of its steps, as plain values."""
    return {
        "summary": attrs.asdict(stored.summary),
        "session": stored.record,
        "events": [store.event(event.event_id) for event in stored.events],
        "omitted": stored.omitted,
    }


def open_store(db: Path | None) -> SqliteStore:
    """The store to read: the one named, else the default."""
    return SqliteStore((db or default_store()).expanduser().absolute(), read_only=True)


def find_session(store: Store, session_id: str) -> StoredSession:
    """The session of this id, or the one whose id begins so, or the latest for "last"."""
    stored = store.session(session_id.lower())
    if stored is not None:
        return stored
    if session_id == _LAST:
        found = [one.session_id for one in store.sessions(SessionQuery(limit=1)).sessions]
    else:
        found = list(store.ids_with_prefix(session_id)) if session_id else []
    if not found:
        raise click.ClickException(
            f"no session starts with {printable(session_id, 60)!r}; "
            "`sessiontrace sessions list` shows those that are here"
        )
    if len(found) > 1:
        listed = "\n  ".join(found)
        raise click.ClickException(f"{amount(len(found), 'session')} or more match:\n  {listed}")
    stored = store.session(found[0])
    if stored is None:
        raise click.ClickException("the session was removed from the store meanwhile")
    return stored
