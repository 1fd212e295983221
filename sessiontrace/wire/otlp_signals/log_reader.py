"""Readers of ``/v1/logs`` requests, in JSON and in protobuf.

Pure functions, no thread owns them. Source of the field numbers: opentelemetry-proto 1.x,
``logs.proto``. Invariant: both encodings give the same log records; an item that is not an object
is left out and counted.
"""

from __future__ import annotations

import re
from typing import Any

from sessiontrace.wire.otlp_json_reader import read_attributes, read_id, read_time, read_value, walk
from sessiontrace.wire.otlp_protobuf_reader import RequestReader, unreadable
from sessiontrace.wire.otlp_signals.received_log import ReceivedLog
from sessiontrace.wire.protobuf import BYTES, EIGHT, VARINT, last, text
from sessiontrace.wire.received_span import Attributes, UnreadableRequestError

__all__ = ["logs_from_json", "logs_from_protobuf"]

_GROUPS = ("resourceLogs", "resource_logs")
_SCOPES = ("scopeLogs", "scope_logs", "instrumentationLibraryLogs")
_RECORDS = ("logRecords", "log_records", "logs")


def logs_from_json(request: Any) -> tuple[list[ReceivedLog], int]:
    """The log records of a decoded request, and the number of invalid ones.

    Raises ``UnreadableRequestError`` where the request is not an object.
    """
    if not isinstance(request, dict):
        raise UnreadableRequestError("the request must be an object with resourceLogs")
    logs: list[ReceivedLog] = []
    invalid = 0
    for resource, scope, item in walk(request, _GROUPS, _SCOPES, _RECORDS):
        if isinstance(item, dict):
            logs.append(_of_json(item, resource, scope))
        else:
            invalid += 1
    return logs, invalid


def _of_json(item: dict[str, Any], resource: Attributes, scope: str) -> ReceivedLog:
    def get(name: str, other: str) -> Any:
        return item[name] if name in item else item.get(other)

    attributes = read_attributes(item.get("attributes"))
    return ReceivedLog(
        trace_id=read_id(get("traceId", "trace_id"), 16),
        span_id=read_id(get("spanId", "span_id"), 8),
        time_ns=read_time(get("timeUnixNano", "time_unix_nano"))
        or read_time(get("observedTimeUnixNano", "observed_time_unix_nano")),
        name=_name(get("eventName", "event_name"), attributes),
        severity=str(
            get("severityText", "severity_text") or get("severityNumber", "severity_number") or ""
        ),
        body=read_value(item.get("body")),
        attributes=attributes,
        resource=resource,
        scope=scope,
    )


def logs_from_protobuf(body: bytes) -> tuple[list[ReceivedLog], int]:
    """The log records of an ``ExportLogsServiceRequest``, and 0: none is invalid.

    Raises ``UnreadableRequestError`` and ``TooManyFieldsError``, as for spans.
    """
    reader = RequestReader()
    with unreadable("an ExportLogsServiceRequest"):
        items = list(reader.items(body))
        return [_of_protobuf(reader, *item) for item in items], 0


def _of_protobuf(
    reader: RequestReader, resource: Attributes, scope: str, message: bytes
) -> ReceivedLog:
    fields = reader.fields(message)
    attributes = reader.attributes(fields[6, BYTES])
    time, observed = (
        int.from_bytes(last(fields[number, EIGHT], b""), "little") for number in (1, 11)
    )
    severity = last(fields[2, VARINT], 0)
    return ReceivedLog(
        trace_id=_id(last(fields[9, BYTES], b""), 16),
        span_id=_id(last(fields[10, BYTES], b""), 8),
        time_ns=time or observed,
        name=_name(text(fields[12, BYTES]), attributes),
        severity=text(fields[3, BYTES]) or (str(severity) if severity else ""),
        body=reader.value(b"".join(fields[5, BYTES])),
        attributes=attributes,
        resource=resource,
        scope=scope,
    )


def _id(identifier: bytes, size: int) -> str | None:
    return identifier.hex() if len(identifier) == size and any(identifier) else None


def _name(name: Any, attributes: Attributes) -> str:
    """The name of the event; older SDKs have it in an attribute, which then is not needed.

    So have programs in Rust, whose SDK takes the place in the code for the event's name.
    """
    if isinstance(name, str) and name and not _PLACE_IN_CODE.fullmatch(name):
        return name
    stated = attributes.get("event.name")
    if isinstance(name, str) and name:
        attributes["code.callsite"] = name.removeprefix("event ")
    return stated if isinstance(stated, str) else ""


_PLACE_IN_CODE = re.compile(r"event \S+:\d+")
"""The name that the crate ``tracing`` gives an event without one."""
