"""A span as OpenTelemetry's exporters send it, whichever encoding it came in.

A value, no thread owns it. Invariant: attribute values are what JSON can hold, at most ``DEPTH``
levels deep.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

__all__ = ["DEPTH", "Attributes", "ReceivedSpan", "UnreadableRequestError", "finite"]

Attributes = dict[str, Any]
DEPTH = 16
"""How deep the value of an attribute may be nested."""


class UnreadableRequestError(ValueError):
    """The body of an OTLP request cannot be read as spans; the message is for its sender."""


@attrs.define(eq=False)
class ReceivedSpan:
    """One span: ids in hex, times in Unix ns; ``message`` is that of its status.

    ``failed``: the status is an error. ``events``: name and attributes of each span event.
    ``links``: ``trace_id``, ``span_id`` and, if any, ``attributes`` of each linked span.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    resource: Attributes
    scope: str
    failed: bool
    message: str
    events: list[tuple[str, Attributes]]
    links: list[dict[str, Any]] = attrs.field(factory=list)


def finite(number: float) -> float | str:
    """The number; NaN and infinities, which JSON lacks, as protobuf's JSON writes them."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
