"""Counts the data points of ``/v1/metrics`` requests, in JSON and in protobuf.

Pure functions, no thread owns them. Source of the field numbers: opentelemetry-proto 1.x,
``metrics.proto``. Invariant: a body that is not a request is refused, as for spans.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.otlp_json_reader import first_list, walk
from sessiontrace.wire.otlp_protobuf_reader import RequestReader, unreadable
from sessiontrace.wire.protobuf import BYTES
from sessiontrace.wire.received_span import UnreadableRequestError

__all__ = ["points_from_json", "points_from_protobuf"]

_GROUPS = ("resourceMetrics", "resource_metrics")
_SCOPES = ("scopeMetrics", "scope_metrics", "instrumentationLibraryMetrics")
_KINDS = {
    "gauge": 5, "sum": 7, "histogram": 9, "exponentialHistogram": 10,
    "exponential_histogram": 10, "summary": 11,
}  # fmt: skip


def points_from_json(request: Any) -> int:
    """How many data points a decoded request has.

    Raises ``UnreadableRequestError`` where the request is not an object.
    """
    if not isinstance(request, dict):
        raise UnreadableRequestError("the request must be an object with resourceMetrics")
    return sum(
        len(first_list(metric.get(kind), "dataPoints", "data_points"))
        for _, _, metric in walk(request, _GROUPS, _SCOPES, ("metrics",))
        if isinstance(metric, dict)
        for kind in _KINDS
    )


def points_from_protobuf(body: bytes) -> int:
    """How many data points an ``ExportMetricsServiceRequest`` has.

    Raises ``UnreadableRequestError`` and ``TooManyFieldsError``, as for spans.
    """
    reader = RequestReader()
    count = 0
    with unreadable("an ExportMetricsServiceRequest"):
        for _, _, metric in reader.items(body):
            fields = reader.fields(metric)
            for number in set(_KINDS.values()):
                count += sum(len(reader.fields(data)[1, BYTES]) for data in fields[number, BYTES])
    return count
