"""Spans as an ``ExportTraceServiceRequest`` in JSON.

Pure functions, no thread owns them. Invariant: a request only groups its spans by origin; a value
that is JSON already is quoted, not decoded.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import orjson

from sessiontrace.runtime.version import version
from sessiontrace.wire.otlp_resource import (
    NO_ATTRIBUTES,
    SCHEMA_URL,
    SCOPE,
    Origin,
    by_origin,
    resource_attributes,
)
from sessiontrace.wire.span_attributes import STEADY, Value
from sessiontrace.wire.span_writer import ERROR, Span

__all__ = ["json_items", "json_pairs", "json_span"]

_HEAD = b'{"resource":{"attributes":[%b]},"%b":[{"scope":%b,"schemaUrl":%b,"%b":['
_NAMES = ("resourceSpans", "scopeSpans", "spans")
_EXCEPTION = b',"events":[{"timeUnixNano":"%d","name":"exception","attributes":[%b]}]'


def json_span(span: Span) -> bytes:
    """One span in OTLP's JSON: ids in hex, 64-bit integers as texts, enums as numbers."""
    head = (
        f'{{"traceId":"{span.trace_id}","spanId":"{span.span_id}","kind":{span.kind},'
        f'"startTimeUnixNano":"{span.start_ns}","endTimeUnixNano":"{span.end_ns}"'
    )
    parts = [head.encode(), b',"name":', orjson.dumps(span.name)]
    if span.parent_id is not None:
        parts.append(f',"parentSpanId":"{span.parent_id}"'.encode())
    if span.exception is not None:
        parts.append(_EXCEPTION % (span.end_ns, json_pairs(span.exception)))
    if span.error is not None:
        parts.append(b',"status":%b' % orjson.dumps({"code": ERROR, "message": span.error}))
    if span.dropped:
        parts.append(b',"droppedAttributesCount":%d' % span.dropped)
    parts += (b',"attributes":[', json_pairs(span.attributes), b"]}")
    return b"".join(parts)


def json_items(
    spans: Iterable[tuple[Origin, bytes]],
    resource: Mapping[str, str] = NO_ATTRIBUTES,
    names: tuple[str, str, str] = _NAMES,
) -> list[bytes]:
    """Encoded spans, each with its origin, as the items of one request.

    Commas between them make the body, which is not built in one piece (``RequestBody``).
    ``names``: what the request calls its three levels.
    """
    items: list[bytes] = []
    outer, middle, inner = (name.encode() for name in names)
    scope = orjson.dumps({"name": SCOPE, "version": version()})
    for origin, group in by_origin(spans).items():
        attributes = resource_attributes(origin, resource)
        pairs = b",".join([_pair(name, value) for name, value in attributes.items()])
        head = _HEAD % (pairs, middle, scope, orjson.dumps(SCHEMA_URL), inner)
        first = len(items)
        items += group
        items[first] = head + items[first]
        items[-1] += b"]}]}"
    items[0] = b'{"%b":[%b' % (outer, items[0])
    items[-1] += b"]}"
    return items


def json_pairs(attributes: dict[str, Value]) -> bytes:
    """Attributes as the members of a list of ``KeyValue``."""
    return b",".join(
        [
            _steady(key, value) if key in STEADY and type(value) is str else _pair(key, value)
            for key, value in attributes.items()
        ]
    )


def _pair(key: str, value: Value) -> bytes:
    return b'{"key":%b,"value":{%b}}' % (_name(key), _value(value))


@functools.lru_cache(maxsize=1024)
def _steady(key: str, value: str) -> bytes:
    return _pair(key, value)


@functools.lru_cache(maxsize=1024)
def _name(key: str) -> bytes:
    return orjson.dumps(key)


def _value(value: Value) -> bytes:
    """An ``AnyValue``, without its braces."""
    if isinstance(value, str):
        return b'"stringValue":%b' % orjson.dumps(value)
    if isinstance(value, bytes):
        return b'"stringValue":%b' % orjson.dumps(value.decode())
    if isinstance(value, bool):
        return b'"boolValue":true' if value else b'"boolValue":false'
    if isinstance(value, int):
        return b'"intValue":"%d"' % value
    if isinstance(value, float):
        return b'"doubleValue":%b' % orjson.dumps(value)
    values = b",".join([b'{"stringValue":%b}' % orjson.dumps(item) for item in value])
    return b'"arrayValue":{"values":[%b]}' % values
