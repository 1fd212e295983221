"""Pydantic AI: agents, tools and model calls by its own spans, each once, beside its user's."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

pytest.importorskip("pydantic_ai", reason="the contract group is not installed")
pytest.importorskip("openai", reason="the contract group is not installed")

import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


def answers(body: dict[str, Any]) -> Any:
    """Asks for two tools at once first, and answers once it was given their results."""
    chat = ROUTES["/v1/chat/completions"]
    if not body.get("tools") or any(entry["role"] == "tool" for entry in body["messages"]):
        return chat({**body, "model": body["model"] if body["model"] != "m" else "ok"})
    if body.get("stream"):
        return chat({**body, "model": "tools"})
    completion = chat({**body, "model": "tools"})
    message = completion["choices"][0]["message"]
    (call,) = message["tool_calls"]
    second = {"name": "weather", "arguments": '{"city":"Rome"}'}
    message["tool_calls"] = [call, {**call, "id": "call_2", "function": second}]
    return completion


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["alone", "with-openai"])
def tracing(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    with instrumented("pydantic-ai", *(["openai"] if request.param else [])) as tracer:
        yield tracer


@pytest_asyncio.fixture
async def model(provider: Provider) -> AsyncIterator[Any]:
    """A function that makes a model by its name."""
    async with openai.AsyncOpenAI(
        base_url=f"{provider.url}/v1", api_key="k", max_retries=0
    ) as client:
        yield lambda name="m": OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))


def weather_agent(model: Any, tracing: ModelTracer) -> Agent[None, str]:
    def weather(city: str) -> str:
        """Report the weather."""
        with tracing.span("look up"):
            return f"rain in {city}"

    return Agent(model, name="helper", instructions="Be kind", tools=[weather])


@pytest.mark.asyncio
async def test_parallel_tools_keep_their_results(tracing: ModelTracer, model: Any) -> None:
    """Two tools in one turn: each has its event, and the next call has both results."""
    with tracing.session():
        await weather_agent(model(), tracing).run("Weather?")

    assert tracing.paths == [
        "helper",
        "helper/chat m",
        "helper/chat m",
        "helper/weather",
        "helper/weather",
        "helper/weather/look up",
        "helper/weather/look up",
    ]
    results = [
        (entry["tool_call_id"], entry["content"])
        for entry in tracing.models[1]["inputs"]["chat_history"]
        if entry["role"] == "tool"
    ]
    assert results == [("call_1", "rain in Oslo"), ("call_2", "rain in Rome")]
    assert tracing.tokens == 38
    agent = tracing.event("helper")
    assert [entry["content"] for entry in agent["inputs"]["chat_history"]] == [
        "Be kind",
        "Weather?",
    ]
    assert agent["outputs"] == {"result": TEXT}
    assert not any("all_messages" in name for name in agent["metadata"])


@pytest.mark.asyncio
async def test_streamed_runs(tracing: ModelTracer, model: Any) -> None:
    """By text, by events and step by step: two model calls and the tool each time, no more."""
    agent = weather_agent(model(), tracing)
    with tracing.session():
        async with agent.run_stream("Weather?") as run:
            assert [text async for text in run.stream_text()][-1] == TEXT
        async with agent.iter("Weather?") as steps:
            async for _ in steps:
                with tracing.span("step"):
                    pass

    models = tracing.models
    assert [event["outputs"]["content"] for event in models] == [None, TEXT, None, TEXT]
    assert len([path for path in tracing.paths if path == "helper/weather"]) == 3
    assert tracing.tokens == 4 * 19
    assert tracing.failed == []


@pytest.mark.asyncio
async def test_a_failing_model_keeps_its_inputs(tracing: ModelTracer, model: Any) -> None:
    """The question, the instructions and the model's own words."""
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            await Agent(model("status-400"), name="helper", instructions="Be kind").run("Hello?")

    contents = [entry["content"] for entry in tracing.model["inputs"]["chat_history"]]
    assert contents == ["Be kind", "Hello?"]
    assert "no luck" in tracing.model["error"]
    assert tracing.failed == ["chat status-400", "helper"]


@pytest.mark.asyncio
async def test_a_fallback(tracing: ModelTracer, model: Any) -> None:
    """The answer is the event of the call, the failed attempt is below it, the agent is fine."""
    with tracing.session():
        await Agent(FallbackModel(model("status-500"), model()), name="helper").run("Hello?")

    answered = tracing.event("chat m")
    has_attempts = importlib.util.find_spec("pydantic_ai._model_request_attempts") is not None
    assert tracing.failed == (["chat status-500"] if has_attempts else [])
    assert answered["outputs"]["content"] == TEXT
    assert tracing.tokens == 19
    assert answered["metadata"].get("http_status", 200) == 200
    assert not answered["metadata"].get("error_code")


@pytest.mark.asyncio
async def test_output_tools_and_retries(tracing: ModelTracer) -> None:
    """An answer by a tool, wrong at first, and a tool that asks for another try."""

    class Answer(BaseModel):
        number: int

    tries = []

    def weather(city: str) -> str:
        """Report the weather."""
        tries.append(city)
        if len(tries) == 1:
            raise ModelRetry("another city")
        return "rain"

    def decide(messages: Any, info: Any) -> ModelResponse:
        if len(tries) < 2:
            return ModelResponse([ToolCallPart("weather", {"city": "Oslo"}, "w")])
        value = 42 if "final_result" in str(messages[-2]) else "forty-two"
        return ModelResponse([ToolCallPart("final_result", {"number": value}, "f")])

    agent = Agent(FunctionModel(decide), name="helper", output_type=Answer, tools=[weather])
    with tracing.session():
        await agent.run("Hello?")

    assert len(tracing.models) == 4
    assert tracing.event("helper")["outputs"] == {"number": 42}
    tools = [event for event in tracing.events if event["event_type"] == "tool"]
    assert [bool(event.get("error")) for event in tools if event["event_name"] == "weather"] == [
        True,
        False,
    ]
    assert "another city" in tools[0]["error"]
    assert tracing.event("helper").get("error") is None


@pytest.mark.asyncio
async def test_agents_at_once_and_in_tools(tracing: ModelTracer) -> None:
    """Parallel runs are siblings; an agent that a tool runs is below that tool."""
    inner = Agent(FunctionModel(lambda m, i: ModelResponse([TextPart("in")])), name="inner")

    async def ask() -> str:
        """Ask the other agent."""
        return (await inner.run("?")).output

    def decide(messages: Any, info: Any) -> ModelResponse:
        done = len(messages) > 1
        return ModelResponse([TextPart("out") if done else ToolCallPart("ask", {}, "c")])

    outer = Agent(FunctionModel(decide), name="outer", tools=[ask])
    with tracing.session():
        await asyncio.gather(outer.run("1"), outer.run("2"))

    assert tracing.paths.count("outer") == 2
    assert tracing.paths.count("outer/ask/inner") == 2
    assert len(tracing.models) == 6


@pytest.mark.asyncio
@pytest.mark.parametrize("first", ["ours", "theirs", "agent"])
async def test_the_programs_own_telemetry_goes_on(provider: Provider, first: str) -> None:
    """Whoever comes first, and for an agent with settings of its own: both get every span."""
    exporter = InMemorySpanExporter()
    telemetry = TracerProvider()
    telemetry.add_span_processor(SimpleSpanProcessor(exporter))

    def theirs() -> InstrumentationSettings:
        return InstrumentationSettings(tracer_provider=telemetry)

    async def run(instrument: Any = None) -> None:
        async with openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
            agent = Agent(model, name="helper")
            agent.instrument = instrument
            await agent.run("Hello?")

    try:
        if first == "theirs":
            Agent.instrument_all(theirs())
        with instrumented("pydantic-ai", "openai") as tracing, tracing.session():
            if first == "ours":
                Agent.instrument_all(theirs())
            await run(theirs() if first == "agent" else None)

        names = [span.name for span in exporter.get_finished_spans()]
        assert names == ["chat m", "invoke_agent helper"]
        assert tracing.paths == ["helper", "helper/chat m"]
        assert tracing.event("helper")["metadata"]["otel"]["trace_id"] in {
            f"{span.context.trace_id:032x}" for span in exporter.get_finished_spans()
        }

        await run(theirs() if first == "agent" else None)  # after uninstrument
        assert len(exporter.get_finished_spans()) == 4
        assert len(tracing.events) == 2
    finally:
        Agent.instrument_all(False)
