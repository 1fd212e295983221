"""What a refused gRPC call says of a new attempt: ``google.rpc.RetryInfo`` in its trailers.

Pure functions, no thread owns them. Source: opentelemetry-proto, ``docs/specification.md``,
"OTLP/gRPC Throttling"; ``google/rpc/status.proto`` and ``error_details.proto``. Invariant: a call
that may succeed later says so, since exporters try RESOURCE_EXHAUSTED again only with a
``RetryInfo``.
"""

from __future__ import annotations

from sessiontrace.wire.protobuf import field, varint

__all__ = ["retry_trailers"]

_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"
_NANOS = 1_000_000_000


def retry_trailers(code: int, message: str, delay_s: float) -> tuple[tuple[str, bytes], ...]:
    """The trailers of a call that is to be sent again after ``delay_s`` seconds.

    ``code``: of the status, as a number. OpenTelemetry's exporter for Python reads the second
    trailer, others the details of the status.
    """
    seconds, nanos = divmod(round(delay_s * _NANOS), _NANOS)
    duration = (b"\x08" + varint(seconds) if seconds else b"") + (
        b"\x10" + varint(nanos) if nanos else b""
    )
    retry_info = field(b"\x0a", duration)
    detail = field(b"\x0a", _RETRY_INFO) + field(b"\x12", retry_info)
    status = b"\x08" + varint(code) + field(b"\x12", message.encode()) + field(b"\x1a", detail)
    return ("grpc-status-details-bin", status), ("google.rpc.retryinfo-bin", retry_info)
