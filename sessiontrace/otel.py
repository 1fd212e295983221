"""OpenTelemetry in: ``provider.add_span_processor(st.otel.SpanProcessor())``.

The public face of ``instrumentation/opentelemetry.py``, with the default tracer. Invariant: the
module needs no package of OpenTelemetry.
"""

from __future__ import annotations

from sessiontrace import api
from sessiontrace.capture.tracer_state import TracerProtocol
from sessiontrace.instrumentation import opentelemetry

__all__ = ["SpanProcessor"]


class SpanProcessor(opentelemetry.SpanProcessor):
    """Events from spans by the GenAI conventions of OTel, by OpenInference and by Traceloop.

    ``tracer``: where to record, default the tracer of the module's functions. Spans about anything
    else (HTTP, databases) are passed over, and their children go under the next one above.
    """

    def __init__(self, tracer: TracerProtocol | None = None) -> None:
        super().__init__(api.default_tracer if tracer is None else tracer)
