"""The response to an OTLP request in protobuf: how many spans or log records were rejected.

Pure functions, no thread owns them. The server writes it, the exporter reads it; no response says
which spans were rejected. Invariant: reading never raises.
"""

from __future__ import annotations

from sessiontrace.wire.protobuf import (
    BYTES,
    VARINT,
    GarbledError,
    MessageReader,
    TooManyFieldsError,
    field,
    varint,
)

__all__ = ["read_partial_success", "write_partial_success"]

_FIELDS_MAX = 1000


def write_partial_success(rejected: int, message: str) -> bytes:
    """The response for a request of which ``rejected`` spans were not written."""
    return field(b"\x0a", b"\x08" + varint(rejected) + field(b"\x12", message.encode()))


def read_partial_success(body: bytes) -> tuple[int, str]:
    """The number of rejected items and the reason; (0, "") where the body is garbled."""
    reader = MessageReader(_FIELDS_MAX)
    rejected, message = 0, ""
    try:
        for partial in reader.fields(body)[1, BYTES]:
            fields = reader.fields(partial)
            if counts := fields[1, VARINT]:
                rejected = counts[-1]
            if texts := fields[2, BYTES]:
                message = texts[-1].decode(errors="replace")
    except (GarbledError, TooManyFieldsError):
        return 0, ""
    return rejected, message
