"""Reading a request of the trace signal: what becomes of its spans.

Pure functions, no thread owns them: the writer thread calls them, or the process that
``reader_process`` starts. Invariant: a request that is packed and unpacked is the same, as is the
reason why it is rejected.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.apis.otlp.json_body import decode_request
from sessiontrace.server.apis.otlp.mapping import Converted
from sessiontrace.server.http import RequestRejected
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.protobuf import TooManyFieldsError
from sessiontrace.wire.received_span import UnreadableRequestError

__all__ = ["TraceRequest", "packed", "read_body", "read_traces", "unpacked"]

T = TypeVar("T")


@attrs.frozen
class TraceRequest:
    """A request, read. ``received``: how many spans it had, those without records included."""

    received: int
    converted: Converted


def read_traces(body: bytes, binary: bool) -> TraceRequest:
    """What an ``ExportTraceServiceRequest`` holds, or ``RequestRejected``."""
    spans, invalid = read_body(body, binary, from_protobuf, from_json)
    converted = mapping.convert(spans)
    if invalid:
        converted.reasons["spans without ids"] += invalid
    return TraceRequest(len(spans) + invalid, converted)


def packed(body: bytes) -> bytes:
    """What ``unpacked`` takes: the request in a body of protobuf, or why it is rejected."""
    answer: TraceRequest | tuple[int, str]
    try:
        answer = read_traces(body, True)
    except RequestRejected as error:
        answer = error.status, error.reason
    return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)


def unpacked(answer: bytes | bytearray) -> TraceRequest:
    """The request, or ``RequestRejected``."""
    request: TraceRequest | tuple[int, str] = pickle.loads(answer)  # noqa: S301 - our process's
    if isinstance(request, tuple):
        raise RequestRejected(*request)
    return request


def read_body(
    body: bytes,
    binary: bool,
    protobuf_reader: Callable[[bytes], T],
    json_reader: Callable[[Any], T],
) -> T:
    """What a body of any signal holds, or ``RequestRejected``."""
    try:
        return protobuf_reader(body) if binary else json_reader(decode_request(body))
    except TooManyFieldsError as error:
        raise RequestRejected(
            413, "the request has more fields than the server reads at once; split it"
        ) from error
    except UnreadableRequestError as error:
        raise RequestRejected(400, str(error)) from error
