"""GenAI content that instrumentations write as log events joins the event of its span."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.recording_tracer import Captured
from support.stubs import openai_api
from support.stubs.provider import serving

from sessiontrace.otel import LogRecordProcessor, SpanExporter, SpanProcessor

pytest.importorskip("opentelemetry.sdk", reason="the contract group is not installed")

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import set_span_in_context

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}


class Tracing(Captured):
    exit_timeout = 1.0

    def flush(self, timeout: float) -> bool:
        return True

    def keep_open(self, holder: object) -> None: ...

    def let_close(self, holder: object) -> None: ...


@pytest.fixture
def tracing() -> Tracing:
    return Tracing()


@pytest.fixture(params=["processor", "exporter"])
def provider(request: pytest.FixtureRequest, tracing: Tracing) -> Iterator[TracerProvider]:
    """Spans reach us by the processor or by the exporter."""
    provider = TracerProvider(shutdown_on_exit=False)
    if request.param == "processor":
        provider.add_span_processor(SpanProcessor(tracing))  # type: ignore[arg-type]
    else:
        provider.add_span_processor(SimpleSpanProcessor(SpanExporter(tracing)))  # type: ignore[arg-type]
    yield provider
    provider.shutdown()


@pytest.fixture
def logs() -> Iterator[LoggerProvider]:
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(LogRecordProcessor())  # type: ignore[arg-type]
    yield logs
    logs.shutdown()


def model(tracing: Tracing) -> dict[str, Any]:
    (event,) = (event for event in tracing.events if event["event_type"] == "model")
    return event


MODES = {
    "messages as events": {},
    "details of the operation": {
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY",
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true",
    },
}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("mode", MODES)
def test_openais_messages_arrive(
    mode: str,
    streams: bool,
    tracing: Tracing,
    provider: TracerProvider,
    logs: LoggerProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OTel's own instrumentation of openai writes no message into its spans, in either mode."""
    openai = pytest.importorskip("openai")
    module = pytest.importorskip("opentelemetry.instrumentation.openai_v2")
    stability = pytest.importorskip("opentelemetry.instrumentation._semconv")
    monkeypatch.setattr(stability._OpenTelemetrySemanticConventionStability, "_initialized", False)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    for name, value in MODES[mode].items():
        monkeypatch.setenv(name, value)
    theirs = module.OpenAIInstrumentor()
    theirs.instrument(tracer_provider=provider, logger_provider=logs)
    try:
        with serving(openai_api.ROUTES) as stub, tracing.session():
            client = openai.OpenAI(base_url=f"{stub.url}/v1", api_key="k")
            messages = [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello?"},
            ]
            answer = client.chat.completions.create(model="ok", messages=messages, stream=streams)
            for _ in answer if streams else ():
                pass
            client.close()
    finally:
        theirs.uninstrument()

    event = model(tracing)
    chat = [(entry["role"], entry["content"]) for entry in event["inputs"]["chat_history"]]
    assert chat == [("system", "Be brief."), ("user", "Hello?")]
    assert event["outputs"]["content"] == openai_api.TEXT
    assert "events" not in event["metadata"]["otel"]


def emit(logs: LoggerProvider, name: str | None, body: Any, span: Any, **attributes: Any) -> None:
    context = None if span is None else set_span_in_context(span)
    record = LogRecord(event_name=name, body=body, attributes=attributes, context=context)
    logs.get_logger("app").emit(record)


def test_each_event_joins_its_own_span(
    tracing: Tracing, provider: TracerProvider, logs: LoggerProvider
) -> None:
    """Two calls at once; the log records of the program itself are passed over."""
    tracer = provider.get_tracer("app")
    with tracing.session():
        calls = [tracer.start_span(f"call {number}", attributes=CHAT) for number in range(2)]
        for number, call in enumerate(calls):
            emit(logs, "gen_ai.user.message", {"content": f"question {number}"}, call)
            emit(logs, None, "a line of the program's log", call)
        emit(logs, "gen_ai.user.message", {"content": "of no span"}, None)
        for number, call in enumerate(calls):
            choice = {"index": 0, "finish_reason": "stop", "message": {"content": f"{number}"}}
            emit(logs, "gen_ai.choice", choice, call)
        for call in reversed(calls):
            call.end()

    texts = {
        (event["inputs"]["chat_history"][0]["content"], event["outputs"]["content"])
        for event in tracing.events
    }
    assert texts == {("question 0", "0"), ("question 1", "1")}


def test_tools_and_their_calls_are_whole(
    tracing: Tracing, provider: TracerProvider, logs: LoggerProvider
) -> None:
    """An assistant that calls a tool, and the tool's answer, by the older conventions."""
    call = {"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
    with tracing.session():
        span = provider.get_tracer("app").start_span("llm", attributes=CHAT)
        emit(logs, "gen_ai.assistant.message", {"tool_calls": [call]}, span)
        emit(logs, "gen_ai.tool.message", {"id": "c1", "content": "rain"}, span)
        span.end()

    assistant, tool = model(tracing)["inputs"]["chat_history"]
    assert assistant["tool_calls"][0]["function"]["name"] == "w"
    assert (tool["role"], tool["tool_call_id"], tool["content"]) == ("tool", "c1", "rain")


@pytest.mark.parametrize("when", ["before its end", "after its end", "elsewhere"])
def test_an_evaluation_is_a_score_of_its_span(
    when: str, tracing: Tracing, provider: TracerProvider, logs: LoggerProvider
) -> None:
    """The evaluation of an answer comes seconds later, as a rule; it may name the answer alone."""

    def evaluate() -> None:
        attributes = {
            "gen_ai.evaluation.name": "relevance",
            "gen_ai.evaluation.score.value": 0.5,
            "gen_ai.evaluation.explanation": "half of it",
        }
        if when == "elsewhere":
            attributes["gen_ai.response.id"] = "resp_7"
        about = None if when == "elsewhere" else span
        emit(logs, "gen_ai.evaluation.result", None, about, **attributes)

    with tracing.session():
        attributes = {**CHAT, "gen_ai.response.id": "resp_7"}
        span = provider.get_tracer("app").start_span("llm", attributes=attributes)
        if when == "before its end":
            evaluate()
        span.end()
    if when != "before its end":
        evaluate()

    event = model(tracing)
    scored = event if when == "before its end" else tracing.of("update")[0]
    assert scored["event_id"] == event["event_id"]
    assert scored["metrics"] == {"relevance": 0.5}
    assert scored["metadata"]["evaluation.relevance"] == {"explanation": "half of it"}


def test_an_exception_as_a_log_event_is_the_error(
    tracing: Tracing, provider: TracerProvider, logs: LoggerProvider
) -> None:
    """The conventions move exceptions from span events to log events."""
    with tracing.session():
        span = provider.get_tracer("app").start_span("llm", attributes=CHAT)
        exception = {"exception.type": "KeyError", "exception.stacktrace": "Traceback ..."}
        emit(logs, "exception", None, span, **exception)
        span.end()
    assert model(tracing)["metadata"]["error"] == {"type": "KeyError", "stack": "Traceback ..."}


def test_events_on_the_span_itself_are_read_alike(
    tracing: Tracing, provider: TracerProvider
) -> None:
    """Older instrumentations add them to the span; an event of another kind stays with it."""
    with tracing.session():
        span = provider.get_tracer("app").start_span("llm", attributes=CHAT)
        span.add_event("gen_ai.user.message", {"content": "Hello?"})
        span.add_event("gen_ai.content.completion", {"gen_ai.completion": json.dumps("Hi!")})
        span.add_event("retry", {"attempt": 2})
        span.end()
    event = model(tracing)
    assert event["inputs"]["chat_history"] == [{"role": "user", "content": "Hello?"}]
    assert event["outputs"]["role"] == "assistant"
    assert event["metadata"]["otel"]["events"] == [{"name": "retry", "attributes": {"attempt": 2}}]


def test_what_waits_is_bounded(tracing: Tracing, logs: LoggerProvider) -> None:
    """Events of spans without a reader do not pile up."""
    from sessiontrace.instrumentation.otel_sdk import log_events

    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("app")
    for _ in range(log_events.SPANS_MAX + 10):
        emit(logs, "gen_ai.user.message", {"content": "x"}, tracer.start_span("lost"))
    span = tracer.start_span("kept", attributes=CHAT)
    for _ in range(log_events.EVENTS_MAX + 10):
        emit(logs, "gen_ai.user.message", {"content": "x"}, span)
    assert len(log_events.take_events(span)) == log_events.EVENTS_MAX
    assert log_events.take_events(span) == []
