"""The figures of a dashboard, counted by ClickHouse from the rows of sessions and the tallies.

No thread owns it; the caller passes the connection. The engine returns sums, and the values of each
group with their numbers, so that percentiles are exact; beyond ``EXACT_MOST`` sessions the values
are rounded to three digits. Sessions with late updates that change a figure are summarized one by
one, as in a list. Invariant: a session is either in the engine's sums or summarized, never both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.store import facets
from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.list_conditions import FACETS, OWN, ListConditions
from sessiontrace.store.clickhouse.session_list import SCOPE, bounds_of, fitting, shown
from sessiontrace.store.clickhouse.summaries import patched_event, patches
from sessiontrace.store.dashboard.gathering import Part, figures_of
from sessiontrace.store.dashboard.measures import Call
from sessiontrace.store.dashboard.models import (
    EXACT_MOST,
    MODEL,
    TAG,
    Breakdown,
    Dashboard,
    Group,
    Period,
)
from sessiontrace.store.models import SessionQuery, SessionSummary

__all__ = ["breakdown", "dashboard"]

_HOUR_MS = 3_600_000
_IDS_AT_ONCE = 500
_BEFORE = -1
_ALL_SESSIONS = "SELECT uniqExact(session_id) FROM session_hours WHERE project = {project:String}"

# Scores change no figure; a model, and other late updates that a list shows, may.
_LATE = (
    "SELECT session_id FROM patches WHERE project = {project:String} AND ("
    "JSONHas(body, 'config', 'model') OR JSONHas(body, 'metadata', 'response_model') OR matters "
    "AND notEmpty(arrayFilter(key -> key NOT IN ('event_id', 'session_id', 'feedback'), "
    "JSONExtractKeys(body))))"
)
_NOT_LATE = f"session_id NOT IN ({_LATE})"
# The first digits of a value, in ``value``.
_ROUNDED = "if(value < 1000, value, round(value, DIGITS - 1 - toInt32(floor(log10(value)))))"
_TALLIES = (
    "SELECT session_id, failed, model, called, tokens, cost_nano, unpriced, latency, "
    "first_chunk_us FROM tallies FINAL WHERE project = {project:String}"
)
_STEP_SUMS = (
    "count(), sum(step.failed), sum(step.model), sum(tokens), sum(cost_nano), sum(unpriced)"
)


def dashboard(
    connection: Connection, project: str, query: SessionQuery, period: Period
) -> Dashboard:
    """The figures of the sessions that fit, over the time of their last activity."""
    scan = _Scan.of(connection, project, query, period)
    step = (
        "if(active < {since:UInt64}, [-1], "
        "[intDiv(toInt64(active) - {start:Int64}, {width:Int64})])"
    )
    parts = scan.parts(step)
    for late in scan.late:
        parts.setdefault(_step_of(late.summary.last_active, period), []).append(late.part())
    before = figures_of(parts.pop(_BEFORE, []))
    points = [figures_of(parts.get(at, [])) for at in range(period.count)]
    return Dashboard(points, figures_of([part for own in parts.values() for part in own]), before)


def _step_of(active: int, period: Period) -> int:
    return _BEFORE if active < period.since else (active - period.start) // period.width


def breakdown(
    connection: Connection, project: str, query: SessionQuery, period: Period, by: str
) -> Breakdown:
    """The figures of each value of a dimension."""
    scan = _Scan.of(connection, project, query, period, by)
    parts = scan.model_parts() if by == MODEL else scan.parts(_keys(by))
    for late in scan.late:
        old = late.summary.last_active < period.since
        for value, part in late.parts_by(by):
            parts.setdefault((value, old), []).append(part)
    values = dict.fromkeys(value for value, _ in parts)
    return Breakdown(
        [
            Group(
                value or None,
                figures_of(parts.get((value, False), [])),
                figures_of(parts.get((value, True), [])),
            )
            for value in values
        ]
    )


def _keys(by: str) -> str:
    """The groups that a session is in, each as a pair with whether it is of the period before."""
    values = f"[{by}]"
    if by == TAG:
        lines = "arrayFilter(line -> startsWith(line, 'tag='), facets)"
        tags = f"arrayMap(line -> substring(line, 5), {lines})"
        values = f"if(empty({tags}), [''], {tags})"
    return f"arrayMap(value -> (value, active < {{since:UInt64}}), {values})"


@attrs.frozen
class _Late:
    """A session with late updates: its summary, its calls as they are now, and its facets."""

    summary: SessionSummary
    calls: Sequence[Call]
    lines: Sequence[str]

    def part(self) -> Part:
        own = self.summary
        failed = own.error is not None or own.errors > 0
        chunks = [call.first_chunk for call in self.calls if call.first_chunk is not None]
        return Part(
            (1, failed, own.events, own.errors, own.models, own.tokens, round(own.cost * 1e9),
             own.unpriced),
            [round(own.duration * 1000)], chunks,
        )  # fmt: skip

    def parts_by(self, by: str) -> list[tuple[str, Part]]:
        if by == MODEL:
            models = dict.fromkeys(call.model for call in self.calls)
            return [(model, _part_of_calls(self.calls, model)) for model in models]
        if by == TAG:
            tags = facets.tallied([self.lines]).get(TAG) or {"": 1}
            return [(tag, self.part()) for tag in tags]
        return [(getattr(self.summary, by) or "", self.part())]


def _part_of_calls(calls: Sequence[Call], model: str) -> Part:
    own = [call for call in calls if call.model == model]
    errors = sum(call.failed for call in own)
    return Part(
        (1, errors > 0, len(own), errors, len(own), sum(call.tokens for call in own),
         sum(call.cost_nano for call in own), sum(call.unpriced for call in own)),
        [call.latency for call in own if call.latency is not None],
        [call.first_chunk for call in own if call.first_chunk is not None],
    )  # fmt: skip


@attrs.frozen
class _Scan:
    """The sessions of a query in a period and in the one before it."""

    connection: Connection
    sessions: str
    values: Mapping[str, Any]
    scope: str
    late: Sequence[_Late]

    @classmethod
    def of(
        cls,
        connection: Connection,
        project: str,
        query: SessionQuery,
        period: Period,
        by: str = "",
    ) -> _Scan:
        bounded = attrs.evolve(
            query, since=period.before, until=period.until, order="active", after=None
        )
        conditions = ListConditions.of(connection, project, bounded)
        conditions.needs |= {OWN, FACETS} if by == TAG else {OWN}
        low, high = bounds_of(bounded.conditions)
        values = {
            **conditions.values, "project": project, "low": low, "high": high,
            "first_hour": min(low // _HOUR_MS, 2**32 - 1),
            "last_hour": min(high // _HOUR_MS, 2**32 - 1),
            "since": period.since, "start": period.start, "width": period.width,
        }  # fmt: skip
        columns = ["name", "user", "source", "lasted", *(["facets"] if by == TAG else [])]
        sessions = fitting(conditions, "active", SCOPE, columns)
        ((count,),) = connection.query(Query(f"{_ALL_SESSIONS}{_hours()}", values))
        values["exact"] = int(count <= EXACT_MOST)
        late = _late(connection, project, bounded, sessions, values, by)
        return cls(connection, sessions, values, SCOPE, late)

    def parts(self, keys: str) -> dict[Any, list[Part]]:
        """The parts of each key, from sessions and their steps."""
        own = (
            f"SELECT arrayJoin({keys}) AS key, count(), sum(bad), {_values('lasted * 1000')} "
            f"FROM ({self.sessions}) WHERE {_NOT_LATE} GROUP BY key"
        )
        steps = (
            f"SELECT arrayJoin(keys) AS key, {_STEP_SUMS}, {_values('first_chunk_us', 4)} "
            f"FROM ({_TALLIES}{self.scope}) AS step INNER JOIN "
            f"(SELECT session_id, {keys} AS keys FROM ({self.sessions}) WHERE {_NOT_LATE}) AS own "
            "USING session_id GROUP BY key"
        )
        of_sessions, of_steps = self.connection.ask_all(
            [Query(own, self.values), Query(steps, self.values)]
        )
        sums = {_key(row[0]): row[1:] for row in of_steps}
        nothing: Row = (0, 0, 0, 0, 0, 0, {})
        return {
            _key(key): [_part((count, failed, *sums.get(_key(key), nothing)[:6]), latencies,
                              sums.get(_key(key), nothing)[6])]
            for key, count, failed, latencies in of_sessions
        }  # fmt: skip

    def model_parts(self) -> dict[Any, list[Part]]:
        """The parts of each model, and of whether they are of the period before."""
        rows = self.connection.query(
            Query(
                "SELECT called, active < {since:UInt64} AS old, uniqExact(session_id), "
                f"uniqExactIf(session_id, failed), {_STEP_SUMS}, {_values('latency', 4)}, "
                f"{_values('first_chunk_us', 4)} "
                f"FROM ({_TALLIES}{self.scope} AND model) AS step INNER JOIN "
                f"(SELECT session_id, active FROM ({self.sessions}) WHERE {_NOT_LATE}) AS own "
                "USING session_id GROUP BY called, old",
                self.values,
            )
        )
        return {
            (called, bool(old)): [_part(sums, latencies, chunks)]
            for called, old, *sums, latencies, chunks in rows
        }


def _hours() -> str:
    return " AND hour BETWEEN {first_hour:UInt32} AND {last_hour:UInt32}"


def _values(column: str, digits: int = 0) -> str:
    """How many there are of each value, as ``{value: count}``; of ``digits`` each, or exact."""
    few = _ROUNDED.replace("DIGITS", "3")
    exact = _ROUNDED.replace("DIGITS", str(digits)) if digits else "value"
    value = f"toUInt64(if({{exact:UInt8}}, {exact}, {few}))"
    value = value.replace("value", f"assumeNotNull({column})")
    return f"sumMapIf(map({value}, toUInt64(1)), isNotNull({column}))"


def _key(key: Any) -> Any:
    """A step, or a pair of a value and whether it is of the period before."""
    return (key[0], bool(key[1])) if isinstance(key, list) else key


def _part(sums: Iterable[int], latencies: Mapping[Any, int], chunks: Mapping[Any, int]) -> Part:
    return Part(
        list(sums),
        {int(value): count for value, count in latencies.items()},
        {int(value): count for value, count in chunks.items()},
    )


# -- sessions with late updates ---------------------------------------------------------------

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


def _late(
    connection: Connection,
    project: str,
    query: SessionQuery,
    sessions: str,
    values: Mapping[str, Any],
    by: str,
) -> list[_Late]:
    """The matching sessions with late updates."""
    rows = connection.query(
        Query(f"SELECT * FROM ({sessions}) WHERE session_id IN ({_LATE})", values)
    )
    late: list[_Late] = []
    for begin in range(0, len(rows), _IDS_AT_ONCE):
        chunk = rows[begin : begin + _IDS_AT_ONCE]
        calls = _calls(connection, project, [row[0] for row in chunk])
        lines = {row[0]: row[-1] for row in chunk} if by == TAG else {}
        for _, summary in shown(connection, project, query, [row[:7] for row in chunk]):
            own = summary.session_id
            late.append(_Late(summary, calls.get(own, ()), lines.get(own, ())))
    return late


def _calls(connection: Connection, project: str, ids: Sequence[str]) -> dict[str, list[Call]]:
    """The model calls of sessions, with their late updates."""
    values = {"project": project, "ids": list(ids)}
    changes: dict[str, list[Any]] = {}
    for patch in patches(connection.query(Query(_PATCHES, values))):
        changes.setdefault(patch.event_id, []).append(patch)
    rows: list[Row] = connection.query(Query(_CALLS, {**values, "changed": list(changes)}))
    calls: dict[str, list[Call]] = {}
    for session_id, event_id, role, rank, body in rows:
        row = (event_id, role, rank, body)
        call = patched_event(session_id, row, changes.get(event_id, ())).call() if rank else None
        if call is not None:
            calls.setdefault(session_id, []).append(call)
    return calls
