"""The page's API: delete sessions.

Runs on the server's loop; the deletion runs on the writer thread. Invariant: nothing is deleted
that the request did not count: a query whose sessions are not as many as expected deletes none.

POST /api/sessions/delete   {ids: [...]} or {q, tz, expect} -> {sessions, steps, remains}
"""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from sessiontrace.server.apis.page.list_query import session_query, syntax_response
from sessiontrace.server.http import (
    RequestRejected,
    error_response,
    json_response,
    read_json,
    with_vendor_errors,
)
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.models import ID_MAX, Erased
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import QuerySyntaxError
from sessiontrace.store.session_ids import matching_ids

__all__ = ["routes"]

_MOST_IDS = 1_000


def routes(writer: StoreWriter) -> list[web.RouteDef]:
    """The route over one store."""

    async def delete(request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict):
            raise RequestRejected(400, "the body must be an object")
        if "q" in body:
            return await _delete_found(writer, body)
        ids = body.get("ids")
        if not isinstance(ids, list) or not all(map(_is_id, ids)):
            raise RequestRejected(400, "ids must be a list of session ids, or q a query")
        if len(ids) > _MOST_IDS:
            raise RequestRejected(400, f"at most {_MOST_IDS} ids at once")
        return json_response(attrs.asdict(await writer.run(lambda store: store.erase(ids))))

    return [web.post("/api/sessions/delete", with_vendor_errors(delete, error_response))]


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_MAX


async def _delete_found(writer: StoreWriter, body: dict[str, Any]) -> web.Response:
    expected = body.get("expect")
    if not isinstance(expected, int) or isinstance(expected, bool):
        raise RequestRejected(400, "expect must be the number of sessions that the query finds")
    query = session_query({"q": str(body["q"]), "tz": str(body.get("tz", 0)), "limit": "500"})
    if isinstance(query, QuerySyntaxError):
        return syntax_response(query)

    def erase(store: Store) -> Erased | int:
        ids = matching_ids(store, query)
        return store.erase(ids) if len(ids) == expected else len(ids)

    erased = await writer.run(erase)
    if isinstance(erased, int):
        raise RequestRejected(409, f"the query finds {erased} sessions, not {expected}")
    return json_response(attrs.asdict(erased))
