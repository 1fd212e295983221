"""OTLP's requests in protobuf, as the same spans that ``otlp_decode`` makes of JSON.

Pure functions. Source of the field numbers: opentelemetry-proto 1.x (``trace_service.proto``,
``trace.proto``, ``resource.proto``, ``common.proto``). Invariant: a span without ids is left out
and counted; a body that is no message at all is refused whole.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from sessiontrace.server.http import RequestRejected
from sessiontrace.wire.otlp_json_reader import DEPTH, Attributes, Span
from sessiontrace.wire.protobuf import (
    EIGHT,
    PIECE,
    VARINT,
    GarbledError,
    Reader,
    TooManyError,
    signed,
)

__all__ = ["from_protobuf", "partial_success"]

_FAILED = 2


def from_protobuf(body: bytes) -> tuple[list[Span], int]:
    """The spans of an ``ExportTraceServiceRequest``, and how many were none."""
    read = _Request()
    try:
        return read.spans(body)
    except TooManyError as error:
        raise RequestRejected(
            413, "the request has more parts than are read at once; split it"
        ) from error
    except (GarbledError, struct.error) as error:
        raise RequestRejected(400, "the body is no ExportTraceServiceRequest") from error


def partial_success(rejected: int, words: str) -> bytes:
    """An ``ExportTraceServiceResponse`` that tells of spans that were not taken."""
    said = words.encode()
    told = b"\x08" + _number(rejected) + b"\x12" + _number(len(said)) + said
    return b"\x0a" + _number(len(told)) + told


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


class _Request:
    """One request being read."""

    def __init__(self) -> None:
        self._fields = Reader().fields

    def spans(self, body: bytes) -> tuple[list[Span], int]:
        found: list[Span] = []
        bad = 0
        for group in self._fields(body)[1, PIECE]:
            held = self._fields(group)
            # Of a message that comes twice the parts are merged: theirs are simply more fields.
            resource = self._pairs(self._fields(b"".join(held[1, PIECE]))[1, PIECE], DEPTH)
            for scoped in held[2, PIECE]:
                inner = self._fields(scoped)
                scope = _text(self._fields(b"".join(inner[1, PIECE]))[1, PIECE])
                for span in inner[2, PIECE]:
                    made = self._span(span, resource, scope)
                    if made is None:
                        bad += 1
                    else:
                        found.append(made)
        return found, bad

    def _span(self, body: bytes, resource: Attributes, scope: str) -> Span | None:
        held = self._fields(body)
        trace_id, span_id, parent = (_last(held[number, PIECE], b"") for number in (1, 2, 4))
        if len(trace_id) != 16 or len(span_id) != 8 or not any(trace_id) or not any(span_id):
            return None
        start, end = (_last(held[number, EIGHT], bytes(8)) for number in (7, 8))
        start_ns = int.from_bytes(start, "little")
        status = self._fields(b"".join(held[15, PIECE]))
        return Span(
            trace_id=trace_id.hex(),
            span_id=span_id.hex(),
            parent_id=parent.hex() if len(parent) == 8 and any(parent) else None,
            name=_text(held[5, PIECE]) or "unknown",
            start_ns=start_ns,
            end_ns=max(start_ns, int.from_bytes(end, "little")),
            attributes=self._pairs(held[9, PIECE], DEPTH),
            resource=resource,
            scope=scope,
            failed=_last(status[3, VARINT], 0) == _FAILED,
            message=_text(status[2, PIECE]),
            events=[self._event(one) for one in held[11, PIECE]],
        )

    def _event(self, body: bytes) -> tuple[str, Attributes]:
        held = self._fields(body)
        return _text(held[2, PIECE]), self._pairs(held[3, PIECE], DEPTH)

    def _pairs(self, listed: list[bytes], depth: int) -> Attributes:
        found: Attributes = {}
        for one in listed:
            held = self._fields(one)
            found[_text(held[1, PIECE])] = self._value(b"".join(held[2, PIECE]), depth)
        return found

    def _value(self, body: bytes, depth: int) -> Any:
        """What an ``AnyValue`` holds; bytes in base64, as in JSON."""
        if depth == 0:
            return None
        held = self._fields(body)
        for (number, kind), values in held.items():
            value = values[-1]
            if kind == PIECE:
                if number == 1:
                    return value.decode(errors="replace")
                if number == 5:
                    listed = self._fields(value)[1, PIECE]
                    return [self._value(one, depth - 1) for one in listed]
                if number == 6:
                    return self._pairs(self._fields(value)[1, PIECE], depth - 1)
                if number == 7:
                    return base64.b64encode(value).decode()
            elif kind == VARINT and number == 2:
                return bool(value)
            elif kind == VARINT and number == 3:
                return signed(value)
            elif kind == EIGHT and number == 4:
                return struct.unpack("<d", value)[0]
        return None


def _last(values: list[Any], otherwise: Any) -> Any:
    return values[-1] if values else otherwise


def _text(values: list[bytes]) -> str:
    return values[-1].decode(errors="replace") if values else ""
