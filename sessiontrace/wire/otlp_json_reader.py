"""OTLP's requests in JSON as spans with plain Python values; ``otlp_protobuf`` reads the others.

Pure functions. Invariant: both encodings give the same spans; a span that is none is left out and
counted, never the others of its request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from sessiontrace.server.http import RequestRejected

__all__ = ["DEPTH", "Attributes", "Span", "from_json"]

Attributes = dict[str, Any]
DEPTH = 16
"""How deep a value may be nested."""


@attrs.define(eq=False)
class Span:
    """One span: ids in hex, times in Unix ns; ``error`` is the status' message where it failed."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    resource: Attributes
    scope: str
    failed: bool
    message: str
    events: list[tuple[str, Attributes]]


def from_json(given: Any) -> tuple[list[Span], int]:
    """The spans of a decoded JSON request, and how many were none."""
    if not isinstance(given, dict):
        raise RequestRejected(400, "the request must be an object with resourceSpans")
    found: list[Span] = []
    bad = 0
    for resource, scope, span in _walk(given):
        try:
            found.append(_span(span, resource, scope))
        except (ValueError, TypeError, AttributeError):
            bad += 1
    return found, bad


def _walk(given: Mapping[str, Any]) -> Iterator[tuple[Attributes, str, Any]]:
    for group in _list(given, "resourceSpans", "resource_spans"):
        resource = _attributes(_object(group, "resource").get("attributes"))
        for scoped in _list(group, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            scope = str(_object(scoped, "scope").get("name") or "")
            for span in _list(scoped, "spans"):
                yield resource, scope, span


def _list(held: Any, *names: str) -> list[Any]:
    for name in names:
        found = held.get(name) if isinstance(held, dict) else None
        if isinstance(found, list):
            return found
    return []


def _object(held: Any, name: str) -> dict[str, Any]:
    found = held.get(name) if isinstance(held, dict) else None
    return found if isinstance(found, dict) else {}


def _get(span: Mapping[str, Any], name: str, other: str) -> Any:
    return span[name] if name in span else span.get(other)


def _span(span: Any, resource: Attributes, scope: str) -> Span:
    status = _object(span, "status")
    start = int(_get(span, "startTimeUnixNano", "start_time_unix_nano") or 0)
    end = int(_get(span, "endTimeUnixNano", "end_time_unix_nano") or 0)
    parent = _get(span, "parentSpanId", "parent_span_id")
    return Span(
        trace_id=_id(_get(span, "traceId", "trace_id"), 16),
        span_id=_id(_get(span, "spanId", "span_id"), 8),
        parent_id=_id(parent, 8) if parent and parent != "0" * 16 else None,
        name=str(span.get("name") or "unknown"),
        start_ns=max(0, start),
        end_ns=max(start, end, 0),
        attributes=_attributes(span.get("attributes")),
        resource=resource,
        scope=scope,
        # Enums come as numbers or, from protobuf's own JSON, as names.
        failed=status.get("code") in (2, "2", "STATUS_CODE_ERROR"),
        message=str(status.get("message") or ""),
        events=[
            (str(one.get("name") or ""), _attributes(one.get("attributes")))
            for one in _list(span, "events")
            if isinstance(one, dict)
        ],
    )


def _id(value: Any, size: int) -> str:
    """An id in lower-case hex; protobuf's own JSON has it in base64."""
    if not isinstance(value, str):
        raise ValueError("no id")
    text = value.lower()
    if len(text) == 2 * size and all(char in "0123456789abcdef" for char in text):
        found = text
    else:
        try:
            found = base64.b64decode(value, validate=True).hex()
        except binascii.Error as error:
            raise ValueError("no id") from error
    if len(found) != 2 * size or not found.strip("0"):
        raise ValueError("no id")
    return found


def _attributes(listed: Any) -> Attributes:
    found: Attributes = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("key"), str):
            found[one["key"]] = _value(one.get("value"), DEPTH)
    return found


def _value(given: Any, depth: int) -> Any:
    if not isinstance(given, dict) or depth == 0:
        return None
    for name, value in given.items():
        if name in ("stringValue", "string_value"):
            return str(value)
        if name in ("boolValue", "bool_value"):
            return bool(value)
        if name in ("intValue", "int_value"):
            return _int(value)
        if name in ("doubleValue", "double_value"):
            return float(value)
        if name in ("bytesValue", "bytes_value"):
            return str(value)
        if name in ("arrayValue", "array_value"):
            return [_value(one, depth - 1) for one in _list(value, "values")]
        if name in ("kvlistValue", "kvlist_value"):
            return {
                str(one.get("key")): _value(one.get("value"), depth - 1)
                for one in _list(value, "values")
                if isinstance(one, dict)
            }
    return None


def _int(value: Any) -> int | float:
    found = int(value)
    return found if -(1 << 63) <= found < 1 << 63 else float(found)
