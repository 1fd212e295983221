"""Roll-ups of sessions with late updates, which ClickHouse's rows are without.

No thread owns it; the caller passes the connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.rollups.rows import rollup
from sessiontrace.store.clickhouse.session_list import shown
from sessiontrace.store.clickhouse.session_rows import LATE
from sessiontrace.store.clickhouse.summaries import Patch, patched_event, patches
from sessiontrace.store.dashboard.measures import CallMeasures, replace_call
from sessiontrace.store.models import SessionQuery

__all__ = ["AMENDED", "AMENDED_COLUMNS", "AMENDED_FIGURES", "rollups_of"]

AMENDED_FIGURES = (
    "SELECT session_id FROM patches WHERE project = {project:String}{scope} AND ("
    "JSONHas(body, 'config', 'model') OR JSONHas(body, 'metadata', 'response_model') OR matters "
    "AND notEmpty(arrayFilter(key -> key NOT IN ('event_id', 'session_id', 'feedback'), "
    "JSONExtractKeys(body))))"
)
"""The sessions whose late updates may change a figure: scores change none, a model may."""

AMENDED = f"{LATE} UNION DISTINCT {AMENDED_FIGURES}"
"""The sessions whose late updates change anything that a roll-up has."""

AMENDED_COLUMNS = "facets, folded, toUnixTimestamp(written), toUnixTimestamp64Milli(now64(3))"
"""What ``rollups_of`` needs of a row beyond the columns of every row."""

_IDS_AT_ONCE = 500
_CALLS = """
SELECT session_id, event_id, role, rank, body
FROM events
WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND role > 0
    AND (type IN ('model', 'embedding') OR event_id IN {changed:Array(String)})
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
"""
_PATCHES = """
SELECT session_id, event_id, body, matters FROM patches FINAL
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
ORDER BY at
"""


def rollups_of(
    connection: Connection, project: str, query: SessionQuery, rows: Sequence[Row]
) -> Iterator[tuple[Any, ...]]:
    """The roll-ups of those sessions that fit with their late updates.

    ``rows`` are those of ``session_rows.fitting`` with ``AMENDED_COLUMNS``.
    """
    for begin in range(0, len(rows), _IDS_AT_ONCE):
        chunk = rows[begin : begin + _IDS_AT_ONCE]
        calls = _calls(connection, project, [row[0] for row in chunk])
        further = {row[0]: row[7:] for row in chunk}
        for _, summary in shown(connection, project, query, [row[:7] for row in chunk]):
            facets, folded, written, at = further[summary.session_id]
            own = calls.get(summary.session_id, {})
            yield rollup(summary, (facets, folded), own, written, at)


def _calls(
    connection: Connection, project: str, ids: Sequence[str]
) -> dict[str, dict[str, CallMeasures]]:
    """The model calls of sessions, with their late updates, by session and model."""
    values = {"project": project, "ids": list(ids)}
    changes: dict[str, list[Patch]] = {}
    for patch in patches(connection.query(Query(_PATCHES, values))):
        changes.setdefault(patch.event_id, []).append(patch)
    rows: list[Row] = connection.query(Query(_CALLS, {**values, "changed": list(changes)}))
    calls: dict[str, dict[str, CallMeasures]] = {}
    for session_id, event_id, role, rank, body in rows:
        row = (event_id, role, rank, body)
        call = patched_event(session_id, row, changes.get(event_id, ())).call() if rank else None
        if call is not None:
            replace_call(calls.setdefault(session_id, {}), None, call)
    return calls
