"""HoneyHive's HTTP API over the local store: the v1 routes, and the older ones.

Runs on the server's loop. Invariant: an answer with status 200 is given when what it is about is
on the disk, and says what HoneyHive's document says of it.

POST /v1/sessions, /session/start                      a session; known ones are merged into
POST /v1/events, /events, /events/model                one event
POST /v1/events/batch, /events/batch, /events/model/batch, /v1/sessions/{id}/events/batch,
     /session/{id}/traces                              many
PUT  /v1/events/{id}, /events                          a late change of an event or session
GET  /v1/events/{id}                                   one event or session
POST /v1/events/search, /v1/events/export              events and sessions by filters, latest first
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.honeyhive import mapping as events
from sessiontrace.server.http import RequestRejected, json_of, json_response, with_vendor_errors
from sessiontrace.server.security.request_context import MAY_READ
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import Change, StoreWriter
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.models import EventQuery
from sessiontrace.store.protocol import Store

__all__ = ["error_response", "routes"]

_SEARCH_MOST = 1000
_EXPORT_MOST = 7500

_CODES = {400: "BAD_REQUEST", 404: "NOT_FOUND", 413: "PAYLOAD_TOO_LARGE", 503: "UNAVAILABLE"}

_Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error_response(status: int, reason: str) -> web.Response:
    """A fault as HoneyHive tells it."""
    body = {
        "statusCode": status,
        "message": reason,
        "success": False,
        "errorCode": _CODES.get(status, "ERROR"),
    }
    return json_response(body, status)


def routes(reading: StoreReaders, writing: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(reading, writing)
    posts: dict[str, _Route] = {
        "/v1/sessions": api.start,
        "/session/start": api.start_wrapped,
        "/v1/events": api.post,
        "/events": api.post_wrapped,
        "/events/model": api.post_model,
        "/v1/events/batch": api.post_batch,
        "/events/batch": api.post_legacy_batch,
        "/events/model/batch": api.post_model_batch,
        "/v1/sessions/{id}/events/batch": api.add,
        "/session/{id}/traces": api.add_traces,
        "/v1/events/search": api.search,
        "/v1/events/export": api.export,
    }
    return [
        *(
            web.post(path, with_vendor_errors(handler, error_response))
            for path, handler in posts.items()
        ),
        web.put("/v1/events/{id}", with_vendor_errors(api.put, error_response)),
        web.put("/events", with_vendor_errors(api.put_legacy, error_response)),
        web.get("/v1/events/{id}", with_vendor_errors(api.get, error_response)),
    ]


class _Api:
    def __init__(self, reading: StoreReaders, writing: StoreWriter) -> None:
        self._reading = reading
        self._writing = writing

    # -- sessions ---------------------------------------------------------------------------

    async def start(self, request: web.Request) -> web.Response:
        return await self._start(await json_of(request))

    async def start_wrapped(self, request: web.Request) -> web.Response:
        return await self._start(_member(await json_of(request), "session"))

    async def _start(self, given: Any) -> web.Response:
        session_id, fields = events.session_start(given)
        may_read = MAY_READ.get()

        def plan(store: Store) -> tuple[Change, dict[str, Any]]:
            known = record_builder.find_session(store, session_id)
            record = events.started(fields, known)
            shown = dict(known or fields)
            if known is not None:
                for name in ("metadata", "user_properties"):
                    if fields.get(name):
                        shown[name] = {**(known.get(name) or {}), **fields[name]}
            return Change([record] if record else []), shown if may_read else dict(fields)

        shown = await self._writing.transact(frozenset((session_id,)), plan)
        return json_response({"children_ids": [], **events.shown(shown)})

    # -- events -----------------------------------------------------------------------------

    async def post(self, request: web.Request) -> web.Response:
        return await self._post_one(events.event(await json_of(request)))

    async def post_wrapped(self, request: web.Request) -> web.Response:
        return await self._post_one(events.event(_member(await json_of(request), "event")))

    async def post_model(self, request: web.Request) -> web.Response:
        given = _member(await json_of(request), "model_event")
        return await self._post_one(events.event(events.model_event(given)))

    async def _post_one(self, made: DecodedRecord) -> web.Response:
        await self._keep([made])
        return json_response({"success": True, "event_id": made.event["event_id"]})

    async def post_batch(self, request: web.Request) -> web.Response:
        return await self._post_many(await json_of(request), "events", strict=True)

    async def post_legacy_batch(self, request: web.Request) -> web.Response:
        return await self._post_many(await json_of(request), "events", strict=False)

    async def post_model_batch(self, request: web.Request) -> web.Response:
        given = await json_of(request)
        listed = [events.model_event(one) for one in _listed(given, "model_events")]
        return await self._post_many({**given, "events": listed}, "events", strict=False)

    async def _post_many(self, given: Any, name: str, *, strict: bool) -> web.Response:
        listed = _listed(given, name)
        single = given.get("single_session") or given.get("is_single_session")
        told_session = given.get("session_properties") or given.get("session")
        session_id = None
        head_record: Record | None = None
        if single:
            session_id = _first_session(listed) or str(uuid.uuid4())
        if session_id is not None or told_session:
            head = dict(told_session) if isinstance(told_session, dict) else {}
            head["session_id"] = session_id = session_id or str(uuid.uuid4())
            _, fields = events.session_start(head)
            fields |= {"event_id": session_id, "session_id": session_id}
            head_record = events.started(fields, None)
        made = [events.event(one, session_id=session_id, strict=strict) for one in listed]
        await self._keep([*made, *([head_record] if head_record else [])])
        ids = [one.event["event_id"] for one in made]
        body: dict[str, Any] = {"event_ids": ids, "success": True}
        return json_response(body | ({"session_id": session_id} if session_id else {}))

    async def add(self, request: web.Request) -> web.Response:
        listed = _listed(await json_of(request), "events")
        return await self._add(request, listed, strict=True)

    async def add_traces(self, request: web.Request) -> web.Response:
        given = await json_of(request)
        if not isinstance(given, dict) or ("logs" in given) == ("events" in given):
            raise RequestRejected(400, "exactly one of logs and events must be given")
        listed = _listed(given, "logs" if "logs" in given else "events")
        return await self._add(request, listed, strict=False)

    async def _add(
        self, request: web.Request, listed: Sequence[Any], *, strict: bool
    ) -> web.Response:
        session_id = request.match_info["id"]
        await self._keep(
            [events.event(one, session_id=session_id, strict=strict) for one in listed]
        )
        return json_response({"success": True})

    async def _keep(self, kept: Sequence[Record | DecodedRecord]) -> None:
        refused = await self._writing.take(kept)
        if refused:
            at, why = next(iter(refused.items()))
            raise RequestRejected(400, f"event {at}: {why}")

    # -- changes ----------------------------------------------------------------------------

    async def put(self, request: web.Request) -> web.Response:
        return await self._put(request.match_info["id"], await json_of(request))

    async def put_legacy(self, request: web.Request) -> web.Response:
        given = await json_of(request)
        event_id = given.get("event_id") if isinstance(given, dict) else None
        if not isinstance(event_id, str) or not event_id:
            raise RequestRejected(400, "event_id must be given")
        return await self._put(event_id, given)

    async def _put(self, event_id: str, given: Any) -> web.Response:
        changes = events.changes(given)

        def plan(store: Store) -> tuple[Change, None]:
            known = store.record(event_id) or {}
            # An id that is not here is a session's whose spans are still on their way: the
            # official client opens sessions by their first span, and enriches them before it.
            session_id = known.get("session_id") or event_id
            settled = dict(changes)
            start = record_builder.number(known.get("start_time"))
            if start is not None and "end_time" in settled and "duration" not in settled:
                settled["duration"] = float(max(0.0, settled["end_time"] - start))
            elif start is not None and "duration" in settled and "end_time" not in settled:
                settled["end_time"] = int(start + settled["duration"])
            written = [record_builder.patch(event_id, session_id, settled)] if settled else []
            return Change(written), None

        await self._writing.transact(frozenset((event_id,)), plan)
        return json_response({"success": True})

    # -- reading ----------------------------------------------------------------------------

    async def get(self, request: web.Request) -> web.Response:
        event_id = request.match_info["id"]
        found = await self._reading.query(lambda store: store.record(event_id))
        if found is None:
            raise RequestRejected(404, "Event not found")
        return json_response({"event": events.shown(found)})

    async def search(self, request: web.Request) -> web.Response:
        given = await json_of(request)
        return await self._find(given, "start_time", "end_time", _SEARCH_MOST, 100)

    async def export(self, request: web.Request) -> web.Response:
        return await self._find(await json_of(request), "$gte", "$lte", _EXPORT_MOST, 1000)

    async def _find(
        self, given: Any, since: str, until: str, most: int, usual: int
    ) -> web.Response:
        if not isinstance(given, dict):
            raise RequestRejected(400, "the body must be an object")
        query = _query(given, since, until, most, usual)
        projection = given.get("projections")

        def find(store: Store) -> dict[str, Any]:
            page = store.events(query)
            shown = [events.projected(events.shown(one), projection) for one in page.events]
            return {"events": shown, "count": page.count, "totalEvents": page.count}

        return json_response(await self._reading.query(find))


def _query(given: dict[str, Any], since: str, until: str, most: int, usual: int) -> EventQuery:
    listed = given.get("filters") or []
    exact: dict[str, str] = {}
    rest: list[Any] = []
    for one in listed if isinstance(listed, list) else [listed]:
        field = one.get("field") if isinstance(one, dict) else None
        plain = field in ("session_id", "event_id") and isinstance(one.get("value"), str)
        if plain and one.get("operator") == "is" and field not in exact:
            exact[str(field)] = one["value"]  # by the index
        else:
            rest.append(one)
    if isinstance(given.get("evaluation_id"), str):
        run = {"field": "metadata.run_id", "operator": "is", "value": given["evaluation_id"]}
        rest.append(run)
    span = given.get("dateRange")
    bounds = span if isinstance(span, dict) else {}
    first, last = record_builder.moment(bounds.get(since)), record_builder.moment(bounds.get(until))
    limit = int(record_builder.number(given.get("limit")) or usual)
    page = int(record_builder.number(given.get("page")) or 1)
    if not 1 <= limit <= most or page < 1:
        raise RequestRejected(400, f"limit must be 1 to {most}, and page at least 1")
    return EventQuery(
        session_id=exact.get("session_id"),
        event_id=exact.get("event_id"),
        since=None if first is None else int(first),
        until=None if last is None else int(last) + 1,
        fits=events.filters(rest),
        skip=(page - 1) * limit,
        limit=limit,
    )


def _member(given: Any, name: str) -> Any:
    if not isinstance(given, dict) or name not in given:
        raise RequestRejected(400, f"{name} must be given")
    return given[name]


def _listed(given: Any, name: str) -> list[Any]:
    found = _member(given, name)
    if not isinstance(found, list):
        raise RequestRejected(400, f"{name} must be a list")
    return found


def _first_session(listed: Sequence[Any]) -> str | None:
    for one in listed:
        found = one.get("session_id") if isinstance(one, dict) else None
        if isinstance(found, str) and found:
            return found
    return None
