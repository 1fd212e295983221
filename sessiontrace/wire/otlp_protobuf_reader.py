"""Reader of OTLP requests in protobuf: the same spans that ``otlp_json_reader`` reads from JSON.

Pure functions, no thread owns them. Source of the field numbers: opentelemetry-proto 1.x
(``trace_service.proto``, ``trace.proto``, ``resource.proto``, ``common.proto``). Invariant: a span
without ids is left out and counted; a body that is not such a message is refused as a whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sessiontrace.wire.decoded.field_reader import FieldReader
from sessiontrace.wire.protobuf import BYTES, EIGHT, VARINT, GarbledError
from sessiontrace.wire.received_span import (
    Attributes,
    ReceivedSpan,
    UnreadableRequestError,
)

__all__ = ["RequestReader", "from_protobuf", "last", "text", "unreadable"]

_FAILED = 2


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
            if (span := _span(reader, message, resource, scope)) is None:
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


def _span(
    reader: RequestReader, message: bytes, resource: Attributes, scope: str
) -> ReceivedSpan | None:
    """The span; None without ids."""
    fields = reader.fields(message)
    trace_id, span_id, parent = (last(fields[number, BYTES], b"") for number in (1, 2, 4))
    if len(trace_id) != 16 or len(span_id) != 8 or not any(trace_id) or not any(span_id):
        return None
    start, end = (last(fields[number, EIGHT], bytes(8)) for number in (7, 8))
    start_ns = int.from_bytes(start, "little")
    status = reader.fields(b"".join(fields[15, BYTES]))
    return ReceivedSpan(
        trace_id=trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=parent.hex() if len(parent) == 8 and any(parent) else None,
        name=text(fields[5, BYTES]) or "unknown",
        start_ns=start_ns,
        end_ns=max(start_ns, int.from_bytes(end, "little")),
        attributes=reader.attributes(fields[9, BYTES]),
        resource=resource,
        scope=scope,
        failed=last(status[3, VARINT], 0) == _FAILED,
        message=text(status[2, BYTES]),
        events=[_event(reader, event) for event in fields[11, BYTES]],
        links=[link for item in fields[13, BYTES] if (link := _link(reader, item))],
    )


def _event(reader: RequestReader, message: bytes) -> tuple[str, Attributes]:
    fields = reader.fields(message)
    return text(fields[2, BYTES]), reader.attributes(fields[3, BYTES])


def _link(reader: RequestReader, message: bytes) -> dict[str, Any] | None:
    """A linked span; None for one without ids."""
    fields = reader.fields(message)
    trace_id, span_id = (last(fields[number, BYTES], b"") for number in (1, 2))
    if len(trace_id) != 16 or len(span_id) != 8:
        return None
    attributes = reader.attributes(fields[4, BYTES])
    ids = {"trace_id": trace_id.hex(), "span_id": span_id.hex()}
    return {**ids, "attributes": attributes} if attributes else ids


def last(values: list[Any], otherwise: Any) -> Any:
    """A field's value: of several, the last one counts."""
    return values[-1] if values else otherwise


def text(values: list[bytes]) -> str:
    """A field's text; bytes that are not UTF-8 become replacement characters."""
    return values[-1].decode(errors="replace") if values else ""
