"""The page's API: two sessions, or two sets of sessions, side by side.

Runs on the server's loop; reading and aligning run on the reading threads. Invariant: every step of
both sessions is in exactly one pair, and the counts are those of the pairs.

GET /api/compare?a=&b=        two ids -> {left, right, pairs, counts, omitted}
GET /api/compare/sets?a=&b=   two queries, and tz -> {left, right, steps}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from aiohttp import web

from sessiontrace.server.apis.page.answers import answer, requested_session
from sessiontrace.server.apis.page.list_query import session_query, syntax_response
from sessiontrace.server.http import RequestRejected, error_response, with_vendor_errors
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.models import EventSummary, SessionQuery, StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import QuerySyntaxError
from sessiontrace.views.alignment import Pair, align
from sessiontrace.views.session_sets import compared_steps, read_set

__all__ = ["routes"]


def routes(readers: StoreReaders) -> list[web.RouteDef]:
    """The routes over one store."""

    async def sessions(request: web.Request) -> web.Response:
        ids = [request.query.get(side, "") for side in ("a", "b")]
        return await answer(readers, request, lambda store: _sessions(store, ids))

    async def sets(request: web.Request) -> web.Response:
        queries: list[SessionQuery] = []
        for side in ("a", "b"):
            text = request.query.get(side, "")
            query = session_query({"q": text, "tz": request.query.get("tz", "")})
            if isinstance(query, QuerySyntaxError):
                return syntax_response(query, side)
            queries.append(query)
        return await answer(readers, request, lambda store: _sets(store, queries))

    return [
        web.get("/api/compare", with_vendor_errors(sessions, error_response)),
        web.get("/api/compare/sets", with_vendor_errors(sets, error_response)),
    ]


def _sessions(store: Store, ids: Sequence[str]) -> dict[str, Any]:
    left, right = (_session(store, text) for text in ids)
    pairs = align(left.events, right.events)
    return {
        "left": {"session": left.summary.as_json(), "record": left.record},
        "right": {"session": right.summary.as_json(), "record": right.record},
        "pairs": [attrs.asdict(pair) for pair in pairs],
        "counts": _counts(pairs),
        "omitted": [left.omitted, right.omitted],
    }


def _session(store: Store, text: str) -> StoredSession:
    stored = requested_session(store, text)
    if stored is None:
        raise RequestRejected(404, f"the session {text[:100]} is not in this store")
    return stored


def _counts(pairs: Sequence[Pair]) -> dict[str, int]:
    both = [(pair.left, pair.right) for pair in pairs if pair.left and pair.right]
    return {
        "pairs": len(both),
        "left": sum(pair.right is None for pair in pairs),
        "right": sum(pair.left is None for pair in pairs),
        "moved": sum(pair.moved for pair in pairs),
        "renamed": sum(left.name != right.name for left, right in both),
        "failed": sum(_failed(left) != _failed(right) for left, right in both),
    }


def _failed(event: EventSummary) -> bool:
    return event.error is not None


def _sets(store: Store, queries: Sequence[SessionQuery]) -> dict[str, Any]:
    left, right = (read_set(store, query) for query in queries)
    return {
        "left": left.as_json(),
        "right": right.as_json(),
        "steps": compared_steps(left, right),
    }
