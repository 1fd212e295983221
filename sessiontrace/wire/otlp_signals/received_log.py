"""A log record as OpenTelemetry's exporters send it, whichever encoding it came in.

A value, no thread owns it. Source: opentelemetry-proto 1.x, ``logs.proto``. Invariant: the body and
the values of attributes are what JSON can hold, at most ``DEPTH`` levels deep.
"""

from __future__ import annotations

from typing import Any

import attrs

from sessiontrace.wire.received_span import Attributes

__all__ = ["ReceivedLog"]


@attrs.define(eq=False)
class ReceivedLog:
    """One log record; ids in hex or None, ``time_ns`` in Unix ns, 0 where the sender gave none.

    ``name``: of the event that it is; empty for a plain log record. ``severity``: the text, else
    the number as a text.
    """

    trace_id: str | None
    span_id: str | None
    time_ns: int
    name: str
    severity: str
    body: Any
    attributes: Attributes
    resource: Attributes
    scope: str
