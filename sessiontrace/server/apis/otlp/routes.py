"""OTLP/HTTP for traces over the local store: ``/v1/traces`` and HoneyHive's path for it.

Runs on the server's loop; conversion on it too, in slices of one request. Invariant: the server
answers 200 once the spans are on the disk; it counts invalid spans in ``partialSuccess``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from sessiontrace.model.json_depth import TOO_DEEP
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.http import (
    RequestRejected,
    gunzip,
    json_response,
    read_body,
    read_json_batch,
    with_vendor_errors,
)
from sessiontrace.server.store_writer import Change, StoreWriter
from sessiontrace.store.protocol import Store
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_partial_success import write_partial_success
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.protobuf import TooManyFieldsError
from sessiontrace.wire.received_span import ReceivedSpan, UnreadableRequestError

__all__ = ["routes", "spans_of_json", "write_spans"]

_PATHS = ("/v1/traces", "/opentelemetry/v1/traces")
_PROTOBUF = "application/x-protobuf"
_LARGE = 128 << 10


def routes(writer: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""

    async def post(request: web.Request) -> web.Response:
        binary = request.content_type == _PROTOBUF
        if binary:
            spans, invalid = await _spans_of_protobuf(gunzip(await read_body(request)))
        else:
            spans, invalid = spans_of_json(await read_json_batch(request))
        _, too_deep = await write_spans(writer, spans)
        return _accepted(invalid, too_deep, binary)

    return [web.post(path, with_vendor_errors(post, _error)) for path in _PATHS]


def spans_of_json(request: Any) -> tuple[list[ReceivedSpan], int]:
    """The spans of a decoded request and the number of invalid ones, or ``RequestRejected``."""
    try:
        return from_json(request)
    except UnreadableRequestError as error:
        raise RequestRejected(400, str(error)) from error


async def _spans_of_protobuf(body: bytes) -> tuple[list[ReceivedSpan], int]:
    try:
        # Reading a large body takes long; on a thread, other requests are answered meanwhile.
        if len(body) > _LARGE:
            return await asyncio.to_thread(from_protobuf, body)
        return from_protobuf(body)
    except TooManyFieldsError as error:
        raise RequestRejected(
            413, "the request has more fields than the server reads at once; split it"
        ) from error
    except UnreadableRequestError as error:
        raise RequestRejected(400, str(error)) from error


async def write_spans(writer: StoreWriter, spans: list[ReceivedSpan]) -> tuple[list[str], int]:
    """Write spans, and their sessions where the store has none yet.

    Returns the ids of their events, and how many spans are too deep to be written.
    """
    converted = mapping.convert(spans)

    def plan(store: Store) -> tuple[Change, None]:
        return Change(
            [*record_builder.new_sessions(store, converted.sessions), *converted.records]
        ), None

    if converted.records:
        await writer.transact(frozenset(converted.sessions), plan)
    return [record.body[13:49].decode() for record in converted.records], converted.rejected


def _accepted(invalid: int, too_deep: int, binary: bool) -> web.Response:
    reasons = ["spans without ids"] if invalid else []
    reasons += [f"spans {TOO_DEEP}"] if too_deep else []
    rejected, reason = invalid + too_deep, ", ".join(reasons)
    if binary:
        body = write_partial_success(rejected, reason) if rejected else b""
        return web.Response(body=body, content_type=_PROTOBUF)
    partial = {"rejectedSpans": str(rejected), "errorMessage": reason} if rejected else None
    return json_response({"partialSuccess": partial} if partial else {})


def _error(status: int, reason: str) -> web.Response:
    return json_response({"code": 14 if status == 503 else 3, "message": reason}, status)
