"""The figures of a dashboard, counted by SQLite from one narrow index.

No thread owns it; the caller passes the connection. SQLite sums up and joins the values of each
group into one text, so that one row comes back for each group and percentiles are exact at any
size. Invariant: the groups of one query that has no tags or models count each session once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs
import orjson

from sessiontrace.store.dashboard.gathering import Part, figures_of
from sessiontrace.store.dashboard.models import MODEL, TAG, Breakdown, Dashboard, Group, Period
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.query_conditions import conditions

__all__ = ["breakdown", "dashboard"]

_SUMS = 8
_OF_SESSIONS = (
    "count(*), sum(failed), sum(events), sum(errors), sum(models), sum(tokens), sum(cost_nano), "
    "sum(unpriced), group_concat(CAST(round(duration * 1000) AS INTEGER)), "
    "group_concat(nullif(first_chunks, ''))"
)
_OF_MODELS = (
    "count(*), sum(errors > 0), sum(calls), sum(errors), sum(calls), sum(tokens), "
    "sum(cost_nano), sum(unpriced), group_concat(nullif(latencies, '')), "
    "group_concat(nullif(first_chunks, ''))"
)
_MEASURED = "sessions INDEXED BY sessions_measured"
_KEYS = {"name": "name", "user": "user", "source": "source", TAG: "tags"}
_BEFORE = -1

Parts = dict[Any, list[Part]]


def dashboard(connection: sqlite3.Connection, query: SessionQuery, period: Period) -> Dashboard:
    """The figures of the sessions that fit, over the time of their last activity."""
    parts = {step: [_part(columns)] for step, *columns in _by_step(connection, query, period)}
    before = figures_of(parts.pop(_BEFORE, []))
    points = [figures_of(parts.get(step, [])) for step in range(period.count)]
    return Dashboard(points, figures_of([part for own in parts.values() for part in own]), before)


def _by_step(
    connection: sqlite3.Connection, query: SessionQuery, period: Period
) -> Iterator[Sequence[Any]]:
    """The columns of each step that has sessions, behind its number."""
    where, values = _where(query, period)
    if len(query.conditions) > _bounds(query):
        step = "CASE WHEN last_active < ? THEN -1 ELSE (last_active - ?) / ? END"
        yield from connection.execute(
            f"SELECT {step} AS step, {_OF_SESSIONS} FROM {_MEASURED} "  # noqa: S608 - from above
            f"WHERE {where} GROUP BY step",
            (period.since, period.start, period.width, *values),
        )
        return
    # The index is in the order of time: a query for each step sorts nothing.
    edges = [period.before, period.since]
    edges += [*range(period.start + period.width, period.until, period.width), period.until]
    for number, (first, end) in enumerate(pairwise(edges), start=_BEFORE):
        row = connection.execute(
            f"SELECT {_OF_SESSIONS} FROM {_MEASURED} "  # noqa: S608 - from above
            "WHERE last_active >= ? AND last_active < ?",
            (first, end),
        ).fetchone()
        if row[0]:
            yield number, *row


def _bounds(query: SessionQuery) -> int:
    """How many of the conditions of a query are its own bounds of time."""
    return (query.since is not None) + (query.until is not None)


def breakdown(
    connection: sqlite3.Connection, query: SessionQuery, period: Period, by: str
) -> Breakdown:
    """The figures of each value of a dimension."""
    rows = (
        _by_model(connection, query, period)
        if by == MODEL
        else _by_value(connection, query, period, _KEYS[by])
    )
    return Breakdown(_groups(_parted(rows, by), of_calls=by == MODEL))


def _by_value(
    connection: sqlite3.Connection, query: SessionQuery, period: Period, key: str
) -> Iterable[Sequence[Any]]:
    where, values = _where(query, period)
    return connection.execute(
        f"SELECT nullif({key}, '') AS own_key, last_active < ? AS old, {_OF_SESSIONS} "  # noqa: S608
        f"FROM {_MEASURED} WHERE {where} GROUP BY own_key, old",
        (period.since, *values),
    )


def _by_model(
    connection: sqlite3.Connection, query: SessionQuery, period: Period
) -> Iterator[Sequence[Any]]:
    if len(query.conditions) > _bounds(query):
        where, values = conditions(_bounded(query, period))
        yield from connection.execute(
            f"SELECT nullif(model, '') AS own_key, at < ? AS old, {_OF_MODELS} "  # noqa: S608
            "FROM session_models WHERE session IN "
            f"(SELECT id FROM sessions WHERE {' AND '.join(where)}) GROUP BY own_key, old",
            (period.since, *values),
        )
        return
    # The table is in the order of model and time: a query for each model sorts nothing.
    halves = ((True, period.before, period.since), (False, period.since, period.until))
    for model in _models(connection):
        for old, first, end in halves:
            row = connection.execute(
                f"SELECT {_OF_MODELS} FROM session_models "  # noqa: S608 - from above
                "WHERE model = ? AND at >= ? AND at < ?",
                (model, first, end),
            ).fetchone()
            if row[0]:
                yield model or None, old, *row


def _models(connection: sqlite3.Connection) -> Iterator[str]:
    """All models, each found in one step of the index."""
    model = ""
    following = "SELECT min(model) FROM session_models WHERE model > ?"
    while True:
        yield model
        (model,) = connection.execute(following, (model,)).fetchone()
        if model is None:
            return


def _parted(rows: Iterable[Sequence[Any]], by: str) -> Mapping[bool, Parts]:
    """The parts of the groups by value, for the period and, at True, for the one before."""
    parted: dict[bool, Parts] = {False: {}, True: {}}
    for key, old, *columns in rows:
        part = _part(columns)
        for value in key.split("\n") if by == TAG and key else (key,):
            parted[bool(old)].setdefault(value, []).append(part)
    return parted


def _groups(parted: Mapping[bool, Parts], *, of_calls: bool) -> list[Group]:
    now, before = parted[False], parted[True]
    return [
        Group(
            value,
            figures_of(now.get(value, []), of_calls=of_calls),
            figures_of(before.get(value, []), of_calls=of_calls),
        )
        for value in {**now, **before}
    ]


def _part(columns: Sequence[Any]) -> Part:
    latencies, first_chunks = columns[_SUMS:]
    return Part(columns[:_SUMS], _numbers(latencies), _numbers(first_chunks))


def _numbers(text: str | None) -> list[int]:
    return orjson.loads(f"[{text}]") if text else []


def _bounded(query: SessionQuery, period: Period) -> SessionQuery:
    return attrs.evolve(query, since=period.before, until=period.until, after=None)


def _where(query: SessionQuery, period: Period) -> tuple[str, list[Any]]:
    """The condition on the index, and its values."""
    where, values = conditions(_bounded(query, period))
    if len(query.conditions) == _bounds(query):  # the index decides
        return " AND ".join(where), values
    within = f"id IN (SELECT id FROM sessions WHERE {' AND '.join(where)})"  # noqa: S608 - above
    return f"last_active >= ? AND last_active < ? AND {within}", [
        period.before, period.until, *values,
    ]  # fmt: skip
