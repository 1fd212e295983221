"""OpenTelemetry in: ``provider.add_span_processor(st.otel.SpanProcessor())``.

The public face of ``instrumentation/opentelemetry.py`` and ``instrumentation/otel_sdk``, with the
default tracer. Invariant: the module needs no package of OpenTelemetry.
"""

from __future__ import annotations

from sessiontrace import api
from sessiontrace.capture.tracer_state import TracerProtocol
from sessiontrace.instrumentation import opentelemetry
from sessiontrace.instrumentation.otel_sdk import span_exporter
from sessiontrace.instrumentation.otel_sdk.log_events import LogRecordProcessor

__all__ = ["LogRecordProcessor", "SpanExporter", "SpanProcessor"]


class SpanProcessor(opentelemetry.SpanProcessor):
    """Events from spans by the GenAI conventions of OTel, by OpenInference and by Traceloop.

    ``tracer``: where to record, default the tracer of the module's functions. Spans about anything
    else (HTTP, databases) are passed over, and their children go under the next one above.
    """

    def __init__(self, tracer: TracerProtocol | None = None) -> None:
        super().__init__(api.default_tracer if tracer is None else tracer)


class SpanExporter(span_exporter.SpanExporter):
    """All spans of a program that uses OTel's SDK, through our spool to all destinations.

    ``BatchSpanProcessor(st.otel.SpanExporter())``. ``tracer``: where to record, default the tracer
    of the module's functions; call ``st.init`` before. Every span becomes an event, each trace a
    session. ``export`` answers SUCCESS once the records are in the spool. ``force_flush`` delivers
    them; so does ``shutdown``, within ``exit_timeout``.
    """

    def __init__(self, tracer: span_exporter.DeliveringTracer | None = None) -> None:
        super().__init__(api.default_tracer if tracer is None else tracer)
