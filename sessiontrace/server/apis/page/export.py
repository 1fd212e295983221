"""The page's API: sessions as JSON lines, those that are selected or all that a query finds.

Runs on the server's loop; each session is read and encoded on a reading thread. Invariant: a line
is a whole session, and a response that a fault cuts off ends its connection, so that no client
takes a part for the whole.

GET /api/sessions.jsonl   the filters of ``list_query``, or ``ids`` with commas between them
"""

from __future__ import annotations

import attrs
import orjson
from aiohttp import web

from sessiontrace.model.errors import StoreError
from sessiontrace.server.apis.page.list_query import session_query, syntax_response
from sessiontrace.server.http import RequestRejected, error_response, with_vendor_errors
from sessiontrace.server.security.request_guard import HEADERS
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.query.parser import QuerySyntaxError
from sessiontrace.store.session_ids import matching_ids
from sessiontrace.views.session_lines import line_of

__all__ = ["routes"]

_MOST_IDS = 1_000
_PAGE = 500


def routes(readers: StoreReaders) -> list[web.RouteDef]:
    """The route over one store."""

    async def lines(request: web.Request) -> web.StreamResponse:
        query = session_query({**request.query, "limit": str(_PAGE)})
        if isinstance(query, QuerySyntaxError):
            return syntax_response(query)
        ids = [text for text in request.query.get("ids", "").split(",") if text]
        if len(ids) > _MOST_IDS:
            raise RequestRejected(400, f"at most {_MOST_IDS} ids at once; use a query")
        if not ids:
            ids = await readers.query(lambda store: matching_ids(store, attrs.evolve(query)))
        response = web.StreamResponse(
            headers={
                **HEADERS,
                "Content-Type": "application/x-ndjson",
                "Content-Disposition": 'attachment; filename="sessions.jsonl"',
                "Cache-Control": "no-store",
            }
        )
        await response.prepare(request)
        for session_id in ids:
            await _write(readers, request, response, session_id)
        await response.write_eof()
        return response

    return [web.get("/api/sessions.jsonl", with_vendor_errors(lines, error_response))]


async def _write(
    readers: StoreReaders, request: web.Request, response: web.StreamResponse, session_id: str
) -> None:
    try:
        line = await readers.query(lambda store: line_of(store, session_id))
    except StoreError:
        if request.transport is not None:
            request.transport.abort()
        raise
    await response.write(line or orjson.dumps({"gone": session_id}) + b"\n")
