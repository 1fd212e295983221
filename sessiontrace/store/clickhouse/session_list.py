"""The list of sessions in ClickHouse: one row for each session that fits, page by page.

No thread owns it; the caller passes the connection. A list by last activity goes back in windows
of hours, each larger than the one before, until the page is full: a session belongs to the window
of its last activity alone. So the cost of a page depends on the page, not on the history. Filters
and other orders read the roll-ups of all sessions. Invariant: a page holds a session once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.list_conditions import ListConditions
from sessiontrace.store.clickhouse.rollups.times import is_filled
from sessiontrace.store.clickhouse.session_rows import SCOPE, fitting
from sessiontrace.store.clickhouse.summaries import summaries
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.models import Cursor, SessionPage, SessionQuery, SessionSummary
from sessiontrace.store.query.matching import fits, is_judged, is_of_columns
from sessiontrace.store.query.terms import Term

__all__ = ["bounds_of", "scope_of", "sessions", "shown"]

_MOST = 10_000
_HOUR_MS = 3_600_000
_FIRST_WINDOW = {True: 2_000, False: 250}  # with filters that few sessions may pass, and without
_FIRST_FILLED = 250_000  # with filters on columns of roll-ups, which are read without a window
_GROWTH, _GROWTH_OF_SCANS = 40, 10

_WINDOW = """
SELECT min(hour), count() FROM (
    SELECT hour FROM session_hours
    WHERE project = {project:String} AND hour <= {last_hour:UInt32}
    ORDER BY hour DESC LIMIT {size:UInt64}
)
"""


def bounds_of(terms: Sequence[Term]) -> tuple[int, int]:
    """The first and the last Unix ms of the last activity that terms allow."""
    low, high = 0.0, float(NEVER - 1)
    for term in terms:
        if term.field == "active" and not term.negated:
            for bound in term.bounds:
                if bound.operator.startswith(">"):
                    low = max(low, bound.number)
                elif bound.operator.startswith("<"):
                    high = min(high, bound.number)
    return int(low), min(int(high), NEVER - 1)


def scope_of(conditions: ListConditions, *, bounded: bool) -> str:
    """How to narrow the rows to the hours of a query, where reading all of them costs more.

    ``bounded``: the query bounds the last activity.
    """
    narrow = bounded and (
        conditions.texts or not is_filled(conditions.connection, conditions.project)
    )
    return SCOPE if narrow else ""


def sessions(connection: Connection, project: str, query: SessionQuery) -> SessionPage:
    """One page of the list."""
    limit = max(1, min(query.limit, _MOST))
    summaries: list[SessionSummary] = []
    cursors: list[Cursor] = []
    for place, summary in _matches(connection, project, query, limit + 1):
        summaries.append(summary)
        cursors.append((place, summary.session_id))
        if len(summaries) > limit:
            break
    has_more = len(summaries) > limit
    return SessionPage(summaries[:limit], cursors[limit - 1] if has_more else None)


def _matches(
    connection: Connection, project: str, query: SessionQuery, most: int
) -> Iterator[tuple[Any, SessionSummary]]:
    """The matching sessions with their place, at least ``most`` if there are that many."""
    conditions = ListConditions.of(connection, project, query)
    low, high = bounds_of(query.conditions)
    if query.order != "active" or query.ascending:
        scope = scope_of(conditions, bounded=low > 0)
        for rows in _pages(connection, query, conditions, (low, high), most, scope):
            yield from shown(connection, project, query, rows)
        return
    if query.after is not None:
        high = min(high, query.after[0])
    filled = bool(conditions.having) and not conditions.texts and is_filled(connection, project)
    size = max(_FIRST_FILLED if filled else _FIRST_WINDOW[bool(conditions.having)], 2 * most)
    while low <= high:
        first = _window(connection, project, high, size)
        if first is None:
            return
        begin = max(low, first * _HOUR_MS)
        scope = SCOPE if begin and not filled else ""
        for rows in _pages(connection, query, conditions, (begin, high), most, scope):
            yield from shown(connection, project, query, rows)
        high = begin - 1
        size *= _GROWTH_OF_SCANS if conditions.scans else _GROWTH


def _window(connection: Connection, project: str, high: int, size: int) -> int | None:
    """The first hour of the window that holds about ``size`` sessions up to ``high``."""
    values = {"project": project, "last_hour": min(high // _HOUR_MS, 2**32 - 1), "size": size}
    ((first, count),) = connection.query(Query(_WINDOW, values))
    if not count:
        return None
    return int(first) if count == size else 0


def _pages(
    connection: Connection,
    query: SessionQuery,
    conditions: ListConditions,
    bounds: tuple[int, int],
    most: int,
    scope: str,
) -> Iterator[Sequence[Row]]:
    """The matching sessions of a window, ``most`` at a time."""
    (low, high), after = bounds, query.after
    rows_of = fitting(conditions, query.order, scope)
    sign, way = (">", "ASC") if query.ascending else ("<", "DESC")
    kind = "String" if query.order in ("name", "user", "source", "status") else "Float64"
    while True:
        values = {
            **conditions.values, "project": conditions.project, "low": low, "high": high,
            "most": most, "first_hour": min(low // _HOUR_MS, 2**32 - 1),
            "last_hour": min(high // _HOUR_MS, 2**32 - 1),
        }  # fmt: skip
        text = rows_of
        if after is not None:
            text += f" WHERE (place, session_id) {sign} ({{place:{kind}}}, {{place_id:String}})"
            values |= {"place": after[0], "place_id": after[1]}
        text += f" ORDER BY place {way}, session_id {way} LIMIT {{most:UInt64}}"
        rows = connection.query(Query(text, values))
        yield rows
        if len(rows) < most:
            return
        after = (rows[-1][5], rows[-1][0])


def shown(
    connection: Connection, project: str, query: SessionQuery, rows: Sequence[Row]
) -> Iterator[tuple[Any, SessionSummary]]:
    """The summaries of these rows, without those that late updates exclude."""
    by_id = summaries(connection, project, [row[0] for row in rows])
    terms = query.conditions
    for session_id, start, active, _, _, place, sure in rows:
        summary = by_id.get(session_id)
        if summary is None:
            continue
        summary = attrs.evolve(summary, start_time=start, last_active=active)
        if _fits(terms, summary, sure):
            yield place, summary


def _fits(terms: Sequence[Term], summary: SessionSummary, sure: Sequence[int]) -> bool:
    """Whether the merged summary fits; ``sure`` of each free text whether it was in the content."""
    names = "\n".join(filter(None, (summary.name, summary.user, summary.source))).casefold()
    sure_texts = iter(sure)
    for term in terms:
        if term.field == "text":
            fitting = bool(next(sure_texts)) or term.patterns[0].text.casefold() in names
            if fitting == term.negated:
                return False
        elif (is_of_columns(term) or is_judged(term)) and not fits(term, summary):
            return False
    return True
