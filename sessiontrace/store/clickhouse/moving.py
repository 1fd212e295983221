"""Moves events to another session, and reads what that needs.

No thread owns it; the caller passes the connection. Invariant: an event is written to its new
session before it is deleted from the old one, so that an interruption loses none; the next attempt
completes the move.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.record import EVENT, UPDATE
from sessiontrace.store.clickhouse import rows
from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.rollups.times import CHANGED
from sessiontrace.store.clickhouse.tables import SESSIONS_ANEW
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.gathered import GATHERED
from sessiontrace.store.rehoming import rehomed

__all__ = ["gathered", "move", "steps_of"]

_IDS_AT_ONCE = 1_000

_GATHERED = """
SELECT session_id, body FROM patches FINAL
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
    AND event_id = session_id AND position(body, '"gathered"') > 0
ORDER BY at
"""
_STEPS = """
SELECT DISTINCT session_id, event_id FROM (
    SELECT session_id, event_id FROM events
    WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND role > 0
    UNION ALL
    SELECT session_id, event_id FROM patches
    WHERE project = {project:String} AND session_id IN {ids:Array(String)}
        AND event_id != session_id
)
"""
_EVENTS = """
SELECT body, toString(version) FROM events
WHERE project = {project:String} AND session_id = {session:String}
    AND event_id IN {ids:Array(String)} AND role = 1
ORDER BY event_id, version DESC
"""
_PATCHES = """
SELECT body, content FROM patches FINAL
WHERE project = {project:String} AND session_id = {session:String}
    AND event_id IN {ids:Array(String)}
ORDER BY at
"""
# Only what was read: another replica may write the same events at the same time.
_WHERE = (
    "WHERE project = {project:String} AND session_id = {session:String} "
    "AND event_id IN {ids:Array(String)} AND "
)
_OLD = (
    "DELETE FROM tallies WHERE project = {project:String} AND session_id = {session:String} "
    "AND step IN (SELECT cityHash64(arrayJoin({ids:Array(String)}))) "
    "AND toString(version) IN {versions:Array(String)}",
    f"DELETE FROM patches {_WHERE}content IN {{contents:Array(UInt64)}}",
    f"DELETE FROM events {_WHERE}role = 1 AND toString(version) IN {{versions:Array(String)}}",
)
_SESSION = "DELETE FROM sessions WHERE project = {project:String} AND session_id = {session:String}"


def gathered(
    connection: Connection, project: str, session_ids: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """The gathered parts of those of the sessions that have any."""
    parts: dict[str, dict[str, Any]] = {}
    for chunk in _chunks(session_ids):
        for session_id, body in connection.query(
            Query(_GATHERED, {"project": project, "ids": chunk})
        ):
            value = orjson.loads(body).get(GATHERED)
            if isinstance(value, dict):
                parts.setdefault(session_id, {}).update(value)
    return dict(parts)


def steps_of(
    connection: Connection, project: str, session_ids: Collection[str]
) -> dict[str, Sequence[str]]:
    """The ids of the events of these sessions, also of events with late updates only."""
    steps: dict[str, list[str]] = {}
    for chunk in _chunks(session_ids):
        for session_id, event_id in connection.query(
            Query(_STEPS, {"project": project, "ids": chunk})
        ):
            steps.setdefault(session_id, []).append(event_id)
    return dict(steps)


def _chunks(ids: Collection[str]) -> list[list[str]]:
    sorted_ids = sorted(ids)
    return [sorted_ids[at : at + _IDS_AT_ONCE] for at in range(0, len(sorted_ids), _IDS_AT_ONCE)]


def move(
    connection: Connection, project: str, source: str, target: str, event_ids: Collection[str]
) -> None:
    """Move those of the events that are in ``source``."""
    for chunk in _chunks(event_ids):
        values = {"project": project, "session": source, "sessions": [source], "ids": chunk}
        events, changes = connection.ask_all([Query(_EVENTS, values), Query(_PATCHES, values)])
        tables: dict[str, rows.Columns] = {}
        if events:
            tables["events"] = rows.events(project, _decoded(EVENT, events, source, target))
        if changes:
            tables["patches"] = rows.patches(project, _decoded(UPDATE, changes, source, target))
        if not tables:
            continue
        connection.insert(tables)
        values["versions"] = [version for _, version in events]
        values["contents"] = [content for _, content in changes]
        for statement in (CHANGED, *_OLD):
            connection.run(Query(statement, values))
    # The summary of the old session has parts that cannot be taken back: it is made anew.
    values = {"project": project, "session": source, "sessions": [source]}
    for statement in (_SESSION, CHANGED, *SESSIONS_ANEW):
        connection.run(Query(statement, values))


def _decoded(kind: bytes, stored: Sequence[Row], source: str, target: str) -> list[DecodedRecord]:
    texts = [rehomed(body, source, target) for body, _ in stored]
    return [DecodedRecord(kind, orjson.loads(text), text) for text in texts]
