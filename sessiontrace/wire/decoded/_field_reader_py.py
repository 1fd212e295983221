"""The form of ``FieldReader`` in Python, which is the specification; see ``field_reader``.

Source of the field numbers: opentelemetry-proto 1.x, ``common.proto``.
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
    signed,
)
from sessiontrace.wire.received_span import DEPTH, Attributes, finite

__all__ = ["FieldReader"]


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
