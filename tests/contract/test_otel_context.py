"""One context with OpenTelemetry's real SDK: each side's spans are parents of the other's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.recording_tracer import Captured
from support.stubs import anthropic_api
from support.stubs.provider import serving
from support.subprocesses import run

pytest.importorskip("opentelemetry.sdk", reason="the contract group is not installed")

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from sessiontrace.capture.context.w3c import extract
from sessiontrace.capture.non_recording import SuppressedScope
from sessiontrace.instrumentation import otel_context
from sessiontrace.instrumentation.registry import Instruments

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


class Both:
    """A tracer of ours and OTel's, with what each has recorded."""

    def __init__(self) -> None:
        self.ours = Captured()
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.otel = self.provider.get_tracer("test")

    def span(self, name: str) -> ReadableSpan:
        """A span that OTel has recorded."""
        (span,) = (span for span in self.exporter.get_finished_spans() if span.name == name)
        return span


@pytest.fixture
def both() -> Iterator[Both]:
    both = Both()
    otel_context.join(both.ours, both.ours.current)
    yield both
    otel_context.leave(both.ours.current)


def span_id(event_id: str) -> int:
    return int(event_id[-17:].replace("-", ""), 16)


def test_spans_of_both_nest_in_one_trace(both: Both) -> None:
    """OTel's server span, our session and span, OTel's client span, our span within it."""
    with both.otel.start_as_current_span("server") as server:
        with both.ours.session() as session, both.ours.span("agent") as agent:
            assert trace.get_current_span().get_span_context().span_id == span_id(agent.event_id)
            with both.otel.start_as_current_span("client") as client:
                with both.ours.span("inner"):
                    pass
            with both.otel.start_as_current_span("second"):
                pass
        assert trace.get_current_span() is server
    trace_id = f"{server.get_span_context().trace_id:032x}"
    assert both.ours.of("start")[0]["metadata"]["otel.trace_id"] == trace_id
    assert {event["metadata"]["otel.trace_id"] for event in both.ours.of("event")} == {trace_id}
    client_id = f"{client.get_span_context().span_id:016x}"
    server_id = f"{server.get_span_context().span_id:016x}"
    assert both.ours.of("start")[0]["metadata"]["otel.parent_span_id"] == server_id
    assert both.ours.event("inner")["metadata"]["otel.parent_span_id"] == client_id
    assert both.ours.event("inner")["parent_id"] == agent.event_id
    assert "otel.parent_span_id" not in both.ours.event("agent")["metadata"]
    for name in ("client", "second"):
        parent = both.span(name).parent
        assert parent is not None
        assert parent.span_id == span_id(agent.event_id)
        assert f"{parent.trace_id:032x}" == trace_id
    assert session.trace_id == trace_id


def test_a_session_outside_any_trace_is_the_root_of_one(both: Both) -> None:
    """OTel's spans inside join the trace that our exporter writes: that of the session's id."""
    with both.ours.session() as session, both.otel.start_as_current_span("client"):
        pass
    parent = both.span("client").parent
    assert parent is not None
    assert f"{parent.trace_id:032x}" == session.session_id.replace("-", "")
    assert parent.span_id == span_id(session.event_id)


def test_a_turn_of_a_conversation_is_a_trace_of_its_own(both: Both) -> None:
    """Two turns, two traces."""
    traces = set()
    for _ in range(2):
        with both.ours.session(session_id="chat 7"), both.otel.start_as_current_span("client"):
            pass
        traces.add(both.exporter.get_finished_spans()[-1].context.trace_id)
    assert len(traces) == 2


def test_headers_that_otel_writes_lead_back_to_our_span(both: Both) -> None:
    """A client that OTel instruments sends our ids, the whole ones as well, and OTel's baggage."""
    headers: dict[str, str] = {}
    token = context.attach(baggage.set_baggage("tenant", "7"))
    with both.ours.session(session_id="chat 7") as turn, both.ours.span("call") as call:
        propagate.inject(headers)
    context.detach(token)
    assert headers["baggage"] == "tenant=7"
    there = Captured()
    remote = extract(there.recorder, headers)
    assert remote is not None
    with remote, there.span("work"):
        pass
    assert there.event("work")["parent_id"] == call.event_id
    assert there.event("work")["session_id"] == turn.session_id


def test_a_suppressed_or_unsampled_session_is_no_parent(both: Both) -> None:
    """What we do not record is not in OTel's trace either, and OTel's sampling stays its own."""
    with both.ours.session(sample=0.0), both.otel.start_as_current_span("in unsampled"):
        pass
    with SuppressedScope(both.ours.recorder), both.otel.start_as_current_span("in suppressed"):
        pass
    assert both.span("in unsampled").parent is None
    assert both.span("in suppressed").parent is None


def test_a_trace_that_otel_does_not_sample_stays_unsampled(both: Both) -> None:
    """Our span in between says what the span around it says."""
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.0)))
    provider.add_span_processor(SimpleSpanProcessor(both.exporter))
    otel = provider.get_tracer("test")
    with otel.start_as_current_span("server"), both.ours.session():
        with otel.start_as_current_span("client") as client:
            assert not client.is_recording()


def test_tasks_and_generators_keep_their_own_order(both: Both) -> None:
    """Each task has both contexts; a generator that is left in between restores nothing late."""

    async def step(number: int) -> tuple[str, str]:
        with both.ours.span(f"ours {number}") as ours:
            await asyncio.sleep(0)
            with both.otel.start_as_current_span(f"otel {number}") as theirs:
                await asyncio.sleep(0)
                assert trace.get_current_span() is theirs
            await asyncio.sleep(0)
            current = trace.get_current_span().get_span_context().span_id
            assert current == span_id(ours.event_id)
        return ours.event_id, f"otel {number}"

    async def chunks() -> Any:
        with both.ours.span("stream"):
            yield 1
            yield 2

    async def main() -> list[tuple[str, str]]:
        with both.ours.session():
            steps = await asyncio.gather(*(step(number) for number in range(5)))
            async for _ in chunks():
                break
            with both.otel.start_as_current_span("after"):
                pass
            return steps

    for event_id, name in asyncio.run(main()):
        parent = both.span(name).parent
        assert parent is not None
        assert parent.span_id == span_id(event_id)


def test_without_sharing_each_side_is_alone(both: Both) -> None:
    """``init(otel_context=False)``."""
    otel_context.leave(both.ours.current)
    both.ours.recorder.place = None
    with both.otel.start_as_current_span("server") as server, both.ours.session() as session:
        assert trace.get_current_span() is server
    assert session.trace_id is None
    assert "otel.parent_span_id" not in both.ours.of("start")[0]["metadata"]


@pytest.fixture
def traced_httpx(both: Both) -> Iterator[None]:
    httpx = pytest.importorskip("opentelemetry.instrumentation.httpx")
    httpx.HTTPXClientInstrumentor().instrument(tracer_provider=both.provider)
    yield
    httpx.HTTPXClientInstrumentor().uninstrument()


def test_a_request_is_one_trace_from_the_caller_to_the_model(
    both: Both, traced_httpx: None
) -> None:
    """FastAPI and httpx by OTel's instrumentors, anthropic by ours, our session in between.

    anthropic sends OTel's current span along by itself, and Anthropic's API hangs its spans there.
    """
    httpx = pytest.importorskip("httpx")
    anthropic = pytest.importorskip("anthropic")
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = fastapi.FastAPI()
    instruments = Instruments(both.ours)
    instruments.add(("anthropic",), ())
    try:
        with serving(anthropic_api.ROUTES) as model:

            @app.get("/ask")
            def ask() -> str:
                client = anthropic.Anthropic(api_key="k", base_url=model.url, max_retries=0)
                with both.ours.session("chat"), both.ours.span("agent"):
                    messages = [{"role": "user", "content": "Hello?"}]
                    client.messages.create(model="ok", max_tokens=9, messages=messages)
                    httpx.post(f"{model.url}/v1/messages", json={"model": "ok"}, timeout=20)
                return "done"

            FastAPIInstrumentor.instrument_app(app, tracer_provider=both.provider)
            trace_id, caller = "ab" * 16, "cd" * 8
            with TestClient(app) as browser:
                headers = {"traceparent": f"00-{trace_id}-{caller}-01"}
                assert browser.get("/ask", headers=headers).json() == "done"
            sent = [headers["traceparent"].split("-")[1:3] for headers in model.received]
    finally:
        instruments.remove()
    server, client = both.span("GET /ask"), both.span("POST")
    (start,) = both.ours.of("start")
    agent = both.ours.event("agent")
    (call,) = (event for event in both.ours.events if event["event_type"] == "model")
    assert f"{server.context.trace_id:032x}" == trace_id
    assert {event["metadata"]["otel.trace_id"] for event in (start, agent, call)} == {trace_id}
    assert start["metadata"]["otel.parent_span_id"] == f"{server.context.span_id:016x}"
    assert (agent["parent_id"], call["parent_id"]) == (start["event_id"], agent["event_id"])
    assert client.parent is not None
    assert client.parent.span_id == span_id(agent["event_id"])
    assert sent == [
        [trace_id, f"{span_id(call['event_id']):016x}"],
        [trace_id, f"{client.context.span_id:016x}"],
    ]


PROGRAM = """
import sys

import sessiontrace as st

st.init(st.Local(path={path!r}), spool={spool!r}, service="shop", otel_context={shared})
assert "opentelemetry" not in sys.modules
with st.session("before"):
    pass
from opentelemetry import trace  # after init

with st.session("chat") as session:
    current = trace.get_current_span().get_span_context()
    same = f"{{current.trace_id:032x}}" == session.session_id.replace("-", "")
    print(same, current.is_valid)
st.shutdown()
"""


@pytest.mark.parametrize("shared", [True, False])
def test_otel_may_be_imported_after_init(tmp_path: Path, shared: bool) -> None:
    """The context is shared from then on, unless ``otel_context=False``."""
    program = PROGRAM.format(
        path=str(tmp_path / "store.db"), spool=str(tmp_path / "spool"), shared=shared
    )
    assert run(program, tmp_path).stdout.split() == [str(shared), str(shared)]
