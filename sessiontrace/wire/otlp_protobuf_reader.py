"""Reader of OTLP requests in protobuf: the same spans that ``otlp_json_reader`` reads from JSON.

Pure functions, no thread owns them. Source of the field numbers: opentelemetry-proto 1.x
(``trace_service.proto``, ``trace.proto``, ``resource.proto``, ``common.proto``). Invariant: a span
without ids is left out and counted; a body that is not such a message is refused as a whole.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from sessiontrace.wire.protobuf import BYTES, EIGHT, VARINT, GarbledError, MessageReader, signed
from sessiontrace.wire.received_span import (
    DEPTH,
    Attributes,
    ReceivedSpan,
    UnreadableRequestError,
)

__all__ = ["from_protobuf"]

_FAILED = 2


def from_protobuf(body: bytes) -> tuple[list[ReceivedSpan], int]:
    """The spans of an ``ExportTraceServiceRequest``, and the number of invalid ones.

    Raises ``UnreadableRequestError`` for any other message, ``TooManyFieldsError`` for a message of
    more fields than one request may have.
    """
    request = _RequestReader()
    try:
        return request.spans(body)
    except (GarbledError, struct.error) as error:
        raise UnreadableRequestError("the body is not an ExportTraceServiceRequest") from error


class _RequestReader:
    """Reads one request, within one limit of fields."""

    def __init__(self) -> None:
        self._fields = MessageReader().fields

    def spans(self, body: bytes) -> tuple[list[ReceivedSpan], int]:
        spans: list[ReceivedSpan] = []
        invalid = 0
        for group in self._fields(body)[1, BYTES]:
            fields = self._fields(group)
            # Protobuf merges a message that comes twice; joined, both are one message's fields.
            resource = self._pairs(self._fields(b"".join(fields[1, BYTES]))[1, BYTES], DEPTH)
            for scoped in fields[2, BYTES]:
                inner = self._fields(scoped)
                scope = _text(self._fields(b"".join(inner[1, BYTES]))[1, BYTES])
                for message in inner[2, BYTES]:
                    span = self._span(message, resource, scope)
                    if span is None:
                        invalid += 1
                    else:
                        spans.append(span)
        return spans, invalid

    def _span(self, message: bytes, resource: Attributes, scope: str) -> ReceivedSpan | None:
        fields = self._fields(message)
        trace_id, span_id, parent = (_last(fields[number, BYTES], b"") for number in (1, 2, 4))
        if len(trace_id) != 16 or len(span_id) != 8 or not any(trace_id) or not any(span_id):
            return None
        start, end = (_last(fields[number, EIGHT], bytes(8)) for number in (7, 8))
        start_ns = int.from_bytes(start, "little")
        status = self._fields(b"".join(fields[15, BYTES]))
        return ReceivedSpan(
            trace_id=trace_id.hex(),
            span_id=span_id.hex(),
            parent_id=parent.hex() if len(parent) == 8 and any(parent) else None,
            name=_text(fields[5, BYTES]) or "unknown",
            start_ns=start_ns,
            end_ns=max(start_ns, int.from_bytes(end, "little")),
            attributes=self._pairs(fields[9, BYTES], DEPTH),
            resource=resource,
            scope=scope,
            failed=_last(status[3, VARINT], 0) == _FAILED,
            message=_text(status[2, BYTES]),
            events=[self._event(event) for event in fields[11, BYTES]],
        )

    def _event(self, message: bytes) -> tuple[str, Attributes]:
        fields = self._fields(message)
        return _text(fields[2, BYTES]), self._pairs(fields[3, BYTES], DEPTH)

    def _pairs(self, messages: list[bytes], depth: int) -> Attributes:
        attributes: Attributes = {}
        for message in messages:
            fields = self._fields(message)
            attributes[_text(fields[1, BYTES])] = self._value(b"".join(fields[2, BYTES]), depth)
        return attributes

    def _value(self, message: bytes, depth: int) -> Any:
        """The value of an ``AnyValue``; bytes in base64, as in JSON."""
        if depth == 0:
            return None
        for (number, kind), values in self._fields(message).items():
            value = values[-1]
            if kind == BYTES:
                if number == 1:
                    return value.decode(errors="replace")
                if number == 5:
                    items = self._fields(value)[1, BYTES]
                    return [self._value(item, depth - 1) for item in items]
                if number == 6:
                    return self._pairs(self._fields(value)[1, BYTES], depth - 1)
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
