"""Reader of OTLP requests in JSON; ``otlp_protobuf_reader`` reads those in protobuf.

Pure functions, no thread owns them. Invariant: both encodings give the same spans; an invalid span
is left out and counted, and the other spans of its request are read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from sessiontrace.wire.received_span import (
    DEPTH,
    Attributes,
    ReceivedSpan,
    UnreadableRequestError,
)

__all__ = ["from_json"]


def from_json(request: Any) -> tuple[list[ReceivedSpan], int]:
    """The spans of a decoded JSON request, and the number of invalid ones.

    Raises ``UnreadableRequestError`` where the request is not an object.
    """
    if not isinstance(request, dict):
        raise UnreadableRequestError("the request must be an object with resourceSpans")
    spans: list[ReceivedSpan] = []
    invalid = 0
    for resource, scope, span in _walk(request):
        try:
            spans.append(_span(span, resource, scope))
        except (ValueError, TypeError, AttributeError):
            invalid += 1
    return spans, invalid


def _walk(request: Mapping[str, Any]) -> Iterator[tuple[Attributes, str, Any]]:
    for group in _list(request, "resourceSpans", "resource_spans"):
        resource = _attributes(_object(group, "resource").get("attributes"))
        for scoped in _list(group, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            scope = str(_object(scoped, "scope").get("name") or "")
            for span in _list(scoped, "spans"):
                yield resource, scope, span


def _list(parent: Any, *names: str) -> list[Any]:
    """The list under the first of ``names`` that has one; protobuf's JSON allows two spellings."""
    for name in names:
        value = parent.get(name) if isinstance(parent, dict) else None
        if isinstance(value, list):
            return value
    return []


def _object(parent: Any, name: str) -> dict[str, Any]:
    value = parent.get(name) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def _get(span: Mapping[str, Any], name: str, other: str) -> Any:
    return span[name] if name in span else span.get(other)


def _span(span: Any, resource: Attributes, scope: str) -> ReceivedSpan:
    status = _object(span, "status")
    start = int(_get(span, "startTimeUnixNano", "start_time_unix_nano") or 0)
    end = int(_get(span, "endTimeUnixNano", "end_time_unix_nano") or 0)
    parent = _get(span, "parentSpanId", "parent_span_id")
    return ReceivedSpan(
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
            (str(event.get("name") or ""), _attributes(event.get("attributes")))
            for event in _list(span, "events")
            if isinstance(event, dict)
        ],
    )


def _id(value: Any, size: int) -> str:
    """An id in lower-case hex; protobuf's own JSON has it in base64."""
    if not isinstance(value, str):
        raise ValueError("no id")
    identifier = value.lower()
    if len(identifier) != 2 * size or not all(char in "0123456789abcdef" for char in identifier):
        try:
            identifier = base64.b64decode(value, validate=True).hex()
        except binascii.Error as error:
            raise ValueError("no id") from error
    if len(identifier) != 2 * size or not identifier.strip("0"):
        raise ValueError("no id")
    return identifier


def _attributes(pairs: Any) -> Attributes:
    attributes: Attributes = {}
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            attributes[pair["key"]] = _value(pair.get("value"), DEPTH)
    return attributes


def _value(any_value: Any, depth: int) -> Any:
    if not isinstance(any_value, dict) or depth == 0:
        return None
    for name, value in any_value.items():
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
            return [_value(item, depth - 1) for item in _list(value, "values")]
        if name in ("kvlistValue", "kvlist_value"):
            return {
                str(pair.get("key")): _value(pair.get("value"), depth - 1)
                for pair in _list(value, "values")
                if isinstance(pair, dict)
            }
    return None


def _int(value: Any) -> int | float:
    """An int64, as JSON texts hold it; a float where it is out of range."""
    number = int(value)
    return number if -(1 << 63) <= number < 1 << 63 else float(number)
