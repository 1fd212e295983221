"""OpenTelemetry in: GenAI spans of other libraries become events, and no call is recorded twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.instrumented import ModelTracer
from support.stubs import anthropic_api, openai_api
from support.stubs.provider import serving

from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.registry import Instruments
from sessiontrace.otel import SpanProcessor

pytest.importorskip("opentelemetry.sdk", reason="the contract group is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture
def tracing() -> ModelTracer:
    return ModelTracer()


@pytest.fixture
def provider(tracing: ModelTracer) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor(tracing))  # type: ignore[arg-type]
    yield provider
    provider.shutdown()


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    ),
}


def test_the_tree_survives_spans_of_another_kind(
    tracing: ModelTracer, provider: TracerProvider
) -> None:
    """An HTTP span between an agent and its model call: the call goes under the agent."""
    tracer = provider.get_tracer("t")
    with tracing.session() as session:
        agent_attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
        with (
            tracer.start_as_current_span("agent", attributes=agent_attributes),
            tracer.start_as_current_span("GET /", attributes={"http.request.method": "GET"}),
        ):
            with tracer.start_as_current_span("llm", attributes=CHAT):
                pass
            with tracing.span("ours", type="tool"):
                pass

    events = {event["event_name"]: event for event in tracing.events}
    assert set(events) == {"planner", "chat gpt-5", "ours"}
    assert events["planner"]["parent_id"] == session.session_id
    assert events["chat gpt-5"]["parent_id"] == events["planner"]["event_id"]
    assert events["ours"]["parent_id"] == events["planner"]["event_id"]


def test_C37_what_opens_inside_of_a_span_without_an_event(
    tracing: ModelTracer, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework's own span, whose instrumentor reports its steps: they hold what is inside."""
    monkeypatch.setitem(reporters, "autogen", lambda: True)
    calls = CallRecorder(tracing)
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
    autogen = provider.get_tracer("autogen-core")
    with tracing.session(), autogen.start_as_current_span("planner", attributes=attributes):
        agent, tool = calls.step("planner", "agent"), calls.tool("look up")
        assert agent is not None
        assert tool is not None
        with agent, tool:
            call = calls.model("chat m")
            assert call is not None
            call.end()

    assert tracing.paths == ["planner", "planner/look up", "planner/look up/chat m"]


@pytest.mark.parametrize("is_reported", [True, False])
def test_models_that_an_instrumentor_leaves_to_sdks(
    tracing: ModelTracer,
    provider: TracerProvider,
    monkeypatch: pytest.MonkeyPatch,
    is_reported: bool,
) -> None:
    """The framework's span of a model's call is the event, unless an SDK's instrumentor has it."""
    monkeypatch.setitem(reporters, "agno", lambda: True)
    calls = CallRecorder(tracing)
    agno = provider.get_tracer("openinference.instrumentation.agno")
    with tracing.session(), agno.start_as_current_span("llm", attributes=CHAT):
        if is_reported:
            call = calls.model("chat m", inputs={"chat_history": []})
            assert call is not None
            call.end()

    assert tracing.paths == ["chat m" if is_reported else "chat gpt-5"]


def test_errors_are_told(tracing: ModelTracer, provider: TracerProvider) -> None:
    """The status' description, or the exception that was recorded."""
    tracer = provider.get_tracer("t")
    with tracing.session():
        with pytest.raises(KeyError), tracer.start_as_current_span("llm", attributes=CHAT):
            raise KeyError("lost")
        span = tracer.start_span("llm", attributes=CHAT)
        span.set_status(Status(StatusCode.ERROR, "rate limit"))
        span.end()

    assert [event["error"] for event in tracing.events] == ["KeyError: 'lost'", "rate limit"]


def test_a_kind_that_is_told_late(tracing: ModelTracer, provider: TracerProvider) -> None:
    """Attributes that come after the start still make an event, with the span's own times."""
    tracer = provider.get_tracer("t")
    with tracing.session(), tracer.start_as_current_span("late") as span:
        span.set_attribute("traceloop.span.kind", "tool")
        span.set_attribute("traceloop.entity.input", '{"city": "Oslo"}')

    (event,) = tracing.events
    assert event["event_type"] == "tool"
    assert event["inputs"] == {"city": "Oslo"}


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_openinference_and_ours_are_one_event(
    tracing: ModelTracer, provider: TracerProvider, first: str
) -> None:
    """Both listen to the same openai call, in either order, streamed or not."""
    openai = pytest.importorskip("openai")
    module = pytest.importorskip("openinference.instrumentation.openai")
    instruments = Instruments(tracing)
    theirs = module.OpenAIInstrumentor()
    if first == "ours":
        instruments.add(("openai",), ())
    theirs.instrument(tracer_provider=provider)
    instruments.add(("openai",), ())
    try:
        with serving(openai_api.ROUTES) as stub, tracing.session():
            client = openai.OpenAI(base_url=f"{stub.url}/v1", api_key="k")
            request = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
            client.chat.completions.create(**request)
            for _ in client.chat.completions.create(**request, stream=True):
                pass
            client.close()
    finally:
        theirs.uninstrument()
        instruments.remove()

    models = [event for event in tracing.events if event["event_type"] == "model"]
    assert len(models) == 2
    assert models[0]["metadata"]["total_tokens"] == 19
    assert [event["outputs"]["content"] for event in models] == [openai_api.TEXT] * 2


def test_instrumenting_again_after_somebody_put_us_back(tracing: ModelTracer) -> None:
    """OpenInference takes itself out last, and so puts our old wrapper back for good."""
    openai = pytest.importorskip("openai")
    module = pytest.importorskip("openinference.instrumentation.openai")
    first, second = Instruments(ModelTracer()), Instruments(tracing)
    theirs = module.OpenAIInstrumentor()
    first.add(("openai",), ())
    theirs.instrument(tracer_provider=TracerProvider())
    first.remove()
    theirs.uninstrument()
    second.add(("openai",), ())
    try:
        with serving(openai_api.ROUTES) as stub, tracing.session():
            client = openai.OpenAI(base_url=f"{stub.url}/v1", api_key="k")
            client.chat.completions.create(model="ok", messages=[])
            client.close()
    finally:
        second.remove()

    assert tracing.model["outputs"]["content"] == openai_api.TEXT


def test_anthropics_own_telemetry_and_ours_are_one_event(
    tracing: ModelTracer, provider: TracerProvider
) -> None:
    """The SDK makes spans itself when it is given a provider."""
    anthropic = pytest.importorskip("anthropic", minversion="1.14")
    instruments = Instruments(tracing)
    instruments.add(("anthropic",), ())
    try:
        with serving(anthropic_api.ROUTES) as stub, tracing.session():
            client = anthropic.Anthropic(
                base_url=stub.url, api_key="k", open_telemetry={"tracer_provider": provider}
            )
            client.messages.create(
                model="ok", max_tokens=9, messages=[{"role": "user", "content": "Hello?"}]
            )
            client.close()
    finally:
        instruments.remove()

    assert tracing.model["outputs"]["content"] == anthropic_api.TEXT
    assert tracing.model["metadata"]["total_tokens"] == 24
