"""Requests of OTLP in JSON, as exporters write them."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

START = 1_790_000_000_000 * 1_000_000
"""Unix ns at which the spans start."""


def value(plain: Any) -> dict[str, Any]:
    """An ``AnyValue``."""
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(item) for item in plain]}}
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": pairs(plain)}}
    return {} if plain is None else {"stringValue": plain}


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes as a list of keys and values."""
    return [{"key": key, "value": value(plain)} for key, plain in attributes.items()]


def new_trace() -> tuple[str, str]:
    """A trace id, and the session that it is."""
    trace = secrets.token_hex(16)
    return trace, str(uuid.UUID(trace))


def span(name: str, trace: str, parent: str | None = None, **fields: Any) -> dict[str, Any]:
    """A span of 250 ms; ``attributes`` are plain values."""
    return {
        "traceId": trace, "spanId": secrets.token_hex(8), "parentSpanId": parent, "name": name,
        "startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 250_000_000),
        **fields, "attributes": pairs(fields.get("attributes", {})),
    }  # fmt: skip


def request(*spans: dict[str, Any], service: str = "shop") -> dict[str, Any]:
    """An ``ExportTraceServiceRequest``."""
    resource = {"attributes": pairs({"service.name": service})}
    scoped = [{"scope": {"name": "s"}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": resource, "scopeSpans": scoped}]}


def log(
    name: str, of: dict[str, Any] | None = None, body: Any = None, *, at: int = 0,
    severity: str = "INFO", attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A log record of a span; ``at``: ns after ``START``."""
    ids = {} if of is None else {"traceId": of["traceId"], "spanId": of["spanId"]}
    return {
        **ids, "timeUnixNano": str(START + at), "severityText": severity, "eventName": name,
        "body": value(body), "attributes": pairs(attributes or {}),
    }  # fmt: skip


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    """An ``ExportLogsServiceRequest``."""
    resource = {"attributes": pairs({"service.name": "shop"})}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}
