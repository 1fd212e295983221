"""AG2: turns of agents, model calls, tools and questions to a human, each once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

pytest.importorskip("ag2", reason=f"ag2 {OWN_ENVIRONMENT}")

from ag2 import Agent, Context
from ag2.config import OpenAIConfig
from ag2.middleware.builtin.telemetry import TelemetryMiddleware
from openai import DefaultAsyncHttpxClient
from opentelemetry.sdk.trace import TracerProvider

from sessiontrace.instrumentation.opentelemetry import SpanProcessor

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.asyncio,
]

TREE = ["forecaster", *["forecaster/chat m"] * 2, "forecaster/weather"]
QUESTION = "Weather in Oslo?"


def answers(body: dict[str, Any]) -> Any:
    """Calls its first tool for the city of the question, and then answers."""
    chat, messages, model = ROUTES["/v1/chat/completions"], body["messages"], body["model"]
    if not body.get("tools") or any(entry["role"] == "tool" for entry in messages):
        return chat({**body, "model": "ok"}) if model == "m" else chat(body)
    if body.get("stream"):
        return chat({**body, "model": "tools"})
    function = body["tools"][0]["function"]
    arguments = {"city": "nowhere" if "nowhere" in str(messages) else "Oslo"}
    if "city" not in function["parameters"]["properties"]:
        arguments = dict.fromkeys(function["parameters"].get("required", ()), "Weather?")
    completion = chat({**body, "model": "tools"})
    (call,) = completion["choices"][0]["message"]["tool_calls"]
    call["function"] = {"name": function["name"], "arguments": json.dumps(arguments)}
    return completion


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


clients: list[Any] = []


@pytest_asyncio.fixture
async def provider(server: Provider) -> AsyncIterator[Provider]:
    """The server; the connections that a test has made to it are closed in their loop."""
    yield server
    while clients:
        await clients.pop().aclose()


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("ag2", "openai") as tracer:
        yield tracer


def weather(city: str) -> str:
    """Report the weather."""
    if city == "nowhere":
        raise ValueError("boom")
    return f"rain in {city}"


async def ask_human(ctx: Context) -> str:
    """Ask the human."""
    return str(await ctx.input("Which city?"))


def agent_of(provider: Provider, name: str = "forecaster", **options: Any) -> Any:
    clients.append(DefaultAsyncHttpxClient())
    config = OpenAIConfig(
        model=options.pop("model", "m"),
        base_url=f"{provider.url}/v1",
        api_key="k",
        max_retries=0,
        streaming=options.pop("streaming", False),
        http_client=clients[-1],
    )
    options.setdefault("tools", [weather])
    return Agent(name, "Be brief.", config=config, **options)


async def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """A turn with its question and answer; its tool and two calls are inside of it."""
    with tracing.session():
        reply = await agent_of(provider).ask(QUESTION)
        with tracing.span("after"):
            pass

    assert reply.body == TEXT
    assert tracing.paths == sorted([*TREE, "after"])
    assert (tracing.tokens, tracing.failed) == (38, [])
    agent, used = tracing.event("forecaster"), tracing.event("weather")
    assert agent["event_type"] == "agent"
    assert agent["inputs"] == {"chat_history": [{"role": "user", "content": QUESTION}]}
    assert agent["outputs"] == {"role": "assistant", "content": TEXT}
    assert agent["metadata"] == {"agent_name": "forecaster"}
    assert agent["config"] == {"agent": "Agent", "model": "m", "tools": ["weather"]}
    assert (used["event_type"], used["inputs"]) == ("tool", {"city": "Oslo"})
    assert used["outputs"] == {"result": "rain in Oslo"}
    assert used["metadata"] == {"tool_call_id": "call_1"}
    assert {event["config"]["provider"] for event in tracing.models} == {"openai"}
    assert tracing.models[1]["inputs"]["chat_history"][-1]["content"] == "rain in Oslo"


async def test_without_the_instrumentor_of_the_sdk(provider: Provider) -> None:
    """The framework's hook alone has the same calls, messages and tokens."""
    with instrumented("ag2") as tracing, tracing.session():
        await agent_of(provider).ask(QUESTION)

    assert tracing.paths == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])
    first, second = tracing.models
    assert first["inputs"]["chat_history"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": QUESTION},
    ]
    assert first["outputs"]["tool_calls"][0]["function"]["name"] == "weather"
    assert [entry["role"] for entry in second["inputs"]["chat_history"]] == [
        *("system", "user", "assistant", "tool")
    ]
    assert second["outputs"] == {"role": "assistant", "content": TEXT}


async def test_streams_and_conversations(tracing: ModelTracer, provider: Provider) -> None:
    """A streamed turn is one tree; the next turn of a conversation is beside the first."""
    with tracing.session():
        reply = await agent_of(provider, streaming=True).ask(QUESTION)
        await reply.ask("And tomorrow?")

    assert [path for path in tracing.paths if path == "forecaster"] == ["forecaster"] * 2
    assert (len(tracing.models), tracing.tokens, tracing.failed) == (3, 57, [])


async def test_a_tool_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """The tool has the error; AG2 goes on with it or raises it."""
    with tracing.session():
        try:
            await agent_of(provider).ask("Weather nowhere?")
        except ValueError:
            pass
        with tracing.span("after"):
            pass

    assert "boom" in tracing.event("weather")["error"]
    assert set(tracing.failed) <= {"weather", "forecaster"}
    assert "after" in tracing.paths


async def test_a_model_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """The call and its agent have the error; what follows has not."""
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            await agent_of(provider, model="status-400").ask(QUESTION)
        with tracing.span("after"):
            pass

    assert set(tracing.failed) == {"chat status-400", "forecaster"}
    assert tracing.model["inputs"]["chat_history"][-1]["content"] == QUESTION
    assert "after" in tracing.paths


async def test_an_agent_as_a_tool_and_a_human(tracing: ModelTracer, provider: Provider) -> None:
    """A sub-agent is inside of the tool by which it is asked, a question inside of its tool."""
    helper = agent_of(provider).as_tool(description="Knows the weather.")
    clerk = agent_of(provider, "clerk", tools=[ask_human], hitl_hook=lambda event: "Oslo")
    with tracing.session():
        await agent_of(provider, "boss", tools=[helper]).ask(QUESTION)
        await clerk.ask(QUESTION)

    boss = [path for path in tracing.paths if path.startswith("boss/task_forecaster/forecaster")]
    assert [path.removeprefix("boss/task_forecaster/") for path in boss] == TREE
    question = tracing.event("human input")
    assert "clerk/ask_human/human input" in tracing.paths
    assert question["inputs"] == {"question": "Which city?"}
    assert question["outputs"] == {"answer": "Oslo"}
    assert (tracing.tokens, tracing.failed) == (6 * 19, [])


async def test_two_users_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """Each session has the one tree of its own user."""

    async def ask(user: str) -> None:
        async with tracing.session(user=user):
            await agent_of(provider, user).ask(QUESTION)

    await asyncio.gather(*(ask(f"user{number}") for number in range(4)))

    by_session: dict[str, set[str]] = {}
    for event in tracing.events:
        by_session.setdefault(event["session_id"], set()).add(event["event_name"])
    for number in range(4):
        assert {f"user{number}", "chat m", "weather"} in by_session.values()


@pytest.mark.parametrize("names", [("ag2", "openai"), ("ag2",), ("openai",)], ids="-".join)
async def test_beside_the_frameworks_own_spans(provider: Provider, names: tuple[str, ...]) -> None:
    """AG2's telemetry and a processor of ours: each call is one event."""
    own = TracerProvider()
    with instrumented(*names) as tracing:
        processor = SpanProcessor(tracing)
        own.add_span_processor(processor)
        telemetry = TelemetryMiddleware(
            tracer_provider=own, agent_name="forecaster", model_name="m"
        )
        with tracing.session():
            await agent_of(provider, middleware=[telemetry]).ask(QUESTION)
        processor.shutdown()

    assert (tracing.tokens, tracing.failed) == (38, [])
    assert len(tracing.models) == 2
    if "ag2" in names:
        assert tracing.paths == TREE


async def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and agents go on."""
    with instrumented("ag2") as tracing:
        agent = agent_of(provider)
    with tracing.session():
        assert (await agent.ask(QUESTION)).body == TEXT

    assert tracing.events == []
