"""The page's dashboard: figures over time, and by model, name, user, source or tag.

Runs on the server's loop; reading and encoding run on the reading threads. Invariant: a request
counts the sessions that ``GET /api/sessions`` lists for the same filters and times.

Both take the filters of ``list_query``. Without ``since`` they count the last 7 days; without
``until`` up to now, and to the end of the step of time that holds now.

GET /api/dashboard        {since, until, start, width, before, points, total, previous}; ``before``
                          is where the period of equal length begins that ``previous`` sums up
GET /api/dashboard/groups {by, groups, omitted}; ``by`` is one of ``DIMENSIONS``, the default is
                          model; ``rank`` one of ``RANKS``, which says which 100 groups come first
"""

from __future__ import annotations

import time
from typing import Any

import attrs
from aiohttp import web

from sessiontrace.server.apis.page.answers import answer
from sessiontrace.server.apis.page.list_query import session_query, syntax_response, zone_of
from sessiontrace.server.http import RequestRejected, error_response, with_vendor_errors
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.dashboard.models import (
    DIMENSIONS,
    LEVELS,
    MODEL,
    Period,
)
from sessiontrace.store.dashboard.ranking import RANKS
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import QuerySyntaxError

__all__ = ["routes"]

_WEEK_MS = 7 * 86_400_000
_ROUND_MS = 10_000  # so that a request that is repeated at once gets the same answer


def routes(readers: StoreReaders) -> list[web.RouteDef]:
    """The routes of the dashboard over one store."""

    async def dashboard(request: web.Request) -> web.Response:
        query = session_query(request.query)
        if isinstance(query, QuerySyntaxError):
            return syntax_response(query)
        period = _period(request, query)
        return await answer(readers, request, lambda store: _dashboard(store, query, period))

    async def groups(request: web.Request) -> web.Response:
        by = _one_of(request, "by", DIMENSIONS, MODEL)
        rank = _one_of(request, "rank", RANKS, "cost")
        query = session_query(request.query)
        if isinstance(query, QuerySyntaxError):
            return syntax_response(query)
        period = _period(request, query)
        return await answer(readers, request, lambda store: _groups(store, query, period, by, rank))

    return [
        web.get("/api/dashboard", with_vendor_errors(dashboard, error_response)),
        web.get("/api/dashboard/groups", with_vendor_errors(groups, error_response)),
    ]


def _one_of(request: web.Request, name: str, values: Any, default: str) -> str:
    value = request.query.get(name) or default
    if value not in values:
        raise RequestRejected(400, f"{name} must be one of {', '.join(values)}")
    return value


def _period(request: web.Request, query: SessionQuery) -> Period:
    now = time.time_ns() // 1_000_000 // _ROUND_MS * _ROUND_MS
    until = now if query.until is None else query.until
    since = max(0, until - _WEEK_MS) if query.since is None else query.since
    offset = zone_of(request.query).utcoffset(None).total_seconds()
    return Period.of(since, until, now, round(offset * 1000))


def _dashboard(store: Store, query: SessionQuery, period: Period) -> dict[str, Any]:
    dashboard = store.dashboard(query, period)
    return {
        **attrs.asdict(period),
        "levels": LEVELS,
        "points": [figures.as_json() for figures in dashboard.points],
        "total": dashboard.total.as_json(),
        "previous": dashboard.before.as_json(),
    }


def _groups(
    store: Store, query: SessionQuery, period: Period, by: str, rank: str
) -> dict[str, Any]:
    breakdown = store.breakdown(query, period, by, rank)
    return {
        "by": by,
        "groups": [
            {"value": group.value, **group.figures.as_json(), "previous": group.before.as_json()}
            for group in breakdown.groups
        ],
        "omitted": breakdown.omitted,
    }
