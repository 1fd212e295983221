"""Queries for one session, one record, or ids.

No thread owns it; the caller passes the connection. Invariant: of several versions of an event, a
query reads the greatest, whether the server has merged them or not, and no deleted event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs
import orjson

from sessiontrace.model.record import turn_event
from sessiontrace.store.clickhouse.calls import FOLDED, outer_events
from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.rows import HIDES, TURN_ROLE
from sessiontrace.store.clickhouse.summaries import Patch, patched_event, patches, summaries
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.folding import apply_patch
from sessiontrace.store.gathered import resolve
from sessiontrace.store.models import EventSummary, SessionSummary, StoredSession, visible
from sessiontrace.store.preview import FIRST_STEPS, OPENING, preview_of
from sessiontrace.store.step_text import contains
from sessiontrace.store.summary_fields import IS_CALL

__all__ = [
    "below_visible",
    "event",
    "find_places",
    "find_steps",
    "ids_with_prefix",
    "previews",
    "record",
    "records",
    "session",
    "session_record",
    "sessions_known",
    "whole",
]

_MOST = 10_000
_FIRST_RECORDS = 50  # read together before the size of a record is known
_MOST_RECORDS = 500

_STEPS = """
SELECT
    event_id, parent_id, type, name, start_time, end_time, duration, status, role, error, tokens,
    cost_nano, unpriced, first_chunk, {nanos}, {model}
FROM (
    SELECT * FROM events
    WHERE project = {project:String} AND session_id = {session:String} AND role > 0
    ORDER BY event_id, version DESC
    LIMIT 1 BY event_id
)
ORDER BY start_time, event_id
LIMIT {limit:UInt64}
"""
_OUTLINE = _STEPS.replace("{nanos}", "0").replace("{model}", "''")
_STEPS = _STEPS.replace("{nanos}", "JSONExtractUInt(body, 'start_nanos')").replace(
    "{model}", f"if({IS_CALL}, JSONExtractString(body, 'config', 'model'), '')"
)
_BODIES = """
SELECT event_id, role, rank, body FROM events
WHERE project = {project:String} AND session_id = {session:String}
    AND event_id IN {ids:Array(String)}
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
"""
# The bounds narrow it to the parts of the key that hold the steps: their bodies may be large.
_WHOLE = """
SELECT event_id, role, body FROM events
WHERE project = {project:String} AND session_id = {session:String} AND role > 0
    AND start_time BETWEEN {since:UInt64} AND {until:UInt64}
    AND event_id IN {ids:Array(String)}
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
"""
_EVENT = """
SELECT session_id, role, body FROM events
WHERE project = {project:String} AND event_id = {id:String} AND role > 0
ORDER BY version DESC
LIMIT 1
"""
_PATCHES = """
SELECT session_id, event_id, body, matters FROM patches FINAL
WHERE project = {project:String} AND session_id = {session:String}
"""
_PLACES = """
SELECT DISTINCT session_id, event_id FROM events
WHERE project = {project:String} AND event_id IN {ids:Array(String)} AND role > 0
"""
# Two queries: the first reads no body, and the key of the table leads the second to its rows.
_FIRST = f"""
SELECT session_id, event_id, start_time FROM events
WHERE project = {{project:String}} AND session_id IN {{ids:Array(String)}} AND role > 0
ORDER BY session_id, start_time, event_id
LIMIT {FIRST_STEPS} BY session_id
"""
_OPENINGS = """
SELECT session_id, event_id, substringUTF8(body, 1, {most:UInt64}) FROM events
WHERE project = {project:String} AND session_id IN {sessions:Array(String)}
    AND start_time IN {starts:Array(UInt64)} AND event_id IN {ids:Array(String)} AND role > 0
ORDER BY session_id, start_time, event_id, version DESC
LIMIT 1 BY session_id, event_id
"""
_LATE_OPENINGS = """
SELECT session_id, event_id, substringUTF8(body, 1, {most:UInt64}) FROM patches FINAL
WHERE project = {project:String} AND session_id IN {sessions:Array(String)}
    AND event_id IN {ids:Array(String)}
ORDER BY session_id, at
"""
_CONTAINING = """
SELECT event_id, role, rank, body FROM (
    SELECT event_id, role, rank, start_time, body FROM events
    WHERE project = {project:String} AND session_id = {session:String} AND role > 0
    ORDER BY event_id, version DESC
    LIMIT 1 BY event_id
)
WHERE event_id NOT IN {folded} AND (
    positionCaseInsensitiveUTF8(body, {text:String}) > 0
    OR event_id IN (
        SELECT event_id FROM patches FINAL
        WHERE project = {project:String} AND session_id = {session:String}
            AND positionCaseInsensitiveUTF8(body, {text:String}) > 0
    )
)
ORDER BY start_time, event_id
"""
_MATCHING = """
SELECT session_id FROM sessions
WHERE project = {project:String} AND session_id >= {from:String} AND session_id < {to:String}
GROUP BY session_id
HAVING least(min(told_start), min(seen_start)) < {never:UInt64}
ORDER BY session_id DESC
LIMIT {limit:UInt64}
"""
_TOLD = """
SELECT DISTINCT session_id FROM events
WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND role = 0
"""


def session(
    connection: Connection, project: str, session_id: str, limit: int, first_chunks: bool = True
) -> StoredSession | None:
    """A session, its own record, and its steps in order of their start."""
    summary = summaries(connection, project, [session_id]).get(session_id)
    if summary is None:
        return None
    limit = max(1, min(limit, _MOST))
    values = {"project": project, "session": session_id}
    rows, own, changes = connection.ask_all(
        [
            Query(_STEPS if first_chunks else _OUTLINE, {**values, "limit": limit}),
            Query(_BODIES, {**values, "ids": [session_id]}),
            Query(_PATCHES + " ORDER BY at", values),
        ]
    )
    updates = patches(changes)
    steps = {row[0]: _step(session_id, row) for row in rows}
    _show_changes(connection, values, steps, [patch for patch in updates if patch.matters])
    if any(patch.effect >= HIDES for patch in updates):
        outer = outer_events(connection, project, [session_id])
        steps = {
            step.event_id: attrs.evolve(step, parent_id=visible(step.parent_id, outer))
            for step in steps.values()
            if step.event_id not in outer
        }
    record = _own_record(summary, own, updates)
    return StoredSession(summary, record, list(steps.values()), summary.events - len(steps))


def _step(session_id: str, row: Row) -> EventSummary:
    (
        event_id, parent, kind, name, start, end, took, status, role, error, tokens, cost, unpriced,
        chunk, nanos, model,
    ) = row  # fmt: skip
    return EventSummary(
        event_id, session_id, parent, kind, name, start, end, _float(took), status,
        role == TURN_ROLE, error, tokens, cost / 1e9, unpriced, _float(chunk),
        nanos, model or None,
    )  # fmt: skip


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)  # JSON has 100 for 100.0


def _show_changes(
    connection: Connection,
    values: Mapping[str, Any],
    steps: dict[str, EventSummary],
    changes: list[Patch],
) -> None:
    """Put late updates into the steps they change, in place."""
    by_event: dict[str, list[Patch]] = {}
    for patch in changes:
        if patch.event_id in steps:
            by_event.setdefault(patch.event_id, []).append(patch)
    if not by_event:
        return
    for row in connection.query(Query(_BODIES, {**values, "ids": sorted(by_event)})):
        state = patched_event(values["session"], row, by_event[row[0]])
        steps[row[0]] = EventSummary(
            state.event_id, state.session_id, state.parent_id, state.type, state.name,
            state.start_time or 0, state.end_time, state.duration, state.status, state.turn,
            state.error, state.tokens, state.cost_nano / 1e9, bool(state.unpriced),
            steps[row[0]].first_chunk, steps[row[0]].start_nanos, steps[row[0]].model,
        )  # fmt: skip


def _own_record(
    summary: SessionSummary, own: Sequence[Row], changes: Sequence[Patch]
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "event_id": summary.session_id,
        "session_id": summary.session_id,
        "event_type": "session",
        "event_name": summary.name,
    }
    for _, role, _, body in own:
        if role == 0:
            record |= orjson.loads(body)
    return _overlaid(record, [patch for patch in changes if patch.event_id == summary.session_id])


def _overlaid(record: dict[str, Any], changes: Sequence[Patch]) -> dict[str, Any]:
    for patch in changes:
        record = apply_patch(
            record,
            {
                name: patch.event[name]
                for name in patch.event
                if name not in ("event_id", "session_id")
            },
        )
    return resolve(record)


def whole(role: int, body: str, changes: Sequence[Patch]) -> dict[str, Any]:
    """The record of an event with its updates; for a turn, the chain event that represents it."""
    record: dict[str, Any] = orjson.loads(body)
    return _overlaid(turn_event(record) if role == TURN_ROLE else record, changes)


def event(connection: Connection, project: str, event_id: str) -> Mapping[str, Any] | None:
    """The whole record of one event, also of one that is shown as a part of another."""
    rows = connection.query(Query(_EVENT, {"project": project, "id": event_id}))
    if not rows:
        return None
    session_id, role, body = rows[0]
    values = {"project": project, "session": session_id, "id": event_id}
    changes = connection.query(Query(_PATCHES + " AND event_id = {id:String} ORDER BY at", values))
    record = whole(role, body, patches(changes))
    return below_visible(record, outer_events(connection, project, [session_id]))


def below_visible(record: Mapping[str, Any], outer: Mapping[str, str]) -> Mapping[str, Any]:
    """The record, below the call that shows its parent if another one does."""
    parent = record.get("parent_id")
    if parent is None or parent not in outer:
        return record
    return {**record, "parent_id": visible(parent, outer)}


def records(
    connection: Connection,
    project: str,
    session_id: str,
    steps: Sequence[EventSummary],
    most_bytes: int,
) -> dict[str, Mapping[str, Any]]:
    """The whole records of some steps, in their order, until they have ``most_bytes``."""
    by_id: dict[str, Mapping[str, Any]] = {}
    outer = outer_events(connection, project, [session_id]) if steps else {}
    size, chunk = 0, _FIRST_RECORDS
    remaining = list(steps)
    while remaining and size < most_bytes:
        part, remaining = remaining[:chunk], remaining[chunk:]
        for event_id, record, length in _records_of(connection, project, session_id, part):
            by_id[event_id] = below_visible(record, outer)
            size += length
        mean = max(1, size // max(1, len(by_id)))
        chunk = max(1, min((most_bytes - size) // mean, _MOST_RECORDS))
    return by_id


def _records_of(
    connection: Connection, project: str, session_id: str, steps: Sequence[EventSummary]
) -> list[tuple[str, Mapping[str, Any], int]]:
    starts = [step.start_time for step in steps]
    ids = [step.event_id for step in steps]
    values = {
        "project": project, "session": session_id, "ids": ids,
        "since": min(starts), "until": max(starts),
    }  # fmt: skip
    rows, updates = connection.ask_all(
        [
            Query(_WHOLE, values),
            Query(_PATCHES + " AND event_id IN {ids:Array(String)} ORDER BY at", values),
        ]
    )
    changes: dict[str, list[Patch]] = {}
    for patch in patches(updates):
        changes.setdefault(patch.event_id, []).append(patch)
    by_id = {row[0]: row for row in rows}
    return [
        (event_id, whole(role, body, changes.get(event_id, [])), len(body))
        for event_id, role, body in (by_id[name] for name in ids if name in by_id)
    ]


def record(connection: Connection, project: str, event_id: str) -> Mapping[str, Any] | None:
    """The whole record of an event or of a session."""
    event_record = event(connection, project, event_id)
    return session_record(connection, project, event_id) if event_record is None else event_record


def session_record(connection: Connection, project: str, session_id: str) -> dict[str, Any] | None:
    """The whole record of a session; its events supply the fields that it lacks."""
    summary = summaries(connection, project, [session_id]).get(session_id)
    if summary is None:
        return None
    values = {"project": project, "session": session_id, "id": session_id}
    own, changes = connection.ask_all(
        [
            Query(_BODIES, {**values, "ids": [session_id]}),
            Query(_PATCHES + " AND event_id = {id:String} ORDER BY at", values),
        ]
    )
    return {
        "source": summary.source,
        "start_time": summary.start_time,
        "end_time": summary.end_time,
        "duration": summary.duration,
        **_own_record(summary, own, patches(changes)),
    }


def find_steps(
    connection: Connection, project: str, session_id: str, text: str, limit: int
) -> Sequence[str]:
    """Steps of one session that contain a text, in order of their start."""
    folded = text.casefold()
    # First a search in the JSON of a step, in which the text is escaped; most are not decoded.
    escaped = orjson.dumps(text)[1:-1].decode()
    values = {"project": project, "session": session_id}
    hidden = FOLDED.replace("{within}", " AND session_id = {session:String}")
    rows, changes = connection.ask_all(
        [
            Query(_CONTAINING.replace("{folded}", hidden), {**values, "text": escaped}),
            Query(_PATCHES + " ORDER BY at", values),
        ]
    )
    by_event: dict[str, list[Patch]] = {}
    for patch in patches(changes):
        by_event.setdefault(patch.event_id, []).append(patch)
    event_ids = [
        row[0]
        for row in rows
        if contains(_overlaid(orjson.loads(row[3] or "{}"), by_event.get(row[0], [])), folded)
    ]
    return event_ids[: max(1, min(limit, _MOST))]


def previews(connection: Connection, project: str, session_ids: Collection[str]) -> dict[str, str]:
    """The first message by a user in the first steps of each session that has one there."""
    values: dict[str, Any] = {"project": project, "ids": sorted(session_ids)}
    first = connection.query(Query(_FIRST, values)) if session_ids else []
    if not first:
        return {}
    values |= {
        "sessions": sorted({row[0] for row in first}), "starts": sorted({row[2] for row in first}),
        "ids": [row[1] for row in first], "most": OPENING,
    }  # fmt: skip
    lines: dict[str, str] = {}
    for query in (_OPENINGS, _LATE_OPENINGS):  # messages may be log records, which come as updates
        for session_id, _, opening in connection.query(Query(query, values)):
            if session_id not in lines and (line := preview_of(opening)) is not None:
                lines[session_id] = line
        if len(lines) == len(values["sessions"]):
            break
    return lines


def ids_with_prefix(connection: Connection, project: str, prefix: str, limit: int) -> Sequence[str]:
    """Session ids by their prefix, latest first."""
    values = {
        "project": project, "from": prefix, "to": prefix + "\U0010ffff",
        "never": NEVER, "limit": max(1, min(limit, _MOST)),
    }  # fmt: skip
    return [row[0] for row in connection.query(Query(_MATCHING, values))]


def sessions_known(
    connection: Connection, project: str, session_ids: Sequence[str]
) -> frozenset[str]:
    """Those of the sessions whose own record is stored."""
    if not session_ids:
        return frozenset()
    values = {"project": project, "ids": list(session_ids)}
    return frozenset(row[0] for row in connection.query(Query(_TOLD, values)))


def find_places(
    connection: Connection, project: str, event_ids: Sequence[str]
) -> list[tuple[str, str]]:
    """Session and id of the stored ones of these events."""
    if not event_ids:
        return []
    rows = connection.query(Query(_PLACES, {"project": project, "ids": list(event_ids)}))
    return [(session_id, event_id) for session_id, event_id in rows]
