"""Reader of OTLP requests in JSON; ``otlp_protobuf_reader`` reads those in protobuf.

Pure functions, no thread owns them. Invariant: both encodings give the same spans; a span without
ids is left out and counted, a value of a wrong type becomes a text, and a time of a wrong type 0.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from sessiontrace.wire.received_span import (
    DEPTH,
    Attributes,
    ReceivedSpan,
    UnreadableRequestError,
    finite,
)

__all__ = [
    "first_list",
    "from_json",
    "read_attributes",
    "read_id",
    "read_time",
    "read_value",
    "walk",
]

Names = tuple[str, ...]

_GROUPS = ("resourceSpans", "resource_spans")
_SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
_LATEST_NS = (1 << 64) - 1
_HEX = frozenset("0123456789abcdef")


def from_json(request: Any) -> tuple[list[ReceivedSpan], int]:
    """The spans of a decoded JSON request, and the number of invalid ones.

    Raises ``UnreadableRequestError`` where the request is not an object.
    """
    if not isinstance(request, dict):
        raise UnreadableRequestError("the request must be an object with resourceSpans")
    spans: list[ReceivedSpan] = []
    invalid = 0
    for resource, scope, span in walk(request, _GROUPS, _SCOPES, ("spans",)):
        if (received := _span(span, resource, scope)) is None:
            invalid += 1
        else:
            spans.append(received)
    return spans, invalid


def walk(
    request: Any, groups: Names, scopes: Names, items: Names
) -> Iterator[tuple[Attributes, str, Any]]:
    """Each item of a request with its resource's attributes and the name of its scope.

    Each level is the list under the first of its names that holds one.
    """
    for group in first_list(request, *groups):
        resource = read_attributes(_object(group, "resource").get("attributes"))
        for scoped in first_list(group, *scopes):
            scope = str(_object(scoped, "scope").get("name") or "")
            for item in first_list(scoped, *items):
                yield resource, scope, item


def first_list(parent: Any, *names: str) -> list[Any]:
    """The list under the first of ``names`` that has one; protobuf's JSON allows two spellings."""
    for name in names:
        value = parent.get(name) if isinstance(parent, dict) else None
        if isinstance(value, list):
            return value
    return []


def _object(parent: Any, name: str) -> dict[str, Any]:
    value = parent.get(name) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def _span(span: Any, resource: Attributes, scope: str) -> ReceivedSpan | None:
    """The span; None without ids."""
    if not isinstance(span, dict):
        return None
    trace_id = read_id(_get(span, "traceId", "trace_id"), 16)
    span_id = read_id(_get(span, "spanId", "span_id"), 8)
    if trace_id is None or span_id is None:
        return None
    status = _object(span, "status")
    start = read_time(_get(span, "startTimeUnixNano", "start_time_unix_nano"))
    end = read_time(_get(span, "endTimeUnixNano", "end_time_unix_nano"))
    return ReceivedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=read_id(_get(span, "parentSpanId", "parent_span_id"), 8),
        name=str(span.get("name") or "unknown"),
        start_ns=start,
        end_ns=max(start, end),
        attributes=read_attributes(span.get("attributes")),
        resource=resource,
        scope=scope,
        # Enums come as numbers or, from protobuf's own JSON, as names.
        failed=status.get("code") in (2, "2", "STATUS_CODE_ERROR"),
        message=str(status.get("message") or ""),
        events=[
            (str(event.get("name") or ""), read_attributes(event.get("attributes")))
            for event in first_list(span, "events")
            if isinstance(event, dict)
        ],
        links=[link for item in first_list(span, "links") if (link := _link(item))],
    )


def _link(item: Any) -> dict[str, Any] | None:
    """A linked span; None for one without ids."""
    if not isinstance(item, dict):
        return None
    trace_id = read_id(_get(item, "traceId", "trace_id"), 16)
    span_id = read_id(_get(item, "spanId", "span_id"), 8)
    if trace_id is None or span_id is None:
        return None
    attributes = read_attributes(item.get("attributes"))
    ids = {"trace_id": trace_id, "span_id": span_id}
    return {**ids, "attributes": attributes} if attributes else ids


def _get(item: Mapping[str, Any], name: str, other: str) -> Any:
    return item[name] if name in item else item.get(other)


def read_time(value: Any) -> int:
    """Unix ns, as a number or its text, at most what 64 bits hold; 0 for anything else."""
    try:
        return min(max(0, int(value)), _LATEST_NS)
    except (ValueError, TypeError, OverflowError):
        return 0


def read_id(value: Any, size: int) -> str | None:
    """An id in lower-case hex; protobuf's own JSON has it in base64. None: it is not an id."""
    if not isinstance(value, str):
        return None
    identifier = value.lower()
    if len(identifier) != 2 * size or not _HEX.issuperset(identifier):
        try:
            identifier = base64.b64decode(value, validate=True).hex()
        except ValueError:  # not base64, or not ASCII
            return None
    return identifier if len(identifier) == 2 * size and identifier.strip("0") else None


def read_attributes(pairs: Any) -> Attributes:
    """A list of ``{key, value}`` as an object; a pair without a key is left out."""
    attributes: Attributes = {}
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            attributes[pair["key"]] = read_value(pair.get("value"))
    return attributes


def read_value(any_value: Any, depth: int = DEPTH) -> Any:
    """The value of an ``AnyValue``, at most ``depth`` levels deep."""
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
            return _float(value)
        if name in ("bytesValue", "bytes_value"):
            return str(value)
        if name in ("arrayValue", "array_value"):
            return [read_value(item, depth - 1) for item in first_list(value, "values")]
        if name in ("kvlistValue", "kvlist_value"):
            return {
                str(pair.get("key")): read_value(pair.get("value"), depth - 1)
                for pair in first_list(value, "values")
                if isinstance(pair, dict)
            }
    return None


def _int(value: Any) -> int | float | str:
    """An int64, as JSON texts hold it; a float where it is out of range, a text if no number."""
    try:
        number = int(value)
        return number if -(1 << 63) <= number < 1 << 63 else float(number)
    except (ValueError, TypeError, OverflowError):
        return str(value)


def _float(value: Any) -> float | str:
    try:
        return finite(float(value))
    except (ValueError, TypeError, OverflowError):
        return str(value)
