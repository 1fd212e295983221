"""OpenTelemetry in: GenAI spans of other libraries become events, and nothing is told twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.stubs import anthropic_api, openai_api
from support.stubs.provider import serving
from support.stubs.tracing import Listening

from sessiontrace.instrumentation.registry import Instruments
from sessiontrace.otel import SpanProcessor
from sessiontrace.wire.span_reader import event_of, type_of

pytest.importorskip("opentelemetry.sdk", reason="the contract group is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture
def tracing() -> Listening:
    return Listening()


@pytest.fixture
def provider(tracing: Listening) -> Iterator[TracerProvider]:
    made = TracerProvider()
    made.add_span_processor(SpanProcessor(tracing))  # type: ignore[arg-type]
    yield made
    made.shutdown()


NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind"}]),
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "Hi"},
                    {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"a": 1}},
                ],
                "finish_reason": "stop",
            }
        ]
    ),
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 5,
    "gen_ai.conversation.id": "chat-1",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-5",
    "llm.provider": "openai",
    "llm.invocation_parameters": '{"temperature": 0.5}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be kind",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Hello?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Hi",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": {"a": 1},
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 7,
    "llm.token_count.prompt_details.cache_read": 5,
    "session.id": "chat-1",
}
TRACELOOP = {
    "llm.request.type": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be kind",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Hello?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Hi",
    "gen_ai.completion.0.tool_calls.0.id": "c1",
    "gen_ai.completion.0.tool_calls.0.name": "weather",
    "gen_ai.completion.0.tool_calls.0.arguments": {"a": 1},
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 7,
    "gen_ai.usage.cache_read_input_tokens": 5,
    "traceloop.association.properties.session_id": "chat-1",
}


@pytest.mark.parametrize("attributes", [NEW, OPENINFERENCE, TRACELOOP])
def test_three_conventions_one_event(attributes: dict[str, Any]) -> None:
    """Whoever made the span and whichever names they use, the event is the same."""
    event = event_of("span", attributes)

    assert event is not None
    assert event.type == "model"
    assert event.name == "chat gpt-5"
    assert event.inputs == {
        "chat_history": [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "Hello?"},
        ]
    }
    assert event.outputs == {
        "role": "assistant",
        "content": "Hi",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"a": 1}}}
        ],
    }
    assert event.config["model"] == "gpt-5"
    assert event.config["provider"] == "openai"
    assert event.config["hyperparameters"]["temperature"] == 0.5
    tokens = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
    assert {name: event.metadata[name] for name in tokens} == tokens
    assert event.metadata["cache_read_tokens"] == 5
    assert event.session == "chat-1"


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "invoke_agent"}, "chain"),
        ({"gen_ai.operation.name": "search_memory"}, "tool"),
        ({"mcp.method.name": "tools/call"}, "tool"),
        ({"openinference.span.kind": "RETRIEVER"}, "tool"),
        ({"traceloop.span.kind": "workflow"}, "chain"),
        ({"http.request.method": "GET"}, None),
        ({}, None),
    ],
)
def test_types(attributes: dict[str, Any], wanted: str | None) -> None:
    """What is about no model, tool or agent is no event."""
    assert type_of(attributes) == wanted


def test_the_tree_survives_spans_of_another_kind(
    tracing: Listening, provider: TracerProvider
) -> None:
    """An HTTP span between an agent and its model call: the call goes under the agent."""
    tracer = provider.get_tracer("t")
    with tracing.session() as session:
        agent_attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
        with (
            tracer.start_as_current_span("agent", attributes=agent_attributes),
            tracer.start_as_current_span("GET /", attributes={"http.request.method": "GET"}),
        ):
            with tracer.start_as_current_span("llm", attributes=NEW):
                pass
            with tracing.span("ours", type="tool"):
                pass

    events = {event["event_name"]: event for event in tracing.events}
    assert set(events) == {"planner", "chat gpt-5", "ours"}
    assert events["planner"]["parent_id"] == session.session_id
    assert events["chat gpt-5"]["parent_id"] == events["planner"]["event_id"]
    assert events["ours"]["parent_id"] == events["planner"]["event_id"]


def test_errors_are_told(tracing: Listening, provider: TracerProvider) -> None:
    """The status' description, or the exception that was recorded."""
    tracer = provider.get_tracer("t")
    with tracing.session():
        with pytest.raises(KeyError), tracer.start_as_current_span("llm", attributes=NEW):
            raise KeyError("lost")
        span = tracer.start_span("llm", attributes=NEW)
        span.set_status(Status(StatusCode.ERROR, "rate limit"))
        span.end()

    assert [event["error"] for event in tracing.events] == ["KeyError: 'lost'", "rate limit"]


def test_a_kind_that_is_told_late(tracing: Listening, provider: TracerProvider) -> None:
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
    tracing: Listening, provider: TracerProvider, first: str
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
            asked = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
            client.chat.completions.create(**asked)
            for _ in client.chat.completions.create(**asked, stream=True):
                pass
            client.close()
    finally:
        theirs.uninstrument()
        instruments.remove()

    models = [event for event in tracing.events if event["event_type"] == "model"]
    assert len(models) == 2
    assert models[0]["metadata"]["total_tokens"] == 19
    assert [event["outputs"]["content"] for event in models] == [openai_api.TEXT] * 2


def test_instrumenting_again_after_somebody_put_us_back(tracing: Listening) -> None:
    """OpenInference takes itself out last, and so puts our old wrapper back for good."""
    openai = pytest.importorskip("openai")
    module = pytest.importorskip("openinference.instrumentation.openai")
    first, second = Instruments(Listening()), Instruments(tracing)
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
    tracing: Listening, provider: TracerProvider
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
