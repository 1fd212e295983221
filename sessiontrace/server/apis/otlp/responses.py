"""Responses of OTLP/HTTP, in the encoding of the request.

Pure functions, no thread owns them. Source: opentelemetry-proto, ``docs/specification.md``, section
OTLP/HTTP Response. Invariant: a success that left something out says how much of it and why.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from sessiontrace.server.http import ErrorResponse, encoded_response, json_response
from sessiontrace.wire.otlp_partial_success import write_partial_success
from sessiontrace.wire.protobuf import field, varint

__all__ = ["PROTOBUF", "accepted", "errors_as", "status_message"]

PROTOBUF = "application/x-protobuf"

_INVALID, _UNAVAILABLE = 3, 14
"""Codes of gRPC that the message of an error has."""


def accepted(binary: bool, rejected_field: str, rejected: int, reason: str) -> web.Response:
    """The ``Export*ServiceResponse``; ``rejected_field``: its JSON name for the count."""
    if binary:
        body = write_partial_success(rejected, reason) if rejected else b""
        return web.Response(body=body, content_type=PROTOBUF)
    if not rejected:
        return json_response({})
    return json_response(
        {"partialSuccess": {rejected_field: str(rejected), "errorMessage": reason}}
    )


def errors_as(binary: bool) -> ErrorResponse:
    """Builds responses with a ``google.rpc.Status``."""

    def error(status: int, reason: str) -> web.Response:
        code = _UNAVAILABLE if status in (429, 503) else _INVALID
        if binary:
            body = status_message(code, reason)
            return web.Response(status=status, body=body, content_type=PROTOBUF)
        return encoded_response(orjson.dumps({"code": code, "message": reason}), status)

    return error


def status_message(code: int, reason: str) -> bytes:
    """A ``google.rpc.Status`` in protobuf: field 1 is the code, field 2 the message."""
    return b"\x08" + varint(code) + field(b"\x12", reason.encode())
