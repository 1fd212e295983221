"""PostHog's HTTP API over the local store: ingestion, and the two routes about sessions.

Runs on the server's loop. Invariant: what the session routes tell is computed from the sessions
that are in the store; property names, types, limits and faults are PostHog's.

POST /batch /capture /track /engage /e /i/v0/e /i/v0/ai/batch   {"status": "Ok"}
POST /i/v1/analytics/events             {"results": {uuid: {"result": "ok"}}}
GET /api/projects/{id}/sessions/property_definitions/           and /api/environments/{id}/...
GET /api/projects/{id}/sessions/values/?key=&value=
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from aiohttp import web

from sessiontrace.server import record_builder
from sessiontrace.server.apis.posthog import mapping
from sessiontrace.server.apis.posthog.sessions import definitions, values
from sessiontrace.server.http import (
    RequestRejected,
    body_of,
    decoded,
    json_response,
    unpacked,
    with_vendor_errors,
)
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import Change, StoreWriter
from sessiontrace.store.protocol import Store

__all__ = ["routes"]

_INGEST = ("/batch", "/capture", "/track", "/engage", "/e", "/i/v0/e", "/i/v0/ai/batch")
_TRAVEL_MS = 1000
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


def routes(reading: StoreReaders, writing: StoreWriter, access: TokenAuth) -> list[web.RouteDef]:
    """The routes of the API over one store; each with and without a slash at its end."""
    api = _Api(reading, writing, access)
    found: list[web.RouteDef] = []
    for end in ("", "/"):
        found += [
            web.post(path + end, with_vendor_errors(api.ingest, _refused_event)) for path in _INGEST
        ]
        path = "/i/v1/analytics/events"
        found.append(web.post(path + end, with_vendor_errors(api.ingest_v1, _refused_event)))
        for scope in ("projects", "environments"):
            place = f"/api/{scope}/{{project}}/sessions/"
            listing = with_vendor_errors(api.property_definitions, error_response)
            found.append(web.get(f"{place}property_definitions{end}", listing))
            found.append(
                web.get(
                    f"{place}values{end}", with_vendor_errors(api.property_values, error_response)
                )
            )
    return found


class _Api:
    def __init__(self, reading: StoreReaders, writing: StoreWriter, access: TokenAuth) -> None:
        self._reading = reading
        self._writing = writing
        self._access = access

    async def ingest(self, request: web.Request) -> web.Response:
        events, sent_at = await self._events(request)
        if request.path.startswith("/i/v0/ai") and any(
            one.get("event") not in _AI_EVENTS for one in events if isinstance(one, dict)
        ):
            raise RequestRejected(400, "the batch holds an event that is none of $ai_*")
        await self._keep(events, sent_at)
        if request.query.get("beacon") == "1":
            return web.Response(status=204)
        return json_response({"status": "Ok"})

    async def ingest_v1(self, request: web.Request) -> web.Response:
        events, _ = await self._events(request)
        await self._keep(events, None)
        told = {str(one["uuid"]): {"result": "ok"} for one in events if one.get("uuid")}
        return json_response({"results": told})

    async def _events(self, request: web.Request) -> tuple[list[Any], float | None]:
        given = await _payload(request)
        if not self._access.admits(request.headers) and not any(
            self._access.knows(key) for key in _keys(given)
        ):
            raise RequestRejected(401, "API key is not valid: this server asks for its token")
        return _events(given)

    async def _keep(self, events: list[Any], sent_at: float | None) -> None:
        skew = 0.0 if sent_at is None else record_builder.now_ms() - sent_at
        # Travel time is no skew; what is a second off is a clock that is wrong.
        converted = mapping.convert(events, skew if abs(skew) > _TRAVEL_MS else 0.0)

        def plan(store: Store) -> tuple[Change, None]:
            made = record_builder.new_sessions(store, converted.sessions)
            return Change([*made, *converted.records]), None

        await self._writing.transact(frozenset(converted.sessions), plan)

    async def property_definitions(self, request: web.Request) -> web.Response:
        search = request.query.get("search", "")
        given = request.query.get("is_numerical")
        numerical = None if given is None else given.lower() == "true"
        return json_response(
            await self._reading.query(lambda store: definitions(store, search, numerical))
        )

    async def property_values(self, request: web.Request) -> web.Response:
        key, value = request.query.get("key", ""), request.query.get("value", "")
        if not key:
            raise RequestRejected(400, "Key not provided")
        return json_response(await self._reading.query(lambda store: values(store, key, value)))


def error_response(status: int, reason: str) -> web.Response:
    """A fault as PostHog's API tells it."""
    kind, code = _ERRORS.get(status, ("invalid_request", "error"))
    return json_response({"type": kind, "code": code, "detail": reason, "attr": None}, status)


def _refused_event(status: int, reason: str) -> web.Response:
    """A fault as PostHog's ingestion tells it: in plain text."""
    return web.Response(status=status, text=reason, headers={"Cache-Control": "no-store"})


async def _payload(request: web.Request) -> Any:
    body = unpacked(await body_of(request))
    if not body:
        raise RequestRejected(400, "request missing data payload")
    if request.query.get("compression") == "base64" or body[:5] == b"data=":
        try:
            body = unpacked(base64.b64decode(body.removeprefix(b"data="), validate=True))
        except binascii.Error as error:
            raise RequestRejected(400, "failed to decode request: invalid base64") from error
    try:
        return decoded(body)
    except RequestRejected as error:
        raise RequestRejected(error.status, f"failed to parse request: {error.reason}") from error


def _keys(given: Any) -> list[Any]:
    """Where PostHog's clients put their key: on the request, or on its first event."""
    first = given[0] if isinstance(given, list) and given else given
    if not isinstance(first, dict):
        return []
    properties = first.get("properties")
    held = properties if isinstance(properties, dict) else {}
    return [first.get("api_key"), first.get("token"), held.get("token")]


def _events(given: Any) -> tuple[list[Any], float | None]:
    """The events of a request in any of its three forms, and when it was sent."""
    if isinstance(given, list):
        return given, None
    if not isinstance(given, dict):
        raise RequestRejected(400, "failed to parse request: no object and no array")
    listed = given.get("batch")
    sent_at = record_builder.moment(given.get("sent_at"))
    if isinstance(listed, list):
        return listed, sent_at
    if "event" not in given and ("$set" in given or "$set_once" in given):
        given = {**given, "event": "$identify"}  # /engage has no event name
    return [given], sent_at
