"""PostHog's HTTP API over the local store: ingestion, and the two routes about sessions.

Runs on the server's loop. Invariant: the session routes answer from the sessions in the store;
property names, types, limits and errors are PostHog's.

POST /batch /capture /track /engage /e /i/v0/e /i/v0/ai/batch   {"status": "Ok"}
POST /i/v1/analytics/events             {"results": {uuid: {"result": "ok"}}}
GET /api/projects/{id}/sessions/property_definitions/           and /api/environments/{id}/...
GET /api/projects/{id}/sessions/values/?key=&value=
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import islice
from typing import Any

from aiohttp import web

from sessiontrace.model.json_depth import TOO_DEEP
from sessiontrace.server import record_builder
from sessiontrace.server.apis.posthog import mapping
from sessiontrace.server.apis.posthog.sessions import definitions, top_values
from sessiontrace.server.http import (
    BODY_MAX,
    RequestRejected,
    decode_json,
    gunzip,
    json_response,
    read_body,
    read_unchecked_body,
    with_vendor_errors,
)
from sessiontrace.server.security.body_budget import BodyBudget
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_changes import Change
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.protocol import Store

__all__ = ["routes"]

_INGEST = ("/batch", "/capture", "/track", "/engage", "/e", "/i/v0/e", "/i/v0/ai/batch")
_TRAVEL_MS = 1000
_KEY = re.compile(rb'"(?:api_key|token)"\s*:\s*"([\x21\x23-\x5b\x5d-\x7e]{8,4096})"')
_KEYS_MAX = 10_000  # logprobs have a "token" each
_INVALID_KEY = "API key is not valid: this server requires its token"
_OK = {"result": "ok"}
_AI_EVENTS = frozenset(
    {"$ai_generation", "$ai_trace", "$ai_span", "$ai_embedding", "$ai_metric", "$ai_feedback",
     "$ai_evaluation"}
)  # fmt: skip
_ERRORS = {
    400: ("validation_error", "invalid_input"),
    401: ("authentication_error", "not_authenticated"),
    404: ("invalid_request", "not_found"),
    405: ("invalid_request", "method_not_allowed"),
    503: ("server_error", "error"),
}


def routes(
    readers: StoreReaders, writer: StoreWriter, auth: TokenAuth, budget: BodyBudget
) -> list[web.RouteDef]:
    """The routes of the API over one store; each with and without a slash at its end."""
    api = _Api(readers, writer, auth, budget)
    table: list[web.RouteDef] = []
    ingest = with_vendor_errors(api.ingest, _ingestion_error)
    ingest_v1 = with_vendor_errors(api.ingest_v1, _ingestion_error)
    listing = with_vendor_errors(api.property_definitions, error_response)
    values = with_vendor_errors(api.property_values, error_response)
    for slash in ("", "/"):
        table += [web.post(path + slash, ingest) for path in _INGEST]
        table.append(web.post(f"/i/v1/analytics/events{slash}", ingest_v1))
        for scope in ("projects", "environments"):
            prefix = f"/api/{scope}/{{project}}/sessions/"
            table.append(web.get(f"{prefix}property_definitions{slash}", listing))
            table.append(web.get(f"{prefix}values{slash}", values))
    return table


class _Api:
    def __init__(
        self, readers: StoreReaders, writer: StoreWriter, auth: TokenAuth, budget: BodyBudget
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._auth = auth
        self._budget = budget

    async def ingest(self, request: web.Request) -> web.Response:
        events, sent_at = await self._events(request)
        if request.path.startswith("/i/v0/ai") and any(
            event.get("event") not in _AI_EVENTS for event in events if isinstance(event, dict)
        ):
            raise RequestRejected(400, "the batch contains an event that is not an $ai_* event")
        if too_deep := await self._keep(events, sent_at):  # the other events are stored
            raise RequestRejected(400, f"event {too_deep[0]} is {TOO_DEEP}")
        if request.query.get("beacon") == "1":
            return web.Response(status=204)
        return json_response({"status": "Ok"})

    async def ingest_v1(self, request: web.Request) -> web.Response:
        events, _ = await self._events(request)
        too_deep = await self._keep(events, None)
        results: dict[str, dict[str, str]] = {}
        for at, event in enumerate(events):
            if isinstance(event, dict) and event.get("uuid"):
                result = {"result": "drop", "details": TOO_DEEP} if at in too_deep else _OK
                results[str(event["uuid"])] = result
        return json_response({"results": results})

    async def _events(self, request: web.Request) -> tuple[list[Any], float | None]:
        admitted = self._auth.admits(request.headers)
        if admitted:
            body = await read_body(request)
        else:
            body = await read_unchecked_body(request, self._budget, BODY_MAX)
        text = _text(request, body)
        # Decoding a stranger's 16 MiB would keep the loop busy for a second.
        if not admitted and not any(map(self._auth.is_valid, _keys_within(text))):
            raise RequestRejected(401, _INVALID_KEY)
        payload = _payload(text)
        if not admitted and not any(self._auth.is_valid(key) for key in _keys(payload)):
            raise RequestRejected(401, _INVALID_KEY)
        return _events(payload)

    async def _keep(self, events: list[Any], sent_at: float | None) -> list[int]:
        """Store the events; returns the indices of those that are too deep."""
        skew = 0.0 if sent_at is None else record_builder.now_ms() - sent_at
        # Less than a second is travel time, not a wrong clock.
        converted = mapping.convert(events, skew if abs(skew) > _TRAVEL_MS else 0.0)

        def plan(store: Store) -> tuple[Change, None]:
            sessions = record_builder.new_sessions(store, converted.sessions)
            return Change([*sessions, *converted.records]), None

        await self._writer.transact(frozenset(converted.sessions), plan)
        return converted.too_deep

    async def property_definitions(self, request: web.Request) -> web.Response:
        search = request.query.get("search", "")
        text = request.query.get("is_numerical")
        numerical = None if text is None else text.lower() == "true"
        return json_response(
            await self._readers.query(lambda store: definitions(store, search, numerical))
        )

    async def property_values(self, request: web.Request) -> web.Response:
        key, value = request.query.get("key", ""), request.query.get("value", "")
        if not key:
            raise RequestRejected(400, "Key not provided")
        return json_response(await self._readers.query(lambda store: top_values(store, key, value)))


def error_response(status: int, reason: str) -> web.Response:
    """An error in the form of PostHog's API."""
    kind, code = _ERRORS.get(status, ("invalid_request", "error"))
    return json_response({"type": kind, "code": code, "detail": reason, "attr": None}, status)


def _ingestion_error(status: int, reason: str) -> web.Response:
    """An error in the form of PostHog's ingestion: plain text."""
    return web.Response(status=status, text=reason, headers={"Cache-Control": "no-store"})


def _text(request: web.Request, body: bytes) -> bytes:
    """The JSON of a body, which may be packed and in a form."""
    body = gunzip(body)
    if not body:
        raise RequestRejected(400, "request missing data payload")
    if request.query.get("compression") == "base64" or body[:5] == b"data=":
        try:
            body = gunzip(base64.b64decode(body.removeprefix(b"data="), validate=True))
        except binascii.Error as error:
            raise RequestRejected(400, "failed to decode request: invalid base64") from error
    return body


def _keys_within(text: bytes) -> list[str]:
    """What a JSON text may hold as keys, wherever they are."""
    keys = (match[1].decode("ascii") for match in _KEY.finditer(text))
    return list(dict.fromkeys(islice(keys, _KEYS_MAX)))


def _payload(text: bytes) -> Any:
    try:
        return decode_json(text)
    except RequestRejected as error:
        raise RequestRejected(error.status, f"failed to parse request: {error.reason}") from error


def _keys(payload: Any) -> list[Any]:
    """The keys where PostHog's clients put them: on the request, or on its first event."""
    first = payload[0] if isinstance(payload, list) and payload else payload
    if not isinstance(first, dict):
        return []
    properties = first.get("properties")
    token = properties.get("token") if isinstance(properties, dict) else None
    return [first.get("api_key"), first.get("token"), token]


def _events(payload: Any) -> tuple[list[Any], float | None]:
    """The events of a request in any of its three forms, and the time it was sent."""
    if isinstance(payload, list):
        return payload, None
    if not isinstance(payload, dict):
        raise RequestRejected(400, "failed to parse request: neither an object nor an array")
    batch = payload.get("batch")
    sent_at = record_builder.moment(payload.get("sent_at"))
    if isinstance(batch, list):
        return batch, sent_at
    if "event" not in payload and ("$set" in payload or "$set_once" in payload):
        payload = {**payload, "event": "$identify"}  # /engage has no event name
    return [payload], sent_at
