"""Reader of OTLP requests in protobuf: the same spans that ``otlp_json_reader`` reads from JSON.

Pure functions, no thread owns them. Source of the field numbers: opentelemetry-proto 1.x
(``trace_service.proto``, ``trace.proto``, ``resource.proto``, ``common.proto``). Invariant: a span
without ids is left out and counted; a body that is not such a message is refused as a whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from sessiontrace.wire.decoded.field_reader import FieldReader
from sessiontrace.wire.protobuf import BYTES, GarbledError, text
from sessiontrace.wire.received_span import (
    Attributes,
    ReceivedSpan,
    UnreadableRequestError,
)

__all__ = ["RequestReader", "from_protobuf", "unreadable"]


def from_protobuf(body: bytes) -> tuple[list[ReceivedSpan], int]:
    """The spans of an ``ExportTraceServiceRequest``, and the number of invalid ones.

    Raises ``UnreadableRequestError`` for any other message, ``TooManyFieldsError`` for a message of
    more fields than one request may have.
    """
    reader = RequestReader()
    spans: list[ReceivedSpan] = []
    invalid = 0
    with unreadable("an ExportTraceServiceRequest"):
        for resource, scope, message in reader.items(body):
            if (span := reader.span(message, resource, scope)) is None:
                invalid += 1
            else:
                spans.append(span)
    return spans, invalid


@contextmanager
def unreadable(kind: str) -> Iterator[None]:
    """Raise ``UnreadableRequestError`` where the block finds that the body is not a message."""
    try:
        yield
    except (GarbledError, struct.error) as error:
        raise UnreadableRequestError(f"the body is not {kind}") from error


class RequestReader(FieldReader):
    """Reads one request of any signal, within one limit of fields."""

    def items(self, body: bytes) -> Iterator[tuple[Attributes, str, bytes]]:
        """Each span, log record or metric, with its resource and the name of its scope.

        The requests of all three signals have the same two levels above them.
        """
        for group in self.fields(body)[1, BYTES]:
            fields = self.fields(group)
            # Protobuf merges a message that comes twice; joined, both are one message's fields.
            resource = self.attributes(self.fields(b"".join(fields[1, BYTES]))[1, BYTES])
            for scoped in fields[2, BYTES]:
                inner = self.fields(scoped)
                scope = text(self.fields(b"".join(inner[1, BYTES]))[1, BYTES])
                for message in inner[2, BYTES]:
                    yield resource, scope, message
