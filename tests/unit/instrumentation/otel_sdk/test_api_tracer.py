"""Spans of a tracer of OpenTelemetry's API that records beside another one, or alone."""

from __future__ import annotations

import pytest
from support.recording_tracer import Captured

from sessiontrace.instrumentation.opentelemetry import SpanProcessor
from sessiontrace.instrumentation.otel_sdk.api_tracer import Tracing

trace = pytest.importorskip("opentelemetry.trace", reason="the dev group is not installed")


@pytest.fixture
def events() -> Captured:
    return Captured()


def test_C36_no_sdk_is_installed(events: Captured) -> None:
    """A tracer of the API alone gives children their parent's ids; ours have ids of their own."""
    tracing = Tracing(trace, SpanProcessor(events))
    tracer = tracing.beside(trace.NoOpTracer(), "strands.telemetry.tracer")
    with events.session(), tracer.start_as_current_span("invoke_agent weather") as agent:
        with tracer.start_as_current_span("execute_event_loop_cycle") as cycle:
            with tracer.start_as_current_span("execute_tool rain") as tool:
                tool.set_attribute("gen_ai.operation.name", "execute_tool")
    tracing.stop()

    assert agent.context.span_id != cycle.context.span_id
    assert agent.context.trace_id == cycle.context.trace_id
    by_name = {event["event_name"]: event for event in events.events}
    call, around = by_name["execute_tool rain"], by_name["execute_event_loop_cycle"]
    assert (call["event_type"], call["parent_id"]) == ("tool", around["event_id"])
