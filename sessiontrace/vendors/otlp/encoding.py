"""Spans as an ``ExportTraceServiceRequest``: JSON by ourselves, protobuf by the optional package.

Pure functions, no thread owns them. Invariant: both encodings say the same, and grouping spans by
service is all that they add.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from sessiontrace.vendors.otlp.spans import ERROR, Span

__all__ = ["json_request", "json_span", "protobuf_request", "protobuf_span"]

_SCOPE = "sessiontrace"


def json_span(span: Span) -> bytes:
    """One span in OTLP's JSON: ids in hex, 64-bit integers as texts, enums as numbers."""
    body: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _pairs(span.attributes),
    }
    if span.parent_id is not None:
        body["parentSpanId"] = span.parent_id
    if span.exception is not None:
        body["events"] = [
            {
                "timeUnixNano": str(span.end_ns),
                "name": "exception",
                "attributes": _pairs(span.exception),
            }
        ]
    if span.error is not None:
        body["status"] = {"code": ERROR, "message": span.error}
    return orjson.dumps(body)


def json_request(spans: Iterable[tuple[str, bytes]]) -> bytes:
    """Encoded spans, each with its service, as one request."""
    resources = []
    for service, group in _by_service(spans).items():
        resource = orjson.dumps({"attributes": _pairs({"service.name": service})})
        resources.append(
            b'{"resource":%b,"scopeSpans":[{"scope":{"name":"%b"},"spans":[%b]}]}'
            % (resource, _SCOPE.encode(), b",".join(group))
        )
    return b'{"resourceSpans":[%b]}' % b",".join(resources)


def protobuf_span(span: Span) -> bytes:
    """One span as a protobuf message; needs the package ``opentelemetry-proto``."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    message = Message(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id or ""),
        name=span.name,
        kind=span.kind,  # type: ignore[arg-type]
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_messages(span.attributes),
    )
    if span.exception is not None:
        message.events.add(
            time_unix_nano=span.end_ns,
            name="exception",
            attributes=_messages(span.exception),
        )
    if span.error is not None:
        message.status.CopyFrom(Status(code=ERROR, message=span.error))  # type: ignore[arg-type]
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded


def protobuf_request(spans: Iterable[tuple[str, bytes]]) -> bytes:
    """Encoded spans, each with its service, as one protobuf request."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest()
    for service, group in _by_service(spans).items():
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(_messages({"service.name": service}))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = _SCOPE
        for encoded in group:
            scope_spans.spans.add().MergeFromString(encoded)
    body: bytes = request.SerializeToString(deterministic=True)
    return body


def _by_service(spans: Iterable[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    groups: dict[str, list[bytes]] = {}
    for service, encoded in spans:
        groups.setdefault(service, []).append(encoded)
    return groups


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: str | bool | float | Sequence[str]) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"arrayValue": {"values": [{"stringValue": one} for one in value]}}


def _messages(attributes: dict[str, Any]) -> list[Any]:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

    found = []
    for key, value in attributes.items():
        if isinstance(value, str):
            held = AnyValue(string_value=value)
        elif isinstance(value, bool):
            held = AnyValue(bool_value=value)
        elif isinstance(value, int):
            held = AnyValue(int_value=value)
        elif isinstance(value, float):
            held = AnyValue(double_value=value)
        else:
            texts = [AnyValue(string_value=one) for one in value]
            held = AnyValue(array_value=ArrayValue(values=texts))
        found.append(KeyValue(key=key, value=held))
    return found
