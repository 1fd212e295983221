"""Strands: its own spans become agents, cycles, tools and model calls, each of them once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import ROUTES, tool_call_stream
from support.stubs.provider import Provider, serving

pytest.importorskip("strands", reason=f"strands {OWN_ENVIRONMENT}")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.multiagent import GraphBuilder
from strands.telemetry import tracer as tracer_module

from sessiontrace.instrumentation.opentelemetry import SpanProcessor

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

AGENT, CYCLE = "Strands Agents", "Strands Agents/execute_event_loop_cycle"
TREE = [AGENT, CYCLE, CYCLE, f"{CYCLE}/chat m", f"{CYCLE}/chat m", f"{CYCLE}/weather"]


def answers(body: dict[str, Any]) -> Any:
    """Calls its first tool for each city of the question, and then answers."""
    messages, tools = body["messages"], body.get("tools")
    model = body["model"]
    if model != "m":
        return ROUTES["/v1/chat/completions"](body)
    if not tools or any(entry["role"] == "tool" for entry in messages):
        return ROUTES["/v1/chat/completions"]({**body, "model": "ok"})
    question = str(messages[-1]["content"])
    cities = [city for city in ("Oslo", "Rome", "nowhere") if city in question] or ["Oslo"]
    name, usage = tools[0]["function"]["name"], body["stream_options"]["include_usage"]
    assert usage
    return calls(name, cities)


def calls(name: str, cities: list[str]) -> Iterator[str]:
    field = "input" if name == "helper" else "city"
    requests = [
        {
            "index": number,
            "id": f"call_{city}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps({field: city})},
        }
        for number, city in enumerate(cities)
    ]
    return tool_call_stream(requests)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("strands-agents", "openai") as tracer:
        yield tracer


@tool
def weather(city: str) -> str:
    """Report the weather.

    Args:
        city: the city
    """
    if city == "nowhere":
        raise ValueError("boom")
    return f"rain in {city}"


def agent_of(provider: Provider, model: str = "m", **options: Any) -> Any:
    client = {"base_url": f"{provider.url}/v1", "api_key": "k", "max_retries": 0}
    return Agent(
        model=OpenAIModel(client_args=client, model_id=model),
        tools=options.pop("tools", [weather]),
        callback_handler=None,
        **options,
    )


def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """Two cycles with a model call each, the tool in the first, all of one agent."""
    with tracing.session():
        agent_of(provider, system_prompt="be brief")("Weather?")
        with tracing.span("after"):
            pass

    assert tracing.paths == [*TREE, "after"]
    assert (tracing.tokens, tracing.failed) == (38, [])
    run, call = tracing.event(AGENT), tracing.event("weather")
    assert run["inputs"]["chat_history"][-1] == {"role": "user", "content": "Weather?"}
    assert run["outputs"]["content"].strip() == "Hello from the stub"
    assert (run["event_type"], run["metadata"]["agent_name"]) == ("agent", AGENT)
    assert (call["event_type"], call["inputs"]) == ("tool", {"city": "Oslo"})
    assert call["outputs"] == {"result": "rain in Oslo"}
    assert call["metadata"]["tool_call_id"] == "call_Oslo"
    assert {event["config"]["provider"] for event in tracing.models} == {"openai"}
    assert tracing.models[0]["config"]["tools"][0]["function"]["name"] == "weather"


def test_without_the_instrumentor_of_the_sdk(provider: Provider) -> None:
    """The model calls are the framework's spans alone, with the same tokens."""
    with instrumented("strands-agents") as tracing, tracing.session():
        agent_of(provider)("Weather?")

    assert tracing.paths == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])
    assert tracing.models[1]["outputs"]["content"] == "Hello from the stub"


def test_a_stream_is_current_inside_only(tracing: ModelTracer, provider: Provider) -> None:
    """Its reader is outside; two streams read in turn are two trees; one that is closed ends."""

    async def read() -> None:
        first = agent_of(provider, name="first").stream_async("Weather?")
        second = agent_of(provider, name="second").stream_async("Weather?")
        running = [first, second]
        while running:
            for stream in list(running):
                try:
                    await stream.__anext__()
                except StopAsyncIteration:
                    running.remove(stream)
                with tracing.span("render"):
                    pass
        closed = agent_of(provider, name="closed").stream_async("Weather?")
        await closed.__anext__()
        await closed.__anext__()
        await closed.aclose()
        with tracing.span("after"):
            pass

    with tracing.session():
        asyncio.run(read())

    paths = tracing.paths
    for name in ("first", "second"):
        tree = [path.replace(AGENT, name) for path in TREE]
        assert [path for path in paths if path.startswith(name)] == tree
    assert {path for path in paths if "render" in path or "after" in path} == {"render", "after"}
    assert "closed" in paths
    assert tracing.failed == []


def test_parallel_tools_of_which_one_fails(tracing: ModelTracer, provider: Provider) -> None:
    """Each has its own arguments, result and id; only the one that failed has an error."""
    with tracing.session():
        agent_of(provider)("Weather in Oslo, Rome and nowhere?")

    tools = {
        event["inputs"]["city"]: event
        for event in tracing.events
        if event["event_name"] == "weather"
    }
    assert tools["Rome"]["outputs"] == {"result": "rain in Rome"}
    assert tools["Rome"]["metadata"]["tool_call_id"] == "call_Rome"
    assert tracing.failed == ["weather"]
    assert "boom" in tools["nowhere"]["error"]


def test_a_failing_model(tracing: ModelTracer, provider: Provider) -> None:
    """The call, its cycle and the agent have the error; what follows has not."""
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            agent_of(provider, "status-400")("Weather?")
        with tracing.span("after"):
            pass

    assert set(tracing.failed) == {"chat status-400", "execute_event_loop_cycle", AGENT}
    assert tracing.model["inputs"]["chat_history"][-1]["content"] == "Weather?"
    assert "after" in tracing.paths


def test_agents_of_agents(tracing: ModelTracer, provider: Provider) -> None:
    """An agent that another one uses as its tool, and the agents of a graph."""

    def helper(provider: Provider) -> Any:
        agent = agent_of(provider, name="helper", description="helps", tools=[])
        return agent.as_tool() if hasattr(agent, "as_tool") else agent

    with tracing.session():
        agent_of(provider, name="boss", tools=[helper(provider)])("Weather?")
        builder = GraphBuilder()
        builder.add_node(agent_of(provider, name="one", tools=[]), "one")
        builder.add_node(agent_of(provider, name="two", tools=[]), "two")
        builder.add_edge("one", "two")
        builder.build()("Weather?")

    boss = "boss/execute_event_loop_cycle"
    assert f"{boss}/helper/helper/execute_event_loop_cycle/chat m" in tracing.paths
    graph = next(path for path in tracing.paths if path.endswith("two/execute_event_loop_cycle"))
    assert graph.count("/") >= 2
    assert len(tracing.models) == 5
    assert (tracing.tokens, tracing.failed) == (5 * 19, [])


def test_two_users_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """Each session has the one tree of its own user."""

    async def ask(user: str) -> None:
        async with tracing.session(user=user):
            await agent_of(provider, name=user).invoke_async("Weather?")

    async def both() -> None:
        await asyncio.gather(*(ask(f"user{number}") for number in range(4)))

    asyncio.run(both())

    sessions: dict[str, set[str]] = {}
    for event in tracing.events:
        if event["event_type"] != "model":
            continue
        sessions.setdefault(event["session_id"], set()).add(event["event_id"])
    assert sorted(map(len, sessions.values())) == [2, 2, 2, 2]


@pytest.mark.parametrize("names", [("strands-agents", "openai"), ("openai",)])
def test_beside_the_programs_own_telemetry(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    """Its exporter gets every span; a processor of ours beside it records none twice."""
    own, exporter = TracerProvider(), InMemorySpanExporter()
    own.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: own)
    monkeypatch.setattr(tracer_module, "_tracer_instance", None)
    with instrumented(*names) as tracing:
        processor = SpanProcessor(tracing)
        own.add_span_processor(processor)
        with tracing.session():
            agent_of(provider)("Weather?")
        processor.shutdown()

    assert len(exporter.get_finished_spans()) == len(TREE)
    assert tracing.paths == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])


def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and agents go on."""
    with instrumented("strands-agents") as tracing:
        pass
    with tracing.session():
        agent_of(provider)("Weather?")

    assert tracing.events == []
