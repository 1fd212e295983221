"""The form of ``FieldReader`` in Python, which is the specification; see ``field_reader``.

Source of the field numbers: opentelemetry-proto 1.x, ``common.proto`` and ``trace.proto``.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from sessiontrace.wire.protobuf import (
    BYTES,
    EIGHT,
    FIELDS_MAX,
    VARINT,
    MessageReader,
    last,
    signed,
    text,
)
from sessiontrace.wire.received_span import DEPTH, Attributes, ReceivedSpan, finite

__all__ = ["FieldReader"]

_FAILED = 2


class FieldReader(MessageReader):
    """Reads the messages of one request, which share a limit of fields."""

    def __init__(self, most: int = FIELDS_MAX) -> None:
        super().__init__(most)

    def attributes(self, messages: list[bytes], depth: int = DEPTH) -> Attributes:
        """The object of a list of ``KeyValue``, its values at most ``depth`` levels deep."""
        attributes: Attributes = {}
        for message in messages:
            fields = self.fields(message)
            keys = fields[1, BYTES]
            key = keys[-1].decode(errors="replace") if keys else ""
            # Protobuf merges a message that comes twice; joined, both are one message's fields.
            attributes[key] = self.value(b"".join(fields[2, BYTES]), depth)
        return attributes

    def value(self, message: bytes, depth: int = DEPTH) -> Any:
        """The value of an ``AnyValue``; bytes in base64, as in JSON."""
        if depth == 0:
            return None
        for (number, kind), values in self.fields(message).items():
            value = values[-1]
            if kind == BYTES:
                if number == 1:
                    return value.decode(errors="replace")
                if number == 5:
                    items = self.fields(value)[1, BYTES]
                    return [self.value(item, depth - 1) for item in items]
                if number == 6:
                    return self.attributes(self.fields(value)[1, BYTES], depth - 1)
                if number == 7:
                    return base64.b64encode(value).decode()
            elif kind == VARINT and number == 2:
                return bool(value)
            elif kind == VARINT and number == 3:
                return signed(value)
            elif kind == EIGHT and number == 4:
                return finite(struct.unpack("<d", value)[0])
        return None

    def span(self, message: bytes, resource: Attributes, scope: str) -> ReceivedSpan | None:
        """The span of a ``Span``; None without ids."""
        fields = self.fields(message)
        trace_id, span_id, parent = (last(fields[number, BYTES], b"") for number in (1, 2, 4))
        if len(trace_id) != 16 or len(span_id) != 8 or not any(trace_id) or not any(span_id):
            return None
        start, end = (last(fields[number, EIGHT], bytes(8)) for number in (7, 8))
        start_ns = int.from_bytes(start, "little")
        status = self.fields(b"".join(fields[15, BYTES]))
        return ReceivedSpan(
            trace_id=trace_id.hex(),
            span_id=span_id.hex(),
            parent_id=parent.hex() if len(parent) == 8 and any(parent) else None,
            name=text(fields[5, BYTES]) or "unknown",
            start_ns=start_ns,
            end_ns=max(start_ns, int.from_bytes(end, "little")),
            attributes=self.attributes(fields[9, BYTES]),
            resource=resource,
            scope=scope,
            failed=last(status[3, VARINT], 0) == _FAILED,
            message=text(status[2, BYTES]),
            events=[self._event(event) for event in fields[11, BYTES]],
            links=[link for item in fields[13, BYTES] if (link := self._link(item))],
        )

    def _event(self, message: bytes) -> tuple[str, Attributes]:
        fields = self.fields(message)
        return text(fields[2, BYTES]), self.attributes(fields[3, BYTES])

    def _link(self, message: bytes) -> dict[str, Any] | None:
        """A linked span; None for one without ids."""
        fields = self.fields(message)
        trace_id, span_id = (last(fields[number, BYTES], b"") for number in (1, 2))
        if len(trace_id) != 16 or len(span_id) != 8:
            return None
        attributes = self.attributes(fields[4, BYTES])
        ids = {"trace_id": trace_id.hex(), "span_id": span_id.hex()}
        return {**ids, "attributes": attributes} if attributes else ids
