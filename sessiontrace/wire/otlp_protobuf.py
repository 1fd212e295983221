"""Spans as an ``ExportTraceServiceRequest`` in protobuf, written field by field.

Pure functions, no thread owns them. The message is small and fixed: writing it here is several
times as fast as the official classes and needs none of them. Source of the field numbers:
opentelemetry-proto 1.x (``trace.proto``, ``common.proto``, ``trace_service.proto``). Invariant:
this says what the JSON encoding says.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator

from sessiontrace.export.request_body import RequestBody
from sessiontrace.wire.span_attributes import STEADY, Value
from sessiontrace.wire.span_writer import ERROR, SCOPE, Span, by_service

__all__ = ["partial_success", "protobuf_body", "protobuf_span"]

# A field's tag is its number times 8, plus its wire type: 0 a varint, 1 eight bytes, 2 a length
# and as many bytes.
_TIMES = struct.Struct("<BQBQ")
_AT = struct.Struct("<BQ")
_DOUBLE = struct.Struct("<Bd")
_SMALL = tuple(bytes([number]) for number in range(128))
_LARGEST = (1 << 64) - 1
_FIXED = {1: 8, 5: 4}  # wire types and their bytes


def protobuf_span(span: Span) -> bytes:
    """One span as a ``Span`` message."""
    parts = [
        b"\x0a\x10",
        bytes.fromhex(span.trace_id),
        b"\x12\x08",
        bytes.fromhex(span.span_id),
        b"\x22\x08" + bytes.fromhex(span.parent_id) if span.parent_id is not None else b"",
        _field(b"\x2a", span.name.encode()),
        b"\x30" + _SMALL[span.kind],
        _TIMES.pack(0x39, span.start_ns, 0x41, span.end_ns),
        _attributes(b"\x4a", span.attributes),
    ]
    if span.exception is not None:
        event = _AT.pack(0x09, span.end_ns) + b"\x12\x09exception"
        parts.append(_field(b"\x5a", event + _attributes(b"\x1a", span.exception)))
    if span.error is not None:
        parts.append(
            _field(b"\x7a", _field(b"\x12", span.error.encode()) + b"\x18" + _SMALL[ERROR])
        )
    return b"".join(parts)


def protobuf_body(spans: Iterable[tuple[str, bytes]]) -> RequestBody:
    """Encoded spans, each with its service, as the body of one request."""
    parts: list[bytes] = []
    for service, group in by_service(spans).items():
        scoped = [_field(b"\x0a", _field(b"\x0a", SCOPE))]
        for encoded in group:
            scoped += (b"\x12", _varint(len(encoded)), encoded)
        inner = sum(map(len, scoped))
        resource = _field(b"\x0a", _attributes(b"\x0a", {"service.name": service}))
        size = _varint(inner)
        outer = len(resource) + 1 + len(size) + inner
        parts += (b"\x0a", _varint(outer), resource, b"\x12", size, *scoped)
    return RequestBody(parts)


def _attributes(tag: bytes, attributes: dict[str, Value]) -> bytes:
    """``KeyValue`` messages under ``tag``."""
    parts = []
    for key, value in attributes.items():
        if key in STEADY and type(value) is str:
            parts.append(_steady(tag, key, value))
        else:
            parts.append(_pair(tag, key, value))
    return b"".join(parts)


def _pair(tag: bytes, key: str, value: Value) -> bytes:
    name = _name(key)
    held = _any_value(value)
    size = _varint(len(held))
    return b"%b%b%b\x12%b%b" % (
        tag,
        _varint(len(name) + 1 + len(size) + len(held)),
        name,
        size,
        held,
    )


@functools.lru_cache(maxsize=1024)
def _steady(tag: bytes, key: str, value: str) -> bytes:
    return _pair(tag, key, value)


@functools.lru_cache(maxsize=1024)
def _name(key: str) -> bytes:
    return _field(b"\x0a", key.encode())


def _any_value(value: Value) -> bytes:
    if isinstance(value, str):
        return _field(b"\x0a", value.encode())
    if isinstance(value, bytes):
        return _field(b"\x0a", value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & _LARGEST)
    if isinstance(value, float):
        return _DOUBLE.pack(0x21, value)
    return _field(b"\x2a", b"".join([_field(b"\x0a", _any_value(one)) for one in value]))


def _field(tag: bytes, held: bytes) -> bytes:
    return b"%b%b%b" % (tag, _varint(len(held)), held)


def _varint(number: int) -> bytes:
    if number < 128:
        return _SMALL[number]
    if number < 1 << 14:
        return bytes((number & 127 | 128, number >> 7))
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


# -- replies --------------------------------------------------------------------------------


def partial_success(body: bytes) -> tuple[int, str]:
    """Rejected spans and why, from an ``ExportTraceServiceResponse``; (0, "") if it is garbled."""
    rejected, words = 0, ""
    try:
        for number, held in _fields(body):
            for inner, value in _fields(held) if number == 1 and isinstance(held, bytes) else ():
                if inner == 1 and isinstance(value, int):
                    rejected = value
                elif inner == 2 and isinstance(value, bytes):
                    words = value.decode(errors="replace")
    except ValueError:
        return 0, ""
    return rejected, words


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """A message's fields by number; ValueError where it breaks off or is none."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _read_varint(message, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(kind)
        if at + size > len(message):
            raise ValueError(size)
        yield tag >> 3, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, and the place after it."""
    found = 0
    for shift, byte in enumerate(message[at : at + 10]):
        found |= (byte & 127) << 7 * shift
        if byte < 128:
            return found, at + shift + 1
    raise ValueError(at)
