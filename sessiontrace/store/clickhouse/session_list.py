"""The list of sessions in ClickHouse: one row for each session that fits, page by page.

No thread owns it; the caller passes the connection. A list by last activity goes back in windows
of hours, each larger than the one before, until the page is full: a session belongs to the window
of its last activity alone. So the cost of a page depends on the page, not on the history. Other
orders read all sessions. Invariant: a page holds a session once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.list_conditions import (
    FACETS,
    NAMES,
    ORDERS,
    OWN,
    SUMS,
    ListConditions,
)
from sessiontrace.store.clickhouse.summaries import summaries
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.models import Cursor, SessionPage, SessionQuery, SessionSummary
from sessiontrace.store.query.matching import fits, is_judged, is_of_columns
from sessiontrace.store.query.terms import Term

__all__ = ["SCOPE", "bounds_of", "fitting", "sessions", "shown"]

_MOST = 10_000
_HOUR_MS = 3_600_000
_FIRST_WINDOW = {True: 2_000, False: 250}  # with filters that few sessions may pass, and without
_GROWTH, _GROWTH_OF_SCANS = 40, 10

_WINDOW = """
SELECT min(hour), count() FROM (
    SELECT hour FROM session_hours
    WHERE project = {project:String} AND hour <= {last_hour:UInt32}
    ORDER BY hour DESC LIMIT {size:UInt64}
)
"""
SCOPE = (
    " AND session_id IN (SELECT session_id FROM session_hours WHERE project = {project:String} "
    "AND hour BETWEEN {first_hour:UInt32} AND {last_hour:UInt32})"
)
"""The condition that a session had something begin or end in these hours."""
_OWN_STATES = """
        argMaxIfMerge(own) AS own,
        argMinIfMerge(first_turn) AS first_turn,
        argMaxIfMerge(last_turn) AS last_turn,
        argMaxIfMerge(last_user) AS last_user,"""
_OWN_COLUMNS = """
    JSONExtractString(own, 1, 'name') AS own_name,
    JSONExtractString(own, 1, 'user') AS own_user,
    JSONExtractString(own, 1, 'source') AS own_source,
    if(own_name != '', own_name, JSONExtractString(first_turn, 1, 3)) AS name,
    if(own_source != '', own_source, JSONExtractString(first_turn, 1, 4)) AS source,
    if(own_user != '', own_user, JSONExtractString(last_user, 3, 4)) AS user,
    if(own = '' OR first_turn != '' OR JSONExtractUInt(own, 2) = 1
            OR JSONType(own, 1, 'duration') NOT IN ('Double', 'Int64', 'UInt64'),
        toFloat64(greatest(end, start) - start), JSONExtractFloat(own, 1, 'duration')) AS lasted,"""
_SUM_COLUMNS = """
    steps, errors, tokens, cost_nano, mapKeys(scores) AS score_names,
    mapValues(scores) AS score_sums, mapValues(score_numbers) AS score_counts,
    if(empty(score_sums), -9e99,
        arrayAvg(arrayMap((total, number) -> total / number, score_sums, score_counts))) AS score,
    JSONLength(own, 1, 'scores') > 0 AS own_scores,
    JSONExtractString(own, 1, 'status') AS own_status,
    JSONExtractString(last_turn, 2, 4) AS turn_status,
    multiIf(
        JSONExtractUInt(own, 2) = 1 OR unended > 0, 'open',
        own = '' AND last_turn = '' AND steps > 0, 'ended',
        own_status != '', own_status, turn_status != '', turn_status, 'open') AS status,
    JSONExtractString(own, 1, 'error') AS own_error,
    if(status = 'ended' AND own_error != '', 'failed', status) AS outcome,"""
_SUMS = """
LEFT JOIN (
    SELECT
        session_id, count() AS steps, sum(bad) AS errors, sum(used) AS tokens,
        sum(nano) AS cost_nano, sum(open) AS unended, sumMap(rated) AS scores,
        sumMap(mapApply((label, _) -> (label, toUInt64(1)), rated)) AS score_numbers
    FROM (
        SELECT
            session_id, step, failed AS bad, tallies.tokens AS used, tallies.cost_nano AS nano,
            open, tallies.scores AS rated
        FROM tallies
        WHERE project = {project:String}{scope}
        ORDER BY session_id, step, version DESC
        LIMIT 1 BY session_id, step
    )
    GROUP BY session_id
) AS sums USING session_id"""


def fitting(
    conditions: ListConditions, order: str, scope: str = "", columns: Sequence[str] = ()
) -> str:
    """A query for matching sessions: id, start, last activity, failed, ms, order, sure texts.

    ``columns`` are further ones of those that the conditions need.
    """
    needs = conditions.needs
    needs_own = OWN in needs or SUMS in needs
    arrays = [name for name in (FACETS, NAMES) if name in needs]
    gathered = "".join(
        f",\n        groupUniqArrayArray(sessions.{name}) AS {name}" for name in arrays
    )
    having = "".join(f" AND {condition}" for condition in conditions.having)
    texts = ", ".join(f"toUInt8({text})" for text in conditions.texts)
    query = f"""
SELECT session_id, start, active, bad, took, {ORDERS[order][0]} AS place, [{texts}] AS sure
    {"".join(f", {name}" for name in columns)}
FROM (
SELECT
    session_id, start, greatest(told_end, seen_end, start) AS active, bad,
    {"".join(f"{name}, " for name in arrays)}
    {_OWN_COLUMNS if needs_own else ""}{_SUM_COLUMNS if SUMS in needs else ""}
    greatest(end, start) - start AS took
FROM (
    SELECT
        session_id,{_OWN_STATES if needs_own else ""}
        min(told_start) AS told,
        min(seen_start) AS seen,
        max(sessions.seen_end) AS seen_end,
        greatest(max(own_end), max(turns_end)) AS told_end,
        if(told = {NEVER}, seen, told) AS start,
        if(told_end = 0, seen_end, told_end) AS end,
        max(sessions.failed) AS bad{gathered}
    FROM sessions
    WHERE project = {{project:String}}{{scope}}
    GROUP BY session_id
) AS parts{_SUMS if SUMS in needs else ""}
WHERE start < {NEVER}
)
WHERE active BETWEEN {{low:UInt64}} AND {{high:UInt64}}{having}"""
    return query.replace("{scope}", scope)


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
        for rows in _pages(connection, query, conditions, (low, high), query.after, most):
            yield from shown(connection, project, query, rows)
        return
    if query.after is not None:
        high = min(high, query.after[0])
    size = max(_FIRST_WINDOW[bool(conditions.having)], 2 * most)
    while low <= high:
        first = _window(connection, project, high, size)
        if first is None:
            return
        begin = max(low, first * _HOUR_MS)
        for rows in _pages(connection, query, conditions, (begin, high), query.after, most):
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
    after: Cursor | None,
    most: int,
) -> Iterator[Sequence[Row]]:
    """The matching sessions of a window, ``most`` at a time."""
    low, high = bounds
    rows_of = fitting(conditions, query.order, SCOPE if low else "")
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
            text += f" AND (place, session_id) {sign} ({{place:{kind}}}, {{place_id:String}})"
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
