"""A span of OpenTelemetry's SDK as an OTLP exporter would send it, in conventional names.

Pure functions, in whichever thread the SDK calls. They read public attributes only and need no
package of OTel's. Invariant: the values of attributes are what JSON can hold.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.received_span import Attributes, ReceivedSpan

__all__ = ["attributes_of", "plain_value", "received_span", "scope_name"]

_SCALARS = frozenset({str, int, float, bool})


def received_span(
    span: Any,
    events: Iterable[tuple[str, Attributes]] = (),
    *,
    resource: Attributes | None = None,
) -> ReceivedSpan:
    """The span as it is now. ``events``: further events, such as log records about the span."""
    status = span.status
    received = ReceivedSpan(
        trace_id=f"{span.context.trace_id:032x}",
        span_id=f"{span.context.span_id:016x}",
        parent_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        name=span.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=attributes_of(span.attributes),
        resource=resource or {},
        scope=scope_name(span),
        failed=getattr(status.status_code, "name", "") == "ERROR",
        message=status.description or "",
        events=[
            *((event.name, attributes_of(event.attributes)) for event in span.events or ()),
            *events,
        ],
        links=[
            {
                "trace_id": f"{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                **({"attributes": attributes_of(link.attributes)} if link.attributes else {}),
            }
            for link in getattr(span, "links", None) or ()
            if link.context is not None
        ],
    )
    return conventional(received)


def scope_name(span: Any) -> str:
    """The name of the library that made the span; empty where it has none."""
    return getattr(getattr(span, "instrumentation_scope", None), "name", None) or ""


def attributes_of(attributes: Any) -> Attributes:
    """Attributes as plain values; bytes in base64, as in OTLP's JSON."""
    return {
        key: value if value.__class__ in _SCALARS else plain_value(value)
        for key, value in (attributes or {}).items()
    }


def plain_value(value: Any) -> Any:
    """A value of the SDK as JSON can hold it."""
    if isinstance(value, (tuple, list)):
        return [plain_value(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(name): plain_value(item) for name, item in value.items()}
    return value
