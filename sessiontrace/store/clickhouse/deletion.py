"""Deletes events for a caller; the TTL of the tables deletes old records.

No thread owns it; the caller passes the connection. Invariant: an event is deleted in every
version, with its share in the totals of its session and its late updates, and it may arrive again
later.
"""

from __future__ import annotations

from collections.abc import Sequence

from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.queries import find_places

__all__ = ["forget"]

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
    # Events last: after an interruption, the next attempt still finds what is left.
    for table, which in (("tallies", _STEPS), ("patches", _PATCHES), ("events", _EVENTS)):
        connection.run(Query(f"DELETE FROM {table} {_WHERE}{which}", values))
    return len(ids)
