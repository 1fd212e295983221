"""The figures of a dashboard, counted by ClickHouse from the rows of sessions.

No thread owns it; the caller passes the connection. Percentiles are exact; those of calls are of
times of four digits. Sessions with late updates that have not settled are summarized one by one, as
in a list, and passed to ClickHouse as rows. Invariant: a session is a row once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.list_conditions import (
    CALLS,
    FACETS,
    NAMES,
    OWN,
    SUMS,
    TAGS,
    ListConditions,
)
from sessiontrace.store.clickhouse.rollups.amended import (
    AMENDED,
    AMENDED_COLUMNS,
    AMENDED_FIGURES,
    rollups_of,
)
from sessiontrace.store.clickhouse.rollups.tables import CALL_COLUMNS, COLUMNS
from sessiontrace.store.clickhouse.rollups.time_codes import time_of
from sessiontrace.store.clickhouse.session_list import bounds_of, scope_of
from sessiontrace.store.clickhouse.session_rows import WRITTEN, fitting
from sessiontrace.store.dashboard.models import (
    LEVELS,
    MODEL,
    TAG,
    Breakdown,
    Dashboard,
    Figures,
    Group,
    Percentiles,
    Period,
)
from sessiontrace.store.dashboard.ranking import breakdown_of
from sessiontrace.store.models import SessionQuery

__all__ = ["breakdown", "dashboard"]

_HOUR_MS = 3_600_000
_FIGURES = (
    "sessions", "failed", "steps", "errors", "calls", "tokens", "cost_nano", "unpriced",
)  # fmt: skip
_BEFORE, _TOTAL = -1, -2

# What figures need of a session, with their types in rows that are passed.
_TYPES = {
    "active": "UInt64", "bad": "UInt8", "name": "String", "user": "String", "source": "String",
    "lasted": "Float64", "steps": "UInt64", "errors": "UInt64", "calls": "UInt64",
    "tokens": "UInt64", "cost_nano": "UInt64", "unpriced": "UInt64",
    **dict.fromkeys(CALL_COLUMNS, "Array(UInt64)"), "call_models": "Array(String)",
    **dict.fromkeys(CALL_COLUMNS[-2:], "Array(Array(UInt16))"), "facets": "Array(String)",
}  # fmt: skip
_COLUMNS = ", ".join(_TYPES).replace("facets", "tags")
_PLACES = [COLUMNS.index(name) for name in _TYPES]
_PASSED = ", ".join(f"row.{at + 1}" for at in range(len(_TYPES)))
_PASSED_TYPE = f"Array(Tuple({', '.join(_TYPES.values())}))"
_PASSED_BYTES = 64 * 1024  # of a parameter: an HTTP server bounds its size

_LEVELS = ", ".join(map(str, LEVELS))
_LATENCIES = f"count(), quantilesExact({_LEVELS})(toUInt64(round(greatest(lasted, 0) * 1000)))"
_SUMS = (
    "count(), sum(bad), sum(steps), sum(errors), sum(calls), sum(tokens), sum(cost_nano), "
    "sum(unpriced)"
)
_SUMS_OF_MODEL = (
    "count(), countIf(call_errors > 0), sum(call_counts), sum(call_errors), sum(call_counts), "
    "sum(call_tokens), sum(call_costs), sum(call_unpriced)"
)


def _times(codes: str) -> str:
    """How many times there are, and their percentiles, as codes."""
    return f"sum(length({codes})), quantilesExactArray({_LEVELS})({codes})"


def dashboard(
    connection: Connection, project: str, query: SessionQuery, period: Period
) -> Dashboard:
    """The figures of the sessions that fit, over the time of their last activity."""
    scan = _Scan.of(connection, project, query, period)
    step = (
        f"if(active < {{since:UInt64}}, [{_BEFORE}], "
        f"[intDiv(toInt64(active) - {{start:Int64}}, {{width:Int64}}), {_TOTAL}])"
    )
    figures = scan.figures(step)
    points = [figures.get(at, Figures()) for at in range(period.count)]
    return Dashboard(points, figures.get(_TOTAL, Figures()), figures.get(_BEFORE, Figures()))


def breakdown(
    connection: Connection,
    project: str,
    query: SessionQuery,
    period: Period,
    by: str,
    order: tuple[str, int],
) -> Breakdown:
    """The figures of each value of a dimension; ``order`` is one of ``RANKS`` and how many come."""
    scan = _Scan.of(connection, project, query, period)
    figures = scan.figures_of_models() if by == MODEL else scan.figures(_keys(by))
    groups = (
        Group(
            value or None,
            figures.get((value, False), Figures()),
            figures.get((value, True), Figures()),
        )
        for value in dict.fromkeys(value for value, _ in figures)
    )
    return breakdown_of(groups, *order)


def _keys(by: str) -> str:
    """The groups that a session is in, each as a pair with whether it is of the period before."""
    values = f"[{by}]"
    if by == TAG:
        tags = "arrayMap(line -> substring(line, 5), tags)"
        values = f"if(empty(tags), [''], {tags})"
    return f"arrayMap(value -> (value, active < {{since:UInt64}}), {values})"


@attrs.frozen
class _Scan:
    """The sessions of a query in a period and in the one before it, as a query for their rows."""

    connection: Connection
    sessions: str
    values: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        connection: Connection,
        project: str,
        query: SessionQuery,
        period: Period,
    ) -> _Scan:
        bounded = attrs.evolve(
            query, since=period.before, until=period.until, order="active", after=None
        )
        conditions = ListConditions.of(connection, project, bounded)
        low, high = bounds_of(bounded.conditions)
        scope = scope_of(conditions, bounded=True)
        values = {
            **conditions.values, "project": project, "low": low, "high": high,
            "first_hour": min(low // _HOUR_MS, 2**32 - 1),
            "last_hour": min(high // _HOUR_MS, 2**32 - 1),
            "since": period.since, "start": period.start, "width": period.width,
        }  # fmt: skip
        scored = any(term.field == "score" for term in bounded.conditions)
        amended = AMENDED if scored else AMENDED_FIGURES
        late = _late(connection, bounded, conditions, (scope, amended), values)
        conditions.needs |= {OWN, SUMS, CALLS, TAGS}
        columns = [*_COLUMNS.split(", ")[2:], "late"]
        rows = fitting(conditions, "active", scope, columns, amended)
        sessions = f"SELECT {_COLUMNS} FROM ({rows}) WHERE NOT late"
        for at, passed in enumerate(late):
            values[f"late{at}"] = passed
            rows = f"SELECT arrayJoin(JSONExtract({{late{at}:String}}, '{_PASSED_TYPE}')) AS row"
            sessions += f"\nUNION ALL SELECT {_PASSED} FROM ({rows})"
        return cls(connection, sessions, values)

    def figures(self, keys: str) -> dict[Any, Figures]:
        """The figures of each key, from sessions."""
        rows = self.connection.query(
            Query(
                f"SELECT arrayJoin({keys}) AS key, {_SUMS}, {_LATENCIES}, "
                f"{_times('arrayFlatten(call_chunks)')} FROM ({self.sessions}) GROUP BY key",
                self.values,
            )
        )
        return {_key(key): _figures(own, lambda micros: micros) for key, *own in rows}

    def figures_of_models(self) -> dict[Any, Figures]:
        """The figures of each model, and of whether they are of the period before."""
        rows = self.connection.query(
            Query(
                f"SELECT call_models, active < {{since:UInt64}} AS old, {_SUMS_OF_MODEL}, "
                f"{_times('call_latencies')}, {_times('call_chunks')} FROM ({self.sessions}) "
                f"ARRAY JOIN {', '.join(CALL_COLUMNS)} GROUP BY call_models, old",
                self.values,
            )
        )
        return {(model, bool(old)): _figures(own, time_of) for model, old, *own in rows}


def _key(key: Any) -> Any:
    """A step, or a pair of a value and whether it is of the period before."""
    return (key[0], bool(key[1])) if isinstance(key, list) else key


def _figures(row: Sequence[Any], micros: Callable[[int], int]) -> Figures:
    """``micros``: what a latency is in µs."""
    *sums, latencies, of_latencies, chunks, of_chunks = row
    return Figures(
        **dict(zip(_FIGURES, sums, strict=True)),
        latency=_percentiles([micros(value) for value in of_latencies] if latencies else ()),
        first_chunk=_percentiles([time_of(value) for value in of_chunks] if chunks else ()),
    )


def _percentiles(times: Sequence[int]) -> Percentiles | None:
    if not times:
        return None
    p50, p95, p99 = (time / 1000 for time in times)
    return p50, p95, p99


def _late(
    connection: Connection,
    query: SessionQuery,
    conditions: ListConditions,
    rows_of: tuple[str, str],
    values: Mapping[str, Any],
) -> list[str]:
    """The matching sessions with late updates that have not settled, as JSON to pass.

    ``rows_of``: the scope of the rows, and the query for sessions with late updates.
    """
    scope, amended = rows_of
    own = attrs.evolve(conditions, needs={*conditions.needs, FACETS, NAMES, WRITTEN})
    columns = ["facets", "folded", "written", "late"]
    matching = fitting(own, "active", scope, columns, amended, settled=False)
    rows = connection.query(
        Query(
            f"SELECT session_id, start, active, bad, took, place, sure, {AMENDED_COLUMNS} "
            f"FROM ({matching}) WHERE late",
            values,
        )
    )
    passed: list[list[bytes]] = []
    size = _PASSED_BYTES
    for rollup in rollups_of(connection, conditions.project, query, rows):
        row = [rollup[place] for place in _PLACES]
        row[-1] = [line for line in row[-1] if line.startswith("tag=")]
        text = orjson.dumps(row)
        if size + len(text) > _PASSED_BYTES:
            passed.append([])
            size = 0
        passed[-1].append(text)
        size += len(text)
    return [f"[{b','.join(texts).decode()}]" for texts in passed]
