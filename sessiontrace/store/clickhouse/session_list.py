"""The list of sessions, latest start first, read window by window from the latest hour back.

No thread owns it; the caller passes the connection. Invariant: a session that starts in a window
has events in one of its hours, so that a window misses none; one that starts before the window
belongs to an earlier window. So the cost of a page depends on the page, not on the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.search_terms import SearchTerms, looked_for
from sessiontrace.store.clickhouse.summaries import summaries
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.models import Cursor, SessionPage, SessionQuery, SessionSummary

__all__ = ["Filter", "sessions", "starts_where"]

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
_SCOPE = (
    " AND session_id IN (SELECT session_id FROM session_hours WHERE project = {project:String} "
    "AND hour BETWEEN {first_hour:UInt32} AND {last_hour:UInt32})"
)


@attrs.frozen
class Filter:
    """The conditions of a query on summary rows, beyond the time; ``words`` on records.

    ``values`` are the parameters that they name.
    """

    having: str
    words: SearchTerms | None
    values: dict[str, Any]

    @classmethod
    def of(cls, connection: Connection, project: str, query: SessionQuery) -> Filter:
        """The part of ``query`` for the server; late updates may still exclude sessions."""
        having: list[str] = []
        values: dict[str, Any] = {}
        words = None
        if query.failed:
            having.append("bad")
        if query.text:
            words = looked_for(connection, project, query.text)
            values = {"folded": query.text.casefold(), **(words.values if words else {})}
            having.append("(hit OR named)")
        return cls("".join(f" AND {condition}" for condition in having), words, values)

    @property
    def growth(self) -> int:
        """The factor by which each window is larger than the previous one."""
        return _GROWTH_OF_SCANS if self.words is not None and self.words.scans else _GROWTH


def starts_where(filters: Filter, scope: str = "") -> str:
    """A query for matching sessions: id, start, whether words hit, whether it failed, ms."""
    hit = "0"
    if filters.words is not None:
        within = f"project = {{project:String}}{scope} AND {filters.words.condition}"
        hit = (
            f"session_id IN (SELECT session_id FROM events WHERE {within}) "
            f"OR session_id IN (SELECT session_id FROM patches WHERE {within})"
        )
    name_matches = (
        "max(arrayExists(one -> position(one, {folded:String}) > 0, folded))"
        if "folded" in filters.values
        else "0"
    )
    return f"""
SELECT session_id, start, hit, bad, greatest(end, start) - start AS took FROM (
    SELECT
        session_id,
        min(told_start) AS told,
        min(seen_start) AS seen,
        greatest(max(own_end), max(turns_end)) AS told_end,
        if(told = {NEVER}, seen, told) AS start,
        if(told_end = 0, max(seen_end), told_end) AS end,
        max(failed) AS bad,
        {name_matches} AS named,
        max({hit}) AS hit
    FROM sessions
    WHERE project = {{project:String}}{scope}
    GROUP BY session_id
)
WHERE start BETWEEN {{low:UInt64}} AND {{high:UInt64}}{filters.having}"""


def sessions(connection: Connection, project: str, query: SessionQuery) -> SessionPage:
    """One page of the list."""
    limit = max(1, min(query.limit, _MOST))
    summaries: list[SessionSummary] = []
    for summary in _found(connection, project, query, limit + 1):
        summaries.append(summary)
        if len(summaries) > limit:
            break
    page = summaries[:limit]
    has_more = len(summaries) > limit
    return SessionPage(page, (page[-1].start_time, page[-1].session_id) if has_more else None)


def _found(
    connection: Connection, project: str, query: SessionQuery, most: int
) -> Iterator[SessionSummary]:
    """The matching sessions, at least ``most`` if there are that many."""
    filters = Filter.of(connection, project, query)
    low = query.since or 0
    high = min(NEVER - 1, NEVER - 1 if query.until is None else query.until - 1)
    after = query.after
    if after is not None:
        high = min(high, after[0])
    filtered = bool(filters.having)
    size = max(_FIRST_WINDOW[filtered], 2 * most)
    while low <= high:
        first = _window(connection, project, high, size)
        if first is None:
            return
        begin = max(low, first * _HOUR_MS)
        for rows in _pages(connection, project, filters, (begin, high), after, most):
            yield from _shown(connection, project, query, rows)
        high = begin - 1
        size *= filters.growth


def _window(connection: Connection, project: str, high: int, size: int) -> int | None:
    """The first hour of the window that holds about ``size`` sessions up to ``high``."""
    values = {"project": project, "last_hour": min(high // _HOUR_MS, 2**32 - 1), "size": size}
    ((first, count),) = connection.query(Query(_WINDOW, values))
    if not count:
        return None
    return int(first) if count == size else 0


def _pages(
    connection: Connection,
    project: str,
    filters: Filter,
    bounds: tuple[int, int],
    after: Cursor | None,
    most: int,
) -> Iterator[Sequence[Row]]:
    """The matching sessions of a window, ``most`` at a time."""
    low, high = bounds
    scope = _SCOPE if low else ""
    place = " AND (start, session_id) < ({place_start:UInt64}, {place_id:String})"
    while True:
        text = starts_where(filters, scope) + (place if after is not None else "")
        values = {
            **filters.values, "project": project, "low": low, "high": high, "most": most,
            "first_hour": low // _HOUR_MS, "last_hour": min(high // _HOUR_MS, 2**32 - 1),
        }  # fmt: skip
        if after is not None:
            values |= {"place_start": after[0], "place_id": after[1]}
        text += " ORDER BY start DESC, session_id DESC LIMIT {most:UInt64}"
        rows = connection.query(Query(text, values))
        yield rows
        if len(rows) < most:
            return
        after = (rows[-1][1], rows[-1][0])


def _shown(
    connection: Connection, project: str, query: SessionQuery, rows: Sequence[Row]
) -> Iterator[SessionSummary]:
    """The summaries of these rows, without those that late updates exclude."""
    by_id = summaries(connection, project, [row[0] for row in rows])
    text = query.text.casefold()
    for session_id, start, hit, *_ in rows:
        summary = by_id.get(session_id)
        if summary is None or (query.failed and not (summary.error or summary.errors)):
            continue
        names = "\n".join(filter(None, (summary.name, summary.user, summary.source)))
        if text and not hit and text not in names.casefold():
            continue
        yield attrs.evolve(summary, start_time=start)
