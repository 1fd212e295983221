"""Deletes events for a caller, and sessions that are too old or too many.

Runs on the thread that writes. Invariant: the totals of a session are the sums over its events, and
a session is deleted whole, with its events, search documents and the media that
no other session refers to.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence

import attrs

from sessiontrace.store import loss_reports, retention
from sessiontrace.store.media.files import MediaFiles
from sessiontrace.store.models import Document, Erased, Overdue
from sessiontrace.store.sqlite import documents, media, rows, search
from sessiontrace.store.sqlite.transaction import transaction

__all__ = ["Trimmed", "erase", "forget", "overdue", "trim"]

_PAGES_BACK = 2_000
_READERS_END_S = 5.0  # how long to wait for readers that use the log
_IN_LOG = "another program is reading the store; its log has the bytes until it has read"
_NEVER = (1 << 63) - 1


def forget(connection: sqlite3.Connection, event_ids: Sequence[str]) -> int:
    """Delete events and subtract them from the totals of their sessions."""
    with transaction(connection):
        events = rows.load_events(connection, set(event_ids))
        sessions = rows.load_sessions(connection, {event.session_id for event in events.values()})
        for event in events.values():
            sessions[event.session_id].remove_event(event)
        connection.executemany(
            "DELETE FROM events WHERE event_id = ?", [(event_id,) for event_id in events]
        )
        for session in sessions.values():
            session.summarize()
            rows.gather_facets(connection, session)
        rows.store_sessions(connection, sessions.values())
    return len(events)


def erase(
    connection: sqlite3.Connection, session_ids: Collection[str], files: MediaFiles
) -> Erased:
    """Delete sessions, and overwrite their bytes in the file, the search index and the log."""
    ids = list(session_ids)
    with transaction(connection):
        steps = sum(_count_steps(connection, session_id) for session_id in ids)
        rows_of_ids = [(session_id,) for session_id in ids]
        digests = media.used_by(connection, ids)
        sessions = connection.executemany(
            "DELETE FROM sessions WHERE session_id = ?", rows_of_ids
        ).rowcount
        connection.executemany("DELETE FROM facet_queue WHERE session_id = ?", rows_of_ids)
        if sessions:
            search.start_again(connection)
        unused = media.remove_unused(connection, digests, files)
        _note(connection, retention.BY_HAND, sessions, unused)
    if not sessions:
        return Erased()
    connection.executescript("PRAGMA incremental_vacuum")
    remains = unused.failure or ("" if _empty_log(connection) else _IN_LOG)
    return Erased(sessions, steps, remains, unused.media, unused.size)


def _note(connection: sqlite3.Connection, reason: str, sessions: int, unused: media.Unused) -> None:
    """Add to what was deleted today; a deletion for the size is also reported as a loss."""
    if not sessions:
        return
    now = time.time_ns() // 1_000_000
    day = time.strftime("%Y-%m-%d", time.gmtime(now / 1000))
    before = documents.document(connection, retention.DELETIONS, day)
    body = retention.with_deletion(before, reason, sessions, unused.media, unused.size)
    notes = [Document(retention.DELETIONS, day, now, body)]
    if reason == retention.SIZE:
        counts = {"sessions over the size of the store": body[reason]}
        notes.append(loss_reports.report(f"retention {day}", "Retention", 0, counts))
    documents.write(connection, notes)


def _count_steps(connection: sqlite3.Connection, session_id: str) -> int:
    statement = "SELECT count(*) FROM events WHERE session_id = ?"
    return int(connection.execute(statement, (session_id,)).fetchone()[0])


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Move the log into the file and cut it to nothing; False when a reader is in the way."""
    deadline = time.monotonic() + _READERS_END_S
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@attrs.frozen
class Trimmed:
    """The sessions that a step of retention deleted. ``left``: how many more are over the limit.

    ``oldest`` and ``newest``: when the first and the last of them were written (Unix ms).
    """

    sessions: int = 0
    oldest: int = 0
    newest: int = 0
    left: int = 0
    reason: str = ""
    media: int = 0


def trim(
    connection: sqlite3.Connection,
    before: int | None,
    most_bytes: int | None,
    sessions: int,
    files: MediaFiles,
) -> Trimmed:
    """Delete the oldest sessions, and return the file's free pages, some at a time."""
    with transaction(connection):
        excess, reason = 0, retention.AGE
        old = [] if before is None else _oldest(connection, before, sessions)
        if old and before is not None:
            excess = _count(connection, "WHERE written < ?", before)
        elif most_bytes is not None and (share := _excess(connection, most_bytes)) > 0:
            excess = max(1, round(_count(connection) * share))
            old, reason = _oldest(connection, _NEVER, min(sessions, excess)), retention.SIZE
        rows_of_ids = [(row,) for row, _ in old]
        digests = media.used_by_rows(connection, rows_of_ids)
        connection.executemany("DELETE FROM sessions WHERE id = ?", rows_of_ids)
        unused = media.remove_unused(connection, digests, files)
        _note(connection, reason, len(old), unused)
    if not old:
        return Trimmed()
    # Each step of this statement frees one page, and ``execute`` takes one step only.
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_BACK})")
    return Trimmed(len(old), old[0][1], old[-1][1], excess - len(old), reason, unused.media)


def overdue(connection: sqlite3.Connection, before: int | None, most_bytes: int | None) -> Overdue:
    """What ``trim`` would delete in all; for the size an estimate, since sessions differ."""
    stored = _count(connection)
    aged = 0 if before is None else _count(connection, "WHERE written < ?", before)
    share = 0.0 if most_bytes is None else _excess(connection, most_bytes)
    excess = max(0, round(stored * share) - aged)
    times: tuple[int | None, int | None] = (None, None)
    if aged + excess:
        times = connection.execute(
            "SELECT min(written), max(written) FROM "
            "(SELECT written FROM sessions ORDER BY written LIMIT ?)",
            (aged + excess,),
        ).fetchone()
    return Overdue(aged, excess, *times, stored, _used_bytes(connection))


def _oldest(connection: sqlite3.Connection, before: int, most: int) -> list[tuple[int, int]]:
    """Row and time of the sessions that were written first, before this time."""
    return connection.execute(
        "SELECT id, written FROM sessions WHERE written < ? ORDER BY written LIMIT ?",
        (before, most),
    ).fetchall()


def _count(connection: sqlite3.Connection, where: str = "", *values: int) -> int:
    statement = f"SELECT count(*) FROM sessions {where}"  # noqa: S608 - from above
    return int(connection.execute(statement, values).fetchone()[0])


def _excess(connection: sqlite3.Connection, most_bytes: int) -> float:
    """The share of the stored bytes that exceeds the limit."""
    used = _used_bytes(connection)
    return float((used - most_bytes) / used) if used > most_bytes else 0.0


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
