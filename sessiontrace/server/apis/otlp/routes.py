"""OTLP/HTTP for traces over the local store: ``/v1/traces`` and HoneyHive's path for it.

Runs on the server's loop; conversion on it too, in slices of one request. Invariant: status 200 is
given when the spans are on the disk; spans that are none are counted in ``partialSuccess``.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.http import body_of, json_of, json_response, unpacked, with_vendor_errors
from sessiontrace.server.store_writer import Change, StoreWriter
from sessiontrace.store.protocol import Store
from sessiontrace.wire import otlp_json_reader, otlp_protobuf_reader

__all__ = ["keep", "routes"]

_PATHS = ("/v1/traces", "/opentelemetry/v1/traces")
_PROTOBUF = "application/x-protobuf"
_WITHOUT_IDS = "spans without ids"
_LARGE = 128 << 10


def routes(writing: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""

    async def post(request: web.Request) -> web.Response:
        binary = request.content_type == _PROTOBUF
        if binary:
            body = unpacked(await body_of(request))
            # Reading a large one takes a while, and others want to be answered meanwhile.
            spans, bad = (
                await asyncio.to_thread(otlp_protobuf_reader.from_protobuf, body)
                if len(body) > _LARGE
                else otlp_protobuf_reader.from_protobuf(body)
            )
        else:
            spans, bad = otlp_json_reader.from_json(await json_of(request))
        await keep(writing, spans)
        return _accepted(bad, binary)

    return [web.post(path, with_vendor_errors(post, _told)) for path in _PATHS]


async def keep(writing: StoreWriter, spans: list[otlp_json_reader.Span]) -> list[str]:
    """Write spans, and the sessions that nobody has told of yet; the ids of their events."""
    converted = mapping.convert(spans)

    def plan(store: Store) -> tuple[Change, None]:
        return Change(
            [*record_builder.new_sessions(store, converted.sessions), *converted.records]
        ), None

    if converted.records:
        await writing.transact(frozenset(converted.sessions), plan)
    return [record.body[13:49].decode() for record in converted.records]


def _accepted(bad: int, binary: bool) -> web.Response:
    if binary:
        body = otlp_protobuf_reader.partial_success(bad, _WITHOUT_IDS) if bad else b""
        return web.Response(body=body, content_type=_PROTOBUF)
    partial = {"rejectedSpans": str(bad), "errorMessage": _WITHOUT_IDS} if bad else None
    return json_response({"partialSuccess": partial} if partial else {})


def _told(status: int, reason: str) -> web.Response:
    return json_response({"code": 14 if status == 503 else 3, "message": reason}, status)
