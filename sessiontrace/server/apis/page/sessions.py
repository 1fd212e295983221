"""The page's API: sessions, one session, one event.

Runs on the server's loop; reading and encoding run on the reading threads. Invariant: a response is
complete or an error that says what is wrong; numbers in a query are checked and clamped.

GET /api/sessions        the parameters of ``list_query`` -> {sessions, next}
GET /api/histogram       the same filters -> {start, width, sessions, failed, durations, bounds}
GET /api/filters         {keys, values}: what a query may ask for, and the latest sessions' values
GET /api/sessions/{id}   {session, record, events, omitted}; the id may be the application's own
GET /api/sessions/{id}/thread    the parameters of ``thread`` -> {session, record, turns, next, ...}
GET /api/sessions/{id}/steps?q=   {steps}: ids of the steps that contain the text
GET /api/events/{id}     the whole record of one step
GET /api/about           {version, store, unindexed, may_score, otlp}: otlp counts what came by OTLP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import orjson
from aiohttp import web

from sessiontrace.server.apis.page.answers import answer, requested_session
from sessiontrace.server.apis.page.list_query import filters, session_query, syntax_response
from sessiontrace.server.apis.page.thread import thread, thread_query
from sessiontrace.server.http import (
    error_response,
    json_response,
    with_vendor_errors,
)
from sessiontrace.server.intake_counts import IntakeCounts
from sessiontrace.server.security.request_context import MAY_SCORE
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.histogram import DURATIONS_MS
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import QuerySyntaxError

__all__ = ["About", "routes"]

_TEXT_CHARS = 200


@attrs.frozen
class About:
    """What the page shows about the server: the package's version and the store's name."""

    version: str
    store: str


def routes(readers: StoreReaders, about: About, counts: IntakeCounts) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(readers, about, counts)
    gets = {
        "/api/sessions": api.sessions,
        "/api/sessions/{id}": api.session,
        "/api/sessions/{id}/steps": api.steps,
        "/api/sessions/{id}/thread": api.thread,
        "/api/events/{id}": api.event,
        "/api/histogram": api.histogram,
        "/api/filters": api.filters,
        "/api/about": api.about,
    }
    return [
        web.get(path, with_vendor_errors(handler, error_response)) for path, handler in gets.items()
    ]


class _Api:
    def __init__(self, readers: StoreReaders, about: About, counts: IntakeCounts) -> None:
        self._readers = readers
        self._about = about
        self._counts = counts

    async def sessions(self, request: web.Request) -> web.Response:
        query = session_query(request.query)
        if isinstance(query, QuerySyntaxError):
            return syntax_response(query)
        with_preview = request.query.get("preview") == "1"
        return await self._answer(request, lambda store: _sessions(store, query, with_preview))

    async def histogram(self, request: web.Request) -> web.Response:
        query = session_query(request.query)
        if isinstance(query, QuerySyntaxError):
            return syntax_response(query)
        return await self._answer(request, lambda store: _histogram(store, query))

    async def filters(self, request: web.Request) -> web.Response:
        return await self._answer(request, filters)

    async def session(self, request: web.Request) -> web.Response:
        session_id = request.match_info["id"]
        return await self._answer(request, lambda store: _session(store, session_id))

    async def steps(self, request: web.Request) -> web.Response:
        session_id = request.match_info["id"]
        text = request.query.get("q", "")[:_TEXT_CHARS]
        return await self._answer(
            request, lambda store: {"steps": store.find_steps(session_id, text) if text else []}
        )

    async def thread(self, request: web.Request) -> web.Response:
        query = thread_query(request)
        return await self._answer(request, lambda store: thread(store, query))

    async def event(self, request: web.Request) -> web.Response:
        event_id = request.match_info["id"]
        return await self._answer(request, lambda store: store.event(event_id))

    async def about(self, request: web.Request) -> web.Response:
        unindexed = await self._readers.query(lambda store: store.unindexed())
        about = {
            **attrs.asdict(self._about),
            "unindexed": unindexed,
            "may_score": MAY_SCORE.get(),
        }
        return json_response({**about, "otlp": self._counts.as_json()})

    async def _answer(self, request: web.Request, question: Callable[[Store], Any]) -> web.Response:
        return await answer(self._readers, request, question)


def _sessions(store: Store, query: SessionQuery, with_preview: bool) -> dict[str, Any]:
    page = store.sessions(query)
    after = None if page.next is None else orjson.dumps(page.next).decode()
    sessions = [session.as_json() for session in page.sessions]
    if with_preview:
        previews = store.previews([session.session_id for session in page.sessions])
        for session in sessions:
            session["preview"] = previews.get(session["session_id"])
    return {"sessions": sessions, "next": after}


def _session(store: Store, session_id: str) -> dict[str, Any] | None:
    stored = requested_session(store, session_id)
    if stored is None:
        return None
    return {
        "session": stored.summary.as_json(),
        "record": stored.record,
        "events": [attrs.asdict(event) for event in stored.events],
        "omitted": stored.omitted,
    }


def _histogram(store: Store, query: SessionQuery) -> dict[str, Any]:
    histogram = store.histogram(query)
    if histogram is None:
        return {"start": 0, "width": 0, "sessions": [], "failed": [], "durations": [], "bounds": []}
    return {**attrs.asdict(histogram), "bounds": DURATIONS_MS}
