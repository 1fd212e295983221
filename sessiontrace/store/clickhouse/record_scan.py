"""Reads whole records across sessions, latest start first, one hour at a time.

No thread owns it; the caller passes the connection. Invariant: a page counts only matching records,
and a query stops with an error at its time limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.errors import StoreTimeoutError
from sessiontrace.store.clickhouse.calls import FOLDED, outer_events
from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.queries import below_visible, session_record, whole
from sessiontrace.store.clickhouse.rows import SESSION_ROLE
from sessiontrace.store.clickhouse.summaries import Patch, patches
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.folding import apply_patch
from sessiontrace.store.judging.history import Judgement, judgements_of
from sessiontrace.store.models import EventPage, EventQuery

__all__ = ["events", "judgements"]

_MOST = 10_000
_AT_ONCE = 500
_LATEST = (NEVER, "")

# A session's row is its own record, or a placeholder if only its events arrived.
_PAGE = """
SELECT start_time, event_id, session_id, role, body FROM (
    SELECT start_time, event_id, session_id, role, body FROM events
    WHERE project = {project:String} AND role > 0{narrow}{unfolded}
    ORDER BY event_id, version DESC
    LIMIT 1 BY event_id
    UNION ALL
    SELECT
        if(min(told_start) = {never:UInt64}, min(seen_start), min(told_start)) AS start_time,
        session_id AS event_id, session_id, 0 AS role, '' AS body
    FROM sessions
    WHERE project = {project:String}{heads}
    GROUP BY session_id
)
WHERE start_time >= {since:UInt64} AND start_time < {until:UInt64}
    AND (start_time, event_id) < ({after_start:UInt64}, {after_id:String})
ORDER BY start_time DESC, event_id DESC
LIMIT {most:UInt64}
"""
_COUNT = """
SELECT count() FROM (
    SELECT event_id, start_time FROM events
    WHERE project = {project:String} AND role > 0{narrow}{unfolded}
    ORDER BY event_id, version DESC
    LIMIT 1 BY event_id
    UNION ALL
    SELECT
        session_id AS event_id,
        if(min(told_start) = {never:UInt64}, min(seen_start), min(told_start)) AS start_time
    FROM sessions
    WHERE project = {project:String}{heads}
    GROUP BY session_id
)
WHERE start_time >= {since:UInt64} AND start_time < {until:UInt64}
"""
_HOURS = """
SELECT hour FROM session_hours
WHERE project = {project:String} AND hour BETWEEN {first_hour:UInt32} AND {last_hour:UInt32}
GROUP BY hour ORDER BY hour DESC
"""
_PATCHES = """
SELECT session_id, event_id, body, matters FROM patches FINAL
WHERE project = {project:String} AND session_id IN {sessions:Array(String)}
    AND event_id IN {ids:Array(String)}
ORDER BY at
"""
_WITHIN = (
    " AND session_id IN (SELECT session_id FROM session_hours WHERE project = {project:String} "
    "AND hour = {hour:UInt32})"
)
_HOUR_MS = 3_600_000


def events(
    connection: Connection, project: str, query: EventQuery, limit_s: float | None
) -> EventPage:
    """The matching events and sessions, as whole records."""
    limit = max(0, min(query.limit, _MOST))
    deadline = None if limit_s is None else time.monotonic() + limit_s
    page: list[Mapping[str, Any]] = []
    count = 0
    for record in _records(connection, project, query):
        if deadline is not None and time.monotonic() > deadline:
            raise StoreTimeoutError(f"reading {connection.address} took too long and was stopped")
        if query.fits is not None and not query.fits(record):
            continue
        count += 1
        if query.skip < count <= query.skip + limit:
            page.append(record)
        elif query.fits is None and count > query.skip + limit:
            break
    if query.fits is None:
        count = int(connection.query(_question(_COUNT, project, query, _bounds(query)))[0][0])
    return EventPage(page, count)


def _bounds(query: EventQuery) -> tuple[int, int]:
    return query.since or 0, NEVER if query.until is None else query.until


def _records(
    connection: Connection, project: str, query: EventQuery
) -> Iterator[Mapping[str, Any]]:
    """Records that match, before ``fits`` decides, latest first."""
    since, until = _bounds(query)
    if query.session_id is not None or query.event_id is not None:
        yield from _stretch(connection, project, query, (since, until), None)
        return
    values = {
        "project": project, "first_hour": min(since // _HOUR_MS, 2**32 - 1),
        "last_hour": min(until // _HOUR_MS, 2**32 - 1),
    }  # fmt: skip
    for (hour,) in connection.query(Query(_HOURS, values)):
        begin = hour * _HOUR_MS
        bounds = (max(since, begin), min(until, begin + _HOUR_MS))
        yield from _stretch(connection, project, query, bounds, hour)


def _stretch(
    connection: Connection,
    project: str,
    query: EventQuery,
    bounds: tuple[int, int],
    hour: int | None,
) -> Iterator[Mapping[str, Any]]:
    """The records that start within ``bounds``; ``hour`` narrows them to its sessions."""
    after = _LATEST
    while True:
        rows = connection.query(_question(_PAGE, project, query, bounds, hour, after))
        yield from _decoded(connection, project, rows)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1][0], rows[-1][1]


def _question(
    text: str,
    project: str,
    query: EventQuery,
    bounds: tuple[int, int],
    hour: int | None = None,
    after: tuple[int, str] = _LATEST,
) -> Query:
    narrow = heads = "" if hour is None else _WITHIN
    values: dict[str, Any] = {
        "project": project, "since": bounds[0], "until": bounds[1], "never": NEVER,
        "after_start": after[0], "after_id": after[1], "most": _AT_ONCE, "hour": hour or 0,
    }  # fmt: skip
    if query.session_id is not None:
        values["session"] = query.session_id
        narrow += " AND session_id = {session:String}"
        heads += " AND session_id = {session:String}"
    if query.event_id is not None:
        values["event"] = query.event_id
        narrow += " AND event_id = {event:String}"
        heads += " AND session_id = {event:String}"
    within = "" if query.session_id is None else " AND session_id = {session:String}"
    unfolded = "" if query.folded else f" AND event_id NOT IN {FOLDED}".replace("{within}", within)
    for place, condition in (("narrow", narrow), ("heads", heads), ("unfolded", unfolded)):
        text = text.replace("{" + place + "}", condition)
    return Query(text, values)


def _decoded(
    connection: Connection, project: str, rows: Sequence[Row]
) -> Iterator[Mapping[str, Any]]:
    if not rows:
        return
    values = {
        "project": project, "sessions": sorted({row[2] for row in rows}),
        "ids": [row[1] for row in rows],
    }  # fmt: skip
    changes: dict[str, list[Patch]] = {}
    for patch in patches(connection.query(Query(_PATCHES, values))):
        changes.setdefault(patch.event_id, []).append(patch)
    outer = outer_events(connection, project, values["sessions"])
    for _, event_id, session_id, role, body in rows:
        if role == SESSION_ROLE:
            record = session_record(connection, project, session_id)
            if record is not None:
                yield record
        else:
            yield below_visible(whole(role, body, changes.get(event_id, [])), outer)


_JUDGED_BODIES = """
SELECT event_id, body FROM (
    SELECT event_id, role, start_time, body FROM events
    WHERE project = {project:String} AND session_id = {session:String} AND (
        position(body, '"feedback":') > 0 OR position(body, '"metrics":') > 0
        OR event_id IN (
            SELECT event_id FROM patches
            WHERE project = {project:String} AND session_id = {session:String}
        )
    )
    ORDER BY event_id, version DESC
    LIMIT 1 BY event_id
)
ORDER BY role > 0, start_time, event_id
"""
_JUDGED_PATCHES = """
SELECT event_id, body FROM patches FINAL
WHERE project = {project:String} AND session_id = {session:String}
ORDER BY at
"""


def judgements(connection: Connection, project: str, session_id: str) -> list[Judgement]:
    """Those of the session first, then those of its steps in the order of their start."""
    values = {"project": project, "session": session_id}
    bodies, changes = connection.ask_all(
        [Query(_JUDGED_BODIES, values), Query(_JUDGED_PATCHES, values)]
    )
    patches: dict[str, dict[str, Any]] = {}
    for event_id, body in changes:
        patches[event_id] = apply_patch(patches.get(event_id, {}), orjson.loads(body))
    return [
        judgement
        for event_id, body in bodies
        for judgement in judgements_of(event_id, orjson.loads(body), patches.get(event_id, {}))
    ]
