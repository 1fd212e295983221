"""A log record to send, and the items of an ``ExportLogsServiceRequest`` in JSON and protobuf.

Pure functions, no thread owns them. Source of names and field numbers: opentelemetry-proto 1.x
(``logs.proto``, ``logs_service.proto``). A request for logs has the form of one for spans: in
protobuf the numbers are the same, in JSON the names differ. Invariant: both encodings have the same
content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import orjson

from sessiontrace.wire.encoded.key_values import key_values
from sessiontrace.wire.otlp_json import json_items, json_pairs
from sessiontrace.wire.otlp_resource import NO_ATTRIBUTES, Origin
from sessiontrace.wire.protobuf import field
from sessiontrace.wire.span_content import Value

__all__ = ["LogRecord", "json_log", "json_log_items", "protobuf_log"]

_TIME, _OBSERVED = 0x09, 0x59
_TIMES = struct.Struct("<BQBQ")
_NAMES = ("resourceLogs", "scopeLogs", "logRecords")


class LogRecord(NamedTuple):
    """One log record about a span; ids in hex, ``at_ns`` in Unix ns."""

    origin: Origin
    trace_id: str
    span_id: str
    at_ns: int
    event_name: str
    attributes: dict[str, Value]


def json_log(log: LogRecord) -> bytes:
    """One log record in OTLP's JSON."""
    head = (
        f'{{"timeUnixNano":"{log.at_ns}","observedTimeUnixNano":"{log.at_ns}",'
        f'"traceId":"{log.trace_id}","spanId":"{log.span_id}","eventName":'
    )
    return b'%b%b,"attributes":[%b]}' % (
        head.encode(),
        orjson.dumps(log.event_name),
        json_pairs(log.attributes),
    )


def protobuf_log(log: LogRecord) -> bytes:
    """One log record as a ``LogRecord`` message."""
    return b"".join(
        (
            _TIMES.pack(_TIME, log.at_ns, _OBSERVED, log.at_ns),
            key_values(b"\x32", log.attributes),
            b"\x4a\x10" + bytes.fromhex(log.trace_id),
            b"\x52\x08" + bytes.fromhex(log.span_id),
            field(b"\x62", log.event_name.encode()),
        )
    )


def json_log_items(
    logs: Iterable[tuple[Origin, bytes]], resource: Mapping[str, str] = NO_ATTRIBUTES
) -> list[bytes]:
    """Encoded log records, each with its origin, as the items of one request in JSON."""
    return json_items(logs, resource, _NAMES)
