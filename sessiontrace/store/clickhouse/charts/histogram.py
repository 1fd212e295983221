"""Counts over many sessions: the charts above the list, the texts of sessions, their steps.

No thread owns it; the caller passes the connection. Invariant: each count counts a session once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from sessiontrace.model.json_depth import encode
from sessiontrace.store import facets
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.list_conditions import ListConditions
from sessiontrace.store.clickhouse.session_list import bounds_of, scope_of, sessions
from sessiontrace.store.clickhouse.session_rows import fitting
from sessiontrace.store.clickhouse.summaries import changed_events, patches
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.histogram import DURATIONS_MS, Histogram, width_of
from sessiontrace.store.models import PropertyCounts, SessionQuery, StepGroup

__all__ = ["count_properties", "filter_values", "histogram", "step_groups"]

_HOUR_MS = 3_600_000

_ENTRIES = """
SELECT session_id, body FROM events
WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND role = 0
    AND position(body, '"$entry_') > 0
ORDER BY session_id, version DESC
LIMIT 1 BY session_id
UNION ALL
SELECT session_id, body FROM patches FINAL
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
    AND event_id = session_id AND position(body, '"$entry_') > 0
ORDER BY at
"""
_FACETS = """
SELECT groupUniqArrayArray(facets) FROM sessions
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
GROUP BY session_id
"""
_IDS_AT_ONCE = 500


def histogram(
    connection: Connection, project: str, query: SessionQuery, most: int
) -> Histogram | None:
    """The charts of the matching sessions, in at most ``most`` buckets; None without any."""
    conditions = ListConditions.of(connection, project, query)
    low, high = bounds_of(query.conditions)
    bounded = low > 0 or high < NEVER - 1
    fitting_sessions = fitting(conditions, "active", scope_of(conditions, bounded=bounded))
    values = {
        **conditions.values, "project": project, "low": low, "high": high,
        "first_hour": min(low // _HOUR_MS, 2**32 - 1),
        "last_hour": min(high // _HOUR_MS, 2**32 - 1),
    }  # fmt: skip
    ((count, first, last),) = connection.query(
        Query(f"SELECT count(), min(active), max(active) FROM ({fitting_sessions})", values)
    )
    if not count:
        return None
    first = query.since if query.since is not None else first
    last = query.until - 1 if query.until is not None else last
    width = width_of(last - first, most)
    start = first // width * width
    return _counted(connection, fitting_sessions, values | {"start": start, "width": width}, last)


def _counted(
    connection: Connection, fitting_sessions: str, values: dict[str, Any], last: int
) -> Histogram:
    start, width = values["start"], values["width"]
    count = (last - start) // width + 1
    over_time = (
        "SELECT intDiv(active - {start:UInt64}, {width:UInt64}) AS bucket, count(), sum(bad) "
        f"FROM ({fitting_sessions}) GROUP BY bucket"
    )
    cases = " ".join(f"took < {bound}, {at}," for at, bound in enumerate(DURATIONS_MS))
    over_durations = (
        f"SELECT multiIf({cases} {len(DURATIONS_MS)}) AS bucket, count() "
        f"FROM ({fitting_sessions}) GROUP BY bucket"
    )
    by_time, by_duration = connection.ask_all(
        [Query(over_time, values), Query(over_durations, values)]
    )
    sessions, failed = [0] * count, [0] * count
    for bucket, number, bad in by_time:
        if 0 <= bucket < count:
            sessions[bucket], failed[bucket] = number, bad
    durations = [0] * (len(DURATIONS_MS) + 1)
    for bucket, number in by_duration:
        durations[bucket] = number
    return Histogram(start, width, sessions, failed, durations)


def count_properties(connection: Connection, project: str, most: int) -> PropertyCounts:
    """Count the texts of the latest ``most`` sessions."""
    counts = PropertyCounts()
    page = sessions(connection, project, SessionQuery(limit=most)).sessions
    for session in page:
        counts.count += 1
        kind = session.error.partition(":")[0].strip() if session.error else None
        texts = (
            ("name", session.name),
            ("source", session.source),
            ("user", session.user),
            ("error_type", kind),
        )
        for key, text in texts:
            if text:
                counts.setdefault(key, Counter())[text] += 1
    ids = [session.session_id for session in page]
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        _count_entries(connection, project, ids[begin : begin + _IDS_AT_ONCE], counts)
    return counts


def filter_values(connection: Connection, project: str, most: int) -> dict[str, Counter[str]]:
    """How many of the latest sessions have each value, by key of the query language."""
    page = sessions(connection, project, SessionQuery(limit=most)).sessions
    values = {"project": project, "ids": [session.session_id for session in page]}
    rows = connection.query(Query(_FACETS, values)) if page else []
    counts = facets.tallied(row[0] for row in rows)
    for key, texts in (
        ("name", [session.name for session in page]),
        ("user", [session.user for session in page]),
        ("source", [session.source for session in page]),
    ):
        counts[key] = Counter(text for text in texts if text)
    return counts


def _count_entries(
    connection: Connection, project: str, ids: Sequence[str], counts: PropertyCounts
) -> None:
    properties: dict[str, dict[str, Any]] = {}
    for session_id, body in connection.query(
        Query(_ENTRIES, {"project": project, "ids": list(ids)})
    ):
        user_properties = orjson.loads(body).get("user_properties")
        if isinstance(user_properties, dict):
            properties.setdefault(session_id, {}).update(user_properties)
    for merged in properties.values():
        for key, value in merged.items():
            if key.startswith("$entry_") and value not in (None, ""):
                text = value if isinstance(value, str) else encode(value).decode()
                counts.setdefault(key, Counter())[text] += 1


_LATE = """
SELECT session_id, event_id, body, matters FROM patches FINAL
WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND matters > 0
ORDER BY at
"""
_STEPS = """
SELECT
    if(role = 2, 'turn', type) AS kind, name, count(), uniqExact(session_id), countIf(bad),
    sum(used), sum(nano), groupArray(duration)
FROM (
    SELECT
        session_id, event_id, role, type, name, isNotNull(error) AS bad, tokens AS used,
        cost_nano AS nano, duration
    FROM events
    WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND role > 0
    ORDER BY event_id, version DESC
    LIMIT 1 BY event_id
)
WHERE event_id NOT IN {late:Array(String)}
GROUP BY kind, name
"""


def step_groups(
    connection: Connection, project: str, session_ids: Collection[str]
) -> list[StepGroup]:
    """The steps of these sessions by type and name, their late updates merged in."""
    if not session_ids:
        return []
    values = {"project": project, "ids": sorted(session_ids)}
    late = patches(connection.query(Query(_LATE, values)))
    changed = changed_events(connection, project, late)
    ids = sorted({patch.event_id for patch in late})
    groups = {
        (kind, name): StepGroup(kind, name, *columns)
        for kind, name, *columns in connection.query(Query(_STEPS, {**values, "late": ids}))
    }
    sessions = _sessions_of(connection, values, ids) if changed else {}
    for event in changed:
        key = ("turn" if event.turn else event.type, event.name)
        is_new = event.session_id not in sessions.get(key, ())
        sessions.setdefault(key, set()).add(event.session_id)
        group = StepGroup(
            *key, 1, int(is_new), int(event.error is not None), event.tokens, event.cost_nano,
            [] if event.duration is None else [event.duration],
        )  # fmt: skip
        groups[key] = groups[key].with_group(group) if key in groups else group
    return list(groups.values())


_SESSIONS_OF = """
SELECT DISTINCT if(role = 2, 'turn', type), name, session_id FROM events
WHERE project = {project:String} AND session_id IN {ids:Array(String)} AND role > 0
    AND event_id NOT IN {late:Array(String)}
"""


def _sessions_of(
    connection: Connection, values: dict[str, Any], late: Sequence[str]
) -> dict[tuple[str, str], set[str]]:
    """The sessions that are counted already, by type and name of the step."""
    sessions: dict[tuple[str, str], set[str]] = {}
    for kind, name, session_id in connection.query(Query(_SESSIONS_OF, {**values, "late": late})):
        sessions.setdefault((kind, name), set()).add(session_id)
    return sessions
