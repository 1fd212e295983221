"""Model calls that belong together, and the events that are shown as parts of others.

No thread owns it; the caller passes the connection. Invariant: the last update of an event that
hides or shows it again counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson

from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.rows import HIDES
from sessiontrace.store.folding import apply_patch
from sessiontrace.store.gathered import folded_into
from sessiontrace.store.models import StoredCall
from sessiontrace.store.related_calls import (
    LIMIT,
    LONGEST_MS,
    CallRow,
    TooManyCallsError,
    related,
)
from sessiontrace.store.summary_fields import IS_CALL

__all__ = ["FOLDED", "Stored", "children", "ending_with", "outer_events", "related"]

FOLDED = f"""(
    SELECT event_id FROM patches FINAL
    WHERE project = {{project:String}} AND matters >= {HIDES}{{within}}
    GROUP BY event_id HAVING argMax(matters, at) = {HIDES}
)"""
"""The events that others show as parts of themselves; ``{within}`` narrows it to sessions."""

_CALLS = f"""
SELECT event_id, parent_id, start_time, ifNull(end_time, start_time) FROM events
WHERE project = {{project:String}} AND session_id IN {{sessions:Array(String)}}
    AND {IS_CALL} AND COLUMN IN {{ids:Array(String)}}{{window}}
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
LIMIT {{limit:UInt64}}
"""
_WINDOW = " AND start_time BETWEEN {start:UInt64} AND {end:UInt64}"
_WHOLE = """
SELECT event_id, session_id, parent_id, body FROM events
WHERE project = {project:String} AND session_id IN {sessions:Array(String)}
    AND event_id IN {ids:Array(String)} AND role > 0
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
"""
_PATCHES = """
SELECT event_id, body FROM patches FINAL
WHERE project = {project:String} AND session_id IN {sessions:Array(String)}
    AND event_id IN {ids:Array(String)}
ORDER BY at
"""
_OUTER = f"""
SELECT event_id, argMax(body, at) FROM patches FINAL
WHERE project = {{project:String}} AND session_id IN {{sessions:Array(String)}}
    AND matters >= {HIDES}
GROUP BY event_id HAVING argMax(matters, at) = {HIDES}
"""


_OF_SESSION = """
SELECT COLUMNS FROM events
WHERE project = {project:String} AND session_id = {session:String} AND role > 0
    AND CONDITION IN {ids:Array(String)}
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
"""
_PARENT_CHANGES = """
SELECT event_id, body FROM patches FINAL
WHERE project = {project:String} AND session_id = {session:String}
    AND position(body, '"parent_id"') > 0
ORDER BY at
"""


class Stored:
    """The model calls of some sessions, as ``related`` reads them."""

    def __init__(self, connection: Connection, project: str, sessions: Collection[str]) -> None:
        self._connection = connection
        self._values: Mapping[str, Any] = {"project": project, "sessions": sorted(sessions)}

    def any_linked(self, ids: Collection[str]) -> bool:
        return True  # to know it takes as long as to look

    def by_id(self, ids: Collection[str]) -> Iterable[CallRow]:
        return self._calls("event_id", ids)

    def below(self, ids: Collection[str]) -> Iterable[CallRow]:
        return self._calls("parent_id", ids)

    def beside(self, windows: Mapping[str, tuple[int, int]]) -> Iterable[CallRow]:
        if not windows:
            return []
        start = min(start for start, _ in windows.values()) - LONGEST_MS
        end = max(end for _, end in windows.values())
        rows = self._calls("parent_id", windows, start=max(start, 0), end=end)
        return [row for row in rows if _is_in(row, windows)]

    def whole(self, ids: Collection[str]) -> list[StoredCall]:
        values = {**self._values, "ids": sorted(ids)}
        rows, changes = self._connection.ask_all([Query(_WHOLE, values), Query(_PATCHES, values)])
        patches = _merged(changes)
        return [
            StoredCall(event_id, session_id, parent, orjson.loads(body), patches.get(event_id, {}))
            for event_id, session_id, parent, body in rows
        ]

    def _calls(self, column: str, ids: Iterable[str], **window: int) -> Iterable[CallRow]:
        in_order = sorted(ids)
        text = _CALLS.replace("COLUMN", column).replace("{window}", _WINDOW if window else "")
        limit = LIMIT + 4 * len(in_order)
        values = {**self._values, **window, "ids": in_order, "limit": limit}
        rows = self._connection.query(Query(text, values)) if in_order else []
        if len(rows) == limit:
            raise TooManyCallsError
        return map(CallRow._make, rows)


def _is_in(row: CallRow, windows: Mapping[str, tuple[int, int]]) -> bool:
    start, end = windows[str(row.parent_id)]
    return start - LONGEST_MS <= row.start <= end


def _merged(changes: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """The late updates of each event, the latest one on top."""
    patches: dict[str, dict[str, Any]] = {}
    for event_id, body in changes:
        change = orjson.loads(body)
        fields = {k: v for k, v in change.items() if k not in ("event_id", "session_id")}
        patches[event_id] = apply_patch(patches.get(event_id, {}), fields)
    return patches


def children(
    connection: Connection, project: str, session_id: str, parent_ids: Collection[str]
) -> dict[str, str]:
    """The events of a session whose parent is one of these, each with its parent."""
    values = {"project": project, "session": session_id, "ids": sorted(parent_ids)}
    text = _OF_SESSION.replace("COLUMNS", "event_id, parent_id").replace("CONDITION", "parent_id")
    rows, changes = connection.ask_all([Query(text, values), Query(_PARENT_CHANGES, values)])
    parents: dict[str, Any] = dict(rows)
    for event_id, body in changes:
        if event_id in parents:
            parents[event_id] = orjson.loads(body).get("parent_id", parents[event_id])
    return {event_id: parent for event_id, parent in parents.items() if parent in parent_ids}


def ending_with(
    connection: Connection, project: str, session_id: str, endings: Collection[str]
) -> dict[str, str]:
    """The events of a session whose ids end with these 17 characters, by their endings."""
    values = {"project": project, "session": session_id, "ids": sorted(endings)}
    ending = "substring(event_id, 20)"
    text = _OF_SESSION.replace("COLUMNS", f"{ending}, event_id").replace("CONDITION", ending)
    return dict(connection.query(Query(text, values)))


def outer_events(connection: Connection, project: str, sessions: Collection[str]) -> dict[str, str]:
    """By event of these sessions that is shown as a part of another: that other one."""
    rows = connection.query(Query(_OUTER, {"project": project, "sessions": sorted(sessions)}))
    targets = ((event_id, folded_into(orjson.loads(body))) for event_id, body in rows)
    return {event_id: target for event_id, target in targets if target is not None}
