"""The figures of a dashboard over time, from those of whole hours and from the sessions themselves.

No thread owns it; the caller passes the connection. Whole hours and days come from
``summed_figures`` where nothing but time selects the sessions. The ends of a period, hours that
still change, and filtered sessions are counted one by one. Percentiles are exact at any size.
Invariant: each session is counted in one of the two ways, once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

import attrs

from sessiontrace.store.dashboard.gathering import Part, figures_of, merged
from sessiontrace.store.dashboard.models import Dashboard, Period
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.charts import hours, scan
from sessiontrace.store.sqlite.query_conditions import conditions

__all__ = ["condition_of", "dashboard", "is_filtered"]

_BEFORE = -1


def dashboard(connection: sqlite3.Connection, query: SessionQuery, period: Period) -> Dashboard:
    """The figures of the sessions that fit, over the time of their last activity."""
    parts: dict[int, list[Part]] = {}
    steps = _filtered_steps if is_filtered(query) else _steps
    for step, part in steps(connection, query, period):
        parts.setdefault(step, []).append(part)
    before = figures_of(parts.pop(_BEFORE, []))
    points = {step: merged(own) for step, own in parts.items()}
    return Dashboard(
        [figures_of([points[step]] if step in points else []) for step in range(period.count)],
        figures_of(list(points.values())),
        before,
    )


def _filtered_steps(
    connection: sqlite3.Connection, query: SessionQuery, period: Period
) -> Iterator[tuple[int, Part]]:
    step = scan.Condition(
        f"CASE WHEN last_active < ? THEN {_BEFORE} ELSE (last_active - ?) / ? END",
        (period.since, period.start, period.width),
    )
    return scan.total(connection, condition_of(query, period), step)


def _steps(
    connection: sqlite3.Connection, _: SessionQuery, period: Period
) -> Iterator[tuple[int, Part]]:
    edges = [period.before, period.since]
    edges += [*range(period.start + period.width, period.until, period.width), period.until]
    for step, span in enumerate(pairwise(edges), start=_BEFORE):
        ranges, others = hours.cover(connection, span)
        for within in ranges:
            for part in hours.figures(connection, within):
                yield step, part
        for own in others:
            for _, part in scan.total(connection, scan.Condition.of_time(*own)):
                yield step, part


def is_filtered(query: SessionQuery) -> bool:
    """Whether anything but its own bounds of time selects the sessions."""
    bounds = (query.since is not None) + (query.until is not None)
    return len(query.conditions) > bounds


def condition_of(query: SessionQuery, period: Period) -> scan.Condition:
    """The sessions that fit, in the period and in the one before."""
    bounded = attrs.evolve(query, since=period.before, until=period.until, after=None)
    where, values = conditions(bounded)
    return scan.Condition(" AND ".join(where), values)
