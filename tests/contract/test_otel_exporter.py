"""A program on OpenTelemetry's SDK whose exporter is ours: spans become records of the spool."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fake_backend import Backend
from support.recording_tracer import Captured
from support.subprocesses import REPO, run

import sessiontrace as st
from sessiontrace.model.ids import session_uuid
from sessiontrace.otel import SpanExporter, SpanProcessor
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf

pytest.importorskip("opentelemetry.sdk", reason="the contract group is not installed")

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.output_tokens": 4,
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    ),
}
SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


class Exporting(Captured):
    """A recording tracer with what the exporter asks of one."""

    exit_timeout = 1.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.flushes: list[float] = []

    def flush(self, timeout: float) -> bool:
        self.flushes.append(timeout)
        return True

    def keep_open(self, holder: object) -> None:
        assert isinstance(holder, SpanExporter)

    def let_close(self, holder: object) -> None:
        assert isinstance(holder, SpanExporter)


@pytest.fixture
def tracing() -> Exporting:
    return Exporting()


def spans_of(program: Callable[[trace.Tracer], None], **resource: str) -> list[ReadableSpan]:
    """The spans of a program in the order in which they ended."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource(resource), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    program(provider.get_tracer("app"))
    return list(memory.get_finished_spans())


def agent(tracer: trace.Tracer) -> None:
    """An agent that asks a model and a database."""
    with tracer.start_as_current_span("agent", attributes={"user.id": "ada"}):
        with tracer.start_as_current_span("llm", attributes=CHAT):
            pass
        with tracer.start_as_current_span("SELECT", attributes={"db.system": "sqlite"}):
            pass


ORDERS: dict[str, Callable[[list[ReadableSpan]], list[list[ReadableSpan]]]] = {
    "one batch": lambda spans: [spans],
    "one by one": lambda spans: [[span] for span in spans],
    "parents first": lambda spans: [spans[::-1]],
    "parents first, one by one": lambda spans: [[span] for span in spans[::-1]],
    "retried": lambda spans: [spans, spans],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_trace_is_a_session_in_whatever_order_its_spans_come(
    tracing: Exporting, order: str
) -> None:
    """Its ids follow from those of the spans, so a span that comes twice is one event."""
    exporter = SpanExporter(tracing)
    for batch in ORDERS[order](spans_of(agent, **{"service.name": "shop"})):
        assert exporter.export(batch) is SUCCESS

    events = {event["event_id"]: event for event in tracing.events}
    by_name = {event["event_name"]: event for event in events.values()}
    assert set(by_name) == {"agent", "chat gpt-5", "SELECT"}
    session = tracing.of("start")[0]
    assert tracing.records[0][0] == "start"
    assert len(tracing.of("start")) == 1
    assert by_name["agent"]["parent_id"] == session["event_id"]
    for name in ("chat gpt-5", "SELECT"):
        assert by_name[name]["parent_id"] == by_name["agent"]["event_id"]
    end = tracing.of("end")[-1]
    assert (end["event_id"], end["event_name"]) == (session["event_id"], "agent")
    assert end["metadata"]["service"] == "shop"
    assert end["user_properties"] == {"user_id": "ada"}
    assert end["start_time"] <= min(event["start_time"] for event in events.values())
    assert by_name["chat gpt-5"]["metadata"]["total_tokens"] == 7


def test_the_exporter_and_the_processor_read_a_span_alike(tracing: Exporting) -> None:
    """One decoder: the same event, but for its place and its ids."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(SpanExporter(tracing)))
    processed = Captured()
    processor = SpanProcessor(processed)  # type: ignore[arg-type]
    provider.add_span_processor(processor)  # type: ignore[arg-type]
    tracer = provider.get_tracer("app")
    with processed.session(), pytest.raises(KeyError):
        link = trace.Link(trace.SpanContext(1, 2, is_remote=True), {"why": "retry"})
        with tracer.start_as_current_span("llm", attributes=CHAT, links=[link]):
            raise KeyError("lost")
    processor.shutdown()

    (ours,), (theirs,) = processed.events, tracing.events
    same = ("event_type", "event_name", "inputs", "config", "error")
    assert {name: ours.get(name) for name in same} == {name: theirs.get(name) for name in same}
    assert ours["metadata"]["error"] == theirs["metadata"]["error"]
    assert "Traceback" in ours["metadata"]["error"]["stack"]
    linked = [{"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "attributes": {"why": "retry"}}]
    assert ours["metadata"]["otel"]["links"] == theirs["metadata"]["otel"]["links"] == linked


def test_traces_that_name_a_session_are_turns_of_it(tracing: Exporting) -> None:
    """Any span of the first batch may name it; each trace is a turn of its own."""

    def conversation(tracer: trace.Tracer) -> None:
        for _ in range(2):
            with tracer.start_as_current_span("turn", attributes={"session.id": "chat 7"}):
                with tracer.start_as_current_span("llm", attributes=CHAT):
                    pass

    assert SpanExporter(tracing).export(spans_of(conversation)) is SUCCESS
    starts = tracing.of("start")
    assert len({start["event_id"] for start in starts}) == 2
    assert {start["session_id"] for start in starts} == {session_uuid("chat 7")}
    assert {start["metadata"]["session_id"] for start in starts} == {"chat 7"}


def test_spans_inside_a_session_of_ours_belong_to_it(tmp_path: Path) -> None:
    """Our span is their parent in OTel's context; the exporter begins no second session."""
    tracer = st.Tracer(st.Local(path=tmp_path / "unused.db"), spool=False, enabled=True)
    tracing = Exporting()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(SpanExporter(tracing)))
    otel = provider.get_tracer("app")
    with tracer.session("ours") as session, tracer.span("step") as step:
        with otel.start_as_current_span("outer"), otel.start_as_current_span("inner"):
            pass
    tracer.shutdown(0)

    assert {kind for kind, _ in tracing.records} == {"event"}
    outer, inner = tracing.event("outer"), tracing.event("inner")
    assert {outer["session_id"], inner["session_id"]} == {session.session_id}
    assert outer["parent_id"] == step.event_id
    assert inner["parent_id"] == outer["event_id"]


def test_a_callers_span_in_another_process_stays_the_parent(tracing: Exporting) -> None:
    """The root of this process ends the session here; its parent is where the header says."""

    def service(tracer: trace.Tracer) -> None:
        caller = trace.SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1))
        context = trace.set_span_in_context(trace.NonRecordingSpan(caller))
        with tracer.start_as_current_span("GET /", context=context):
            pass

    SpanExporter(tracing).export(spans_of(service))
    (event,), (end,) = tracing.events, tracing.of("end")
    parent_id = event["parent_id"].replace("-", "")[16:]
    assert event["metadata"].get("otel.parent_span_id", parent_id) == f"{0xDEF:016x}"
    assert end["metadata"]["otel.parent_span_id"] == f"{0xDEF:016x}"


def test_ids_leave_by_otlp_as_they_came(tmp_path: Path) -> None:
    """Trace id, span ids and parents on the wire are those of the SDK."""
    spans = [span for _ in range(20) for span in spans_of(agent)]
    with Backend() as backend:
        tracer = st.Tracer(st.OTLP(endpoint=backend.url), spool=tmp_path)
        exporter = SpanExporter(tracer)
        assert exporter.export(spans) is SUCCESS
        assert tracer.stats().accepted == 100
        assert exporter.force_flush(20_000)
        exporter.shutdown()
        tracer.shutdown(5)
        sent = [span for request in backend.requests for span in from_protobuf(request.body)[0]]
    traces = {f"{span.context.trace_id:032x}" for span in spans}
    assert {span.trace_id for span in sent} == traces
    parents = {span.span_id: span.parent_id for span in sent}
    for span in spans:
        parent = parents[f"{span.context.span_id:016x}"]
        if span.parent is None:
            assert parent in parents  # the session's own span
        else:
            assert parent == f"{span.parent.span_id:016x}"


def test_what_is_not_in_the_spool_fails_and_is_counted(tmp_path: Path) -> None:
    """After shutdown, of the exporter or of the tracer; a span that cannot be read."""
    spans = spans_of(agent)
    tracer = st.Tracer(st.Local(path=tmp_path / "s.db"), spool=tmp_path / "spool")
    exporter = SpanExporter(tracer)
    assert exporter.export([*spans, object()]) is FAILURE
    assert tracer.stats().dropped == {"encode_error": 1}
    exporter.shutdown()
    assert exporter.export(spans) is FAILURE
    assert tracer.stats().dropped == {"encode_error": 1, "closed": 3}
    other = SpanExporter(tracer)
    tracer.shutdown(5)
    assert other.export(spans) is FAILURE
    assert tracer.stats().dropped["closed"] > 3


def test_options_of_init_hold_for_exported_spans() -> None:
    """Secrets are masked, contents left out, sessions sampled."""
    spans = spans_of(agent)
    silent = Exporting(capture=False)
    assert SpanExporter(silent).export(spans) is SUCCESS
    assert {json.dumps(event["inputs"]) for event in silent.events} == {"{}"}
    sampled = Exporting(sample=0.0)
    assert SpanExporter(sampled).export(spans) is SUCCESS
    assert not sampled.records
    assert sampled.drops == ["sampled"] * 3
    off = Exporting()
    off.off = True
    assert SpanExporter(off).export(spans) is FAILURE


def test_secrets_are_masked_before_the_spool(tmp_path: Path) -> None:
    """As they are for our own spans."""

    def leaking(tracer: trace.Tracer) -> None:
        attributes = {"input.value": "key sk-ant-api03-" + "a1B2" * 20}
        with tracer.start_as_current_span("leak", attributes=attributes):
            pass

    tracer = st.Tracer(st.Local(path=tmp_path / "s.db"), spool=tmp_path / "spool")
    assert SpanExporter(tracer).export(spans_of(leaking)) is SUCCESS
    written = b"".join(
        path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file()
    )
    tracer.shutdown(5)
    assert b"leak" in written
    assert b"sk-ant-api03-a1B2" not in written


PROGRAM = """
import faulthandler, os, sys
import sessiontrace as st
from sessiontrace.otel import SpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

st.init(st.OTLP(endpoint={url!r}), exit_timeout=10)
provider = TracerProvider()  # registers its exit hook, which therefore runs after ours
provider.add_span_processor(BatchSpanProcessor(SpanExporter()))
tracer = provider.get_tracer("app")
faulthandler.cancel_dump_traceback_later()  # a child that has its lock would not end
if os.fork() == 0:
    with tracer.start_as_current_span("child"):
        pass
    sys.exit()
os.wait()
with tracer.start_as_current_span("parent"):
    pass
"""


def test_B30_spans_that_wait_at_exit_are_delivered(tmp_path: Path) -> None:
    """OTel passes them on after our own exit hook has run, in the parent and in a forked child."""
    with Backend() as backend:
        program = textwrap.dedent(PROGRAM.format(url=backend.url))
        done = run(program, tmp_path, SESSIONTRACE_SPOOL=str(tmp_path / "spool"))
        sent = [span for request in backend.requests for span in from_protobuf(request.body)[0]]
    assert "Traceback" not in done.stderr
    assert {span.name for span in sent} == {"child", "parent"}
    assert not list((tmp_path / "spool").glob("*/*.seg"))


@pytest.mark.parametrize("first", ["the tracer", "the exporter"])
def test_the_tracer_closes_once_its_exporter_has(first: str, tmp_path: Path) -> None:
    """At exit, in either order; spans that come in between are taken."""
    tracer = st.Tracer(st.Local(path=tmp_path / "s.db"), spool=tmp_path / "spool", exit_timeout=5)
    exporter = SpanExporter(tracer)
    spans = spans_of(agent)
    if first == "the tracer":
        tracer.at_exit(5)
    assert exporter.export(spans) is SUCCESS
    exporter.shutdown()
    if first == "the exporter":
        assert exporter.export(spans) is FAILURE
        tracer.at_exit(5)
    delivery = tracer.stats().destinations["local"]
    assert (delivery.acked, delivery.pending) == (5, 0)
    assert not list((tmp_path / "spool").glob("*/*.seg"))


def test_the_examples_of_the_guide_run(tmp_path: Path) -> None:
    """Top to bottom, as one program; its sessions are in the local store."""
    page = (REPO / "docs" / "guides" / "opentelemetry.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    assert program.count("import") > 5
    program += "\nst.flush()\nprint(st.stats().accepted)"
    done = run(program, tmp_path, SESSIONTRACE_SPOOL=str(tmp_path / "spool"))
    assert "Traceback" not in done.stderr
    assert int(done.stdout) == 7
