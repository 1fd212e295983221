"""Deletes events and sessions for a caller; the TTL of the tables deletes old records.

No thread owns it; the caller passes the connection. Invariant: an event is deleted in every
version, with its share in the totals of its session and its late updates, and it may arrive again
later.
"""

from __future__ import annotations

from collections.abc import Sequence

from sessiontrace.store.clickhouse import media
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.queries import find_places
from sessiontrace.store.clickhouse.rollups.times import CHANGED
from sessiontrace.store.models import Erased, Overdue

__all__ = ["erase", "forget", "overdue"]

_WHERE = "WHERE project = {project:String} AND session_id IN {sessions:Array(String)} AND "
_EVENTS = "event_id IN {ids:Array(String)} AND role > 0"
_STEPS = "step IN (SELECT cityHash64(arrayJoin({ids:Array(String)})))"
_PATCHES = "event_id IN {ids:Array(String)}"


def forget(connection: Connection, project: str, event_ids: Sequence[str]) -> int:
    """Delete events; returns how many were stored."""
    places = find_places(connection, project, event_ids)
    if not places:
        return 0
    ids = sorted({event_id for _, event_id in places})
    values = {
        "project": project,
        "ids": ids,
        "sessions": sorted({session_id for session_id, _ in places}),
    }
    connection.run(Query(CHANGED, values))
    # Events last: after an interruption, the next attempt still finds what is left.
    for table, which in (("tallies", _STEPS), ("patches", _PATCHES), ("events", _EVENTS)):
        connection.run(Query(f"DELETE FROM {table} {_WHERE}{which}", values))
    connection.run(Query(CHANGED, values))
    return len(ids)


_SESSIONS_AT_ONCE = 500
_OF_SESSIONS = "WHERE project = {project:String} AND session_id IN {sessions:Array(String)}"
_WORDS_OF = (
    "SELECT DISTINCT arrayJoin(splitByChar(' ', trimBoth(words))) AS word FROM "
    f"(SELECT words FROM events {_OF_SESSIONS} UNION ALL SELECT words FROM patches {_OF_SESSIONS})"
)
_COUNTS = (
    f"SELECT uniqExact(session_id), uniqExactIf(event_id, role > 0) FROM events {_OF_SESSIONS}"
)
# Sessions last: after an interruption, the list shows what is left, and it can be deleted again.
_TABLES = ("media_uses", "patches", "tallies", "session_hours", "events", "rollups", "sessions")
_NOW = " SETTINGS mutations_sync = 2"  # on every replica before the statement returns
_WORDS_ANEW = """
INSERT INTO vocabulary
SELECT project, word, max(written) FROM (
    SELECT project, arrayJoin(splitByChar(' ', trimBoth(words))) AS word, written
    FROM (
        SELECT project, words, written FROM events WHERE project = {project:String}
        UNION ALL SELECT project, words, written FROM patches WHERE project = {project:String}
    )
)
WHERE word IN {words:Array(String)}
GROUP BY project, word
"""
_REMAINS = (
    "ClickHouse removes the parts that it rewrote after old_parts_lifetime, 8 minutes by default"
)


_OVERDUE = (
    "SELECT countIf(last < {before:UInt64}), minIf(last, last < {before:UInt64}), "
    "maxIf(last, last < {before:UInt64}), count() FROM ("
    "SELECT session_id, toUInt64(max(written)) * 1000 AS last FROM sessions "
    "WHERE project = {project:String} GROUP BY session_id)"
)


def overdue(connection: Connection, project: str, before: int | None) -> Overdue:
    """Which sessions were written last before this time."""
    values = {"project": project, "before": before or 0}
    aged, oldest, newest, stored = map(int, connection.query(Query(_OVERDUE, values))[0])
    return Overdue(aged, 0, oldest if aged else None, newest if aged else None, stored)


def erase(connection: Connection, project: str, session_ids: Sequence[str]) -> Erased:
    """Delete sessions from every table, and the words and media that no other session has."""
    sessions = steps = 0
    deleted = media.Unused()
    for begin in range(0, len(session_ids), _SESSIONS_AT_ONCE):
        chunk = session_ids[begin : begin + _SESSIONS_AT_ONCE]
        values = {"project": project, "sessions": chunk}
        counts, words = connection.ask_all([Query(_COUNTS, values), Query(_WORDS_OF, values)])
        digests = media.used_by(connection, project, chunk)
        sessions, steps = sessions + int(counts[0][0]), steps + int(counts[0][1])
        for table in _TABLES:
            connection.run(Query(f"ALTER TABLE {table} DELETE {_OF_SESSIONS}{_NOW}", values))
        unused = media.remove_unused(connection, project, digests)
        deleted = media.Unused(deleted.media + unused.media, deleted.size + unused.size)
        of_words = {"project": project, "words": [word for (word,) in words]}
        which = "WHERE project = {project:String} AND word IN {words:Array(String)}"
        connection.run(Query(f"ALTER TABLE vocabulary DELETE {which}{_NOW}", of_words))
        connection.run(Query(_WORDS_ANEW, of_words))
    remains = _REMAINS if sessions else ""
    return Erased(sessions, steps, remains, deleted.media, deleted.size)
