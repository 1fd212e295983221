"""HoneyHive's HTTP API over the local store: the v1 routes, and the older ones.

Runs on the server's loop. Invariant: the server answers 200 once the request's records are on the
disk, with the body that HoneyHive's API document describes.

POST /v1/sessions, /session/start                      a session; merged into a stored one
POST /v1/events, /events, /events/model                one event
POST /v1/events/batch, /events/batch, /events/model/batch, /v1/sessions/{id}/events/batch,
     /session/{id}/traces                              many
PUT  /v1/events/{id}, /events                          a late change of an event or session
GET  /v1/events/{id}                                   one event or session
GET  /v1/events/schema                                 the fields that events have
POST /v1/events/search, /v1/events/export              events and sessions by filters, latest first
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from sessiontrace.model.json_depth import TOO_DEEP, is_too_deep
from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.honeyhive import mapping
from sessiontrace.server.apis.honeyhive.event_schema import schema_of, schema_query
from sessiontrace.server.http import (
    RequestRejected,
    json_response,
    read_json,
    read_json_batch,
    with_vendor_errors,
)
from sessiontrace.server.security.request_context import MAY_READ
from sessiontrace.server.store_changes import Change
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.models import ID_MAX, EventQuery
from sessiontrace.store.protocol import Store

__all__ = ["error_response", "routes"]

_SEARCH_MOST = 1000
_EXPORT_MOST = 7500

_CODES = {400: "BAD_REQUEST", 404: "NOT_FOUND", 413: "PAYLOAD_TOO_LARGE", 503: "UNAVAILABLE"}

_Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error_response(status: int, reason: str) -> web.Response:
    """An error in HoneyHive's form."""
    body = {
        "statusCode": status,
        "message": reason,
        "success": False,
        "errorCode": _CODES.get(status, "ERROR"),
    }
    return json_response(body, status)


def routes(readers: StoreReaders, writer: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(readers, writer)
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
        web.get("/v1/events/schema", with_vendor_errors(api.schema, error_response)),  # before {id}
        web.get("/v1/events/{id}", with_vendor_errors(api.get, error_response)),
    ]


class _Api:
    def __init__(self, readers: StoreReaders, writer: StoreWriter) -> None:
        self._readers = readers
        self._writer = writer

    # -- sessions ---------------------------------------------------------------------------

    async def start(self, request: web.Request) -> web.Response:
        return await self._start(await read_json(request))

    async def start_wrapped(self, request: web.Request) -> web.Response:
        return await self._start(_member(await read_json(request), "session"))

    async def _start(self, body: Any) -> web.Response:
        session_id, fields = mapping.parse_session(body)
        may_read = MAY_READ.get()

        def plan(store: Store) -> tuple[Change, dict[str, Any]]:
            stored = record_builder.find_session(store, session_id)
            record = mapping.session_record(fields, stored)
            session = dict(stored or fields)
            if stored is not None:
                for name in ("metadata", "user_properties"):
                    if fields.get(name):
                        session[name] = {**(stored.get(name) or {}), **fields[name]}
            return Change([record] if record else []), session if may_read else dict(fields)

        session = await self._writer.transact(frozenset((session_id,)), plan)
        return json_response({"children_ids": [], **mapping.event_response(session)})

    # -- events -----------------------------------------------------------------------------

    async def post(self, request: web.Request) -> web.Response:
        return await self._post_one(mapping.event_record(await read_json(request)))

    async def post_wrapped(self, request: web.Request) -> web.Response:
        event = _member(await read_json(request), "event")
        return await self._post_one(mapping.event_record(event))

    async def post_model(self, request: web.Request) -> web.Response:
        body = _member(await read_json(request), "model_event")
        return await self._post_one(mapping.event_record(mapping.model_event(body)))

    async def _post_one(self, record: DecodedRecord) -> web.Response:
        await self._keep([record])
        return json_response({"success": True, "event_id": record.event["event_id"]})

    async def post_batch(self, request: web.Request) -> web.Response:
        return await self._post_many(await read_json_batch(request), strict=True)

    async def post_legacy_batch(self, request: web.Request) -> web.Response:
        return await self._post_many(await read_json_batch(request), strict=False)

    async def post_model_batch(self, request: web.Request) -> web.Response:
        body = await read_json_batch(request)
        models = [mapping.model_event(model) for model in _listed(body, "model_events")]
        return await self._post_many({**body, "events": models}, strict=False)

    async def _post_many(self, body: Any, *, strict: bool) -> web.Response:
        entries = _listed(body, "events")
        is_single = body.get("single_session") or body.get("is_single_session")
        properties = body.get("session_properties") or body.get("session")
        session_id = None
        session: Record | None = None
        if is_single:
            session_id = _first_session(entries) or str(uuid.uuid4())
        if session_id is not None or properties:
            description = dict(properties) if isinstance(properties, dict) else {}
            description["session_id"] = session_id = session_id or str(uuid.uuid4())
            _, fields = mapping.parse_session(description)
            fields |= {"event_id": session_id, "session_id": session_id}
            session = mapping.session_record(fields, None)
        records, refusal = _records(entries, session_id, strict)
        await self._keep([*records, *([session] if session else [])])
        if refusal is not None:
            raise refusal
        ids = [record.event["event_id"] for record in records]
        response: dict[str, Any] = {"event_ids": ids, "success": True}
        return json_response(response | ({"session_id": session_id} if session_id else {}))

    async def add(self, request: web.Request) -> web.Response:
        entries = _listed(await read_json_batch(request), "events")
        return await self._add(request, entries, strict=True)

    async def add_traces(self, request: web.Request) -> web.Response:
        body = await read_json_batch(request)
        if not isinstance(body, dict) or ("logs" in body) == ("events" in body):
            raise RequestRejected(400, "exactly one of logs and events must be given")
        entries = _listed(body, "logs" if "logs" in body else "events")
        return await self._add(request, entries, strict=False)

    async def _add(
        self, request: web.Request, entries: Sequence[Any], *, strict: bool
    ) -> web.Response:
        records, refusal = _records(entries, request.match_info["id"], strict)
        await self._keep(records)
        if refusal is not None:
            raise refusal
        return json_response({"success": True})

    async def _keep(self, records: Sequence[Record | DecodedRecord]) -> None:
        faults = await self._writer.write(records)
        if faults:
            at, why = next(iter(faults.items()))
            raise RequestRejected(400, f"event {at}: {why}")

    # -- changes ----------------------------------------------------------------------------

    async def put(self, request: web.Request) -> web.Response:
        return await self._put(request.match_info["id"], await read_json(request))

    async def put_legacy(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        event_id = body.get("event_id") if isinstance(body, dict) else None
        if not isinstance(event_id, str) or not event_id:
            raise RequestRejected(400, "event_id must be given")
        return await self._put(event_id, body)

    async def _put(self, event_id: str, body: Any) -> web.Response:
        changes = mapping.parse_changes(body)

        def plan(store: Store) -> tuple[Change, None]:
            stored = store.record(event_id) or {}
            # An unknown id belongs to a session whose spans have not arrived yet: the official
            # client opens a session by its first span, and enriches the session before that.
            session_id = stored.get("session_id") or event_id
            values = dict(changes)
            start = record_builder.number(stored.get("start_time"))
            if start is not None and "end_time" in values and "duration" not in values:
                values["duration"] = float(max(0.0, values["end_time"] - start))
            elif start is not None and "duration" in values and "end_time" not in values:
                values["end_time"] = int(start + values["duration"])
            patches = [record_builder.patch(event_id, session_id, values)] if values else []
            return Change(patches), None

        await self._writer.transact(frozenset((event_id,)), plan)
        return json_response({"success": True})

    # -- reading ----------------------------------------------------------------------------

    async def get(self, request: web.Request) -> web.Response:
        event_id = request.match_info["id"]
        record = await self._readers.query(lambda store: store.record(event_id))
        if record is None:
            raise RequestRejected(404, "Event not found")
        return json_response({"event": mapping.event_response(record)})

    async def schema(self, request: web.Request) -> web.Response:
        query = schema_query(request.query)
        schema = await self._readers.query(lambda store: schema_of(store.events(query).events))
        return json_response(schema)

    async def search(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        return await self._find(body, "start_time", "end_time", _SEARCH_MOST, 100)

    async def export(self, request: web.Request) -> web.Response:
        return await self._find(await read_json(request), "$gte", "$lte", _EXPORT_MOST, 1000)

    async def _find(self, body: Any, since: str, until: str, most: int, usual: int) -> web.Response:
        if not isinstance(body, dict):
            raise RequestRejected(400, "the body must be an object")
        query = _query(body, since, until, most, usual)
        projection = body.get("projections")

        def find(store: Store) -> dict[str, Any]:
            page = store.events(query)
            events = [
                mapping.select_fields(mapping.event_response(event), projection)
                for event in page.events
            ]
            return {"events": events, "count": page.count, "totalEvents": page.count}

        return json_response(await self._readers.query(find))


def _query(body: dict[str, Any], since: str, until: str, most: int, usual: int) -> EventQuery:
    filters = body.get("filters") or []
    ids: dict[str, str] = {}
    others: list[Any] = []
    for condition in filters if isinstance(filters, list) else [filters]:
        field = condition.get("field") if isinstance(condition, dict) else None
        is_id = field in ("session_id", "event_id") and isinstance(condition.get("value"), str)
        if is_id and condition.get("operator") == "is" and field not in ids:
            ids[str(field)] = condition["value"]  # by the index
        else:
            others.append(condition)
    if isinstance(body.get("evaluation_id"), str):
        condition = {"field": "metadata.run_id", "operator": "is", "value": body["evaluation_id"]}
        others.append(condition)
    span = body.get("dateRange")
    bounds = span if isinstance(span, dict) else {}
    first, last = record_builder.moment(bounds.get(since)), record_builder.moment(bounds.get(until))
    limit = int(record_builder.number(body.get("limit")) or usual)
    page = int(record_builder.number(body.get("page")) or 1)
    if not 1 <= limit <= most or page < 1:
        raise RequestRejected(400, f"limit must be 1 to {most}, and page at least 1")
    return EventQuery(
        session_id=ids.get("session_id"),
        event_id=ids.get("event_id"),
        since=None if first is None else int(first),
        until=None if last is None else int(last) + 1,
        fits=mapping.event_filter(others),
        skip=(page - 1) * limit,
        limit=limit,
    )


def _records(
    entries: Sequence[Any], session_id: str | None, strict: bool
) -> tuple[list[DecodedRecord], RequestRejected | None]:
    """The records of a batch, and the refusal for its events that could not be read back.

    The refusal is for the response, after the other events are stored: a client that drops a
    refused batch loses only the events at fault. Any other fault refuses the batch here.
    """
    records: list[DecodedRecord] = []
    refusal: RequestRejected | None = None
    for at, entry in enumerate(entries):
        if session_id is None and (whole := mapping.whole_record(entry)) is not None:
            records.append(whole)
            continue
        if is_too_deep(entry):
            refusal = refusal or RequestRejected(400, f"event {at} is {TOO_DEEP}")
            continue
        try:
            records.append(mapping.event_record(entry, session_id=session_id, strict=strict))
        except mapping.LongIdError:
            refusal = refusal or RequestRejected(400, f"event {at} is {mapping.LONG_ID}")
    return records, refusal


def _member(body: Any, name: str) -> Any:
    if not isinstance(body, dict) or name not in body:
        raise RequestRejected(400, f"{name} must be given")
    return body[name]


def _listed(body: Any, name: str) -> list[Any]:
    items = _member(body, name)
    if not isinstance(items, list):
        raise RequestRejected(400, f"{name} must be a list")
    return items


def _first_session(entries: Sequence[Any]) -> str | None:
    for entry in entries:
        session_id = entry.get("session_id") if isinstance(entry, dict) else None
        if isinstance(session_id, str) and 0 < len(session_id) <= ID_MAX:
            return session_id
    return None
