"""Deletes events for a caller, and sessions that are too old or too many.

Runs on the thread that writes. Invariant: the totals of a session are the sums over its events, and
a session is deleted whole, with its events and search documents.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sessiontrace.store.sqlite import rows

__all__ = ["forget", "trim"]

_PAGES_BACK = 2_000


def forget(connection: sqlite3.Connection, event_ids: Sequence[str]) -> int:
    """Delete events and subtract them from the totals of their sessions."""
    with rows.transaction(connection):
        events = rows.load_events(connection, set(event_ids))
        sessions = rows.load_sessions(connection, {event.session_id for event in events.values()})
        for event in events.values():
            sessions[event.session_id].remove_event(event)
        for session in sessions.values():
            session.summarize()
        rows.store_sessions(connection, sessions.values())
        connection.executemany(
            "DELETE FROM events WHERE event_id = ?", [(event_id,) for event_id in events]
        )
    return len(events)


def trim(
    connection: sqlite3.Connection, before: int | None, most_bytes: int | None, sessions: int
) -> int:
    """Delete the oldest sessions, and return the file's free pages, some at a time."""
    with rows.transaction(connection):
        old: list[tuple[int]] = []
        if before is not None:
            old = connection.execute(
                "SELECT id FROM sessions WHERE written < ? ORDER BY written LIMIT ?",
                (before, sessions),
            ).fetchall()
        if not old and most_bytes is not None and (share := _excess(connection, most_bytes)) > 0:
            total = connection.execute("SELECT count(*) FROM sessions").fetchone()[0]
            old = connection.execute(
                "SELECT id FROM sessions ORDER BY written LIMIT ?",
                (max(1, min(sessions, round(total * share))),),
            ).fetchall()
        connection.executemany("DELETE FROM sessions WHERE id = ?", old)
    if old:
        # Each step of this statement frees one page, and ``execute`` takes one step only.
        connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_BACK})")
    return len(old)


def _excess(connection: sqlite3.Connection, most_bytes: int) -> float:
    """The share of the stored bytes that exceeds the limit."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    used = (pages - free) * size
    return float((used - most_bytes) / used) if used > most_bytes else 0.0
