"""AutoGen: teams, agents, tools, hand-offs and memories, each once, beside the model's SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

pytest.importorskip("autogen_agentchat", reason=f"autogen_agentchat {OWN_ENVIRONMENT}")

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat, Swarm
from autogen_agentchat.tools import AgentTool
from autogen_core import SingleThreadedAgentRuntime
from autogen_core.memory import ListMemory, MemoryContent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from opentelemetry import trace
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
    """Calls its first tool, for "nowhere" when asked so, and then answers."""
    chat, messages = ROUTES["/v1/chat/completions"], body["messages"]
    if not body.get("tools") or any(entry["role"] == "tool" for entry in messages):
        return chat({**body, "model": "ok"}) if body["model"] == "m" else chat(body)
    if body.get("stream"):
        return chat({**body, "model": "tools"})
    completion = chat({**body, "model": "tools"})
    (call,) = completion["choices"][0]["message"]["tool_calls"]
    function = body["tools"][0]["function"]
    arguments = '{"city":"nowhere"}' if "nowhere" in str(messages) else '{"city":"Oslo"}'
    if "task" in function["parameters"]["properties"]:
        arguments = '{"task":"Weather in Oslo?"}'
    elif not function["parameters"]["properties"]:
        arguments = "{}"
    call["function"] = {"name": function["name"], "arguments": arguments}
    return completion


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


clients: list[OpenAIChatCompletionClient] = []


@pytest_asyncio.fixture
async def provider(server: Provider) -> AsyncIterator[Provider]:
    """The server; the clients that a test has made for it are closed in their loop."""
    yield server
    while clients:
        await clients.pop().close()


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("autogen", "openai") as tracer:
        yield tracer


async def weather(city: str) -> str:
    """Report the weather."""
    if city == "nowhere":
        raise ValueError("boom")
    return f"rain in {city}"


def client_of(provider: Provider, model: str = "m") -> OpenAIChatCompletionClient:
    info = {"vision": False, "function_calling": True, "json_output": False}
    info |= {"family": "unknown", "structured_output": False, "multiple_system_messages": True}
    url = f"{provider.url}/v1"
    client = OpenAIChatCompletionClient(
        model=model, model_info=info, base_url=url, api_key="k", max_retries=0
    )
    clients.append(client)
    return client


def agent_of(provider: Provider, name: str = "forecaster", **options: Any) -> AssistantAgent:
    client = client_of(provider, options.pop("model", "m"))
    options.setdefault("tools", [weather])
    return AssistantAgent(name, client, reflect_on_tool_use=True, **options)


def team_of(provider: Provider, turns: int = 4, **options: Any) -> RoundRobinGroupChat:
    agents = [agent_of(provider), agent_of(provider, "writer", tools=[])]
    end = MaxMessageTermination(turns)
    return RoundRobinGroupChat(agents, termination_condition=end, **options)


def tree_of(tracing: ModelTracer, top: str) -> list[str]:
    return [path for path in tracing.paths if path.partition("/")[0] == top]


async def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """An agent with its question and answer; its memory, tool and two calls are inside of it."""
    memory = ListMemory("taste")
    await memory.add(MemoryContent(content="likes metric", mime_type="text/plain"))
    with tracing.session():
        await agent_of(provider, memory=[memory]).run(task=QUESTION)
        with tracing.span("after"):
            pass

    assert tracing.paths == sorted([*TREE, "forecaster/taste", "after"])
    assert (tracing.tokens, tracing.failed) == (38, [])
    agent, used, asked = (tracing.event(name) for name in ("forecaster", "weather", "taste"))
    assert agent["event_type"] == "agent"
    assert agent["inputs"] == {"chat_history": [{"role": "user", "content": QUESTION}]}
    assert agent["outputs"] == {"role": "assistant", "name": "forecaster", "content": TEXT}
    assert agent["metadata"] == {"agent_name": "forecaster"}
    assert (used["event_type"], used["inputs"]) == ("tool", {"city": "Oslo"})
    assert used["outputs"] == {"result": "rain in Oslo"}
    assert used["metadata"] == {"tool_call_id": "call_1"}
    assert (asked["event_type"], asked["inputs"]) == ("retriever", {"query": QUESTION})
    assert asked["outputs"] == {"documents": [{"content": "likes metric"}]}


async def test_a_team(tracing: ModelTracer, provider: Provider) -> None:
    """Its agents' turns are inside of it, with what each got; it gives the last message."""
    with tracing.session():
        await team_of(provider, 3, name="desk").run(task=QUESTION)
        with tracing.span("after"):
            pass

    turn = [f"desk/{path}" for path in TREE]
    assert tracing.paths == sorted(["after", "desk", *turn, "desk/writer", "desk/writer/chat m"])
    assert (tracing.tokens, tracing.failed) == (57, [])
    desk, writer = tracing.event("desk"), tracing.event("writer")
    assert desk["inputs"] == {"chat_history": [{"role": "user", "content": QUESTION}]}
    assert desk["outputs"] == writer["outputs"]
    assert "Maximum number" in desk["metadata"]["stop_reason"]
    assert writer["inputs"]["chat_history"][-1]["name"] == "forecaster"


async def test_streams(tracing: ModelTracer, provider: Provider) -> None:
    """What a reader does between two items is outside; one that stops reading is no failure."""
    with tracing.session():
        streamed = agent_of(provider, model_client_stream=True)
        async for _ in streamed.run_stream(task=QUESTION):
            with tracing.span("render"):
                pass
        async for _ in team_of(provider, 3, name="desk").run_stream(task=QUESTION):
            with tracing.span("render"):
                pass
        stream = agent_of(provider, "closed").run_stream(task=QUESTION)
        await anext(stream)
        await anext(stream)
        await stream.aclose()
        for _ in range(9):  # the loop closes the streams inside of it
            await asyncio.sleep(0)
        with tracing.span("after"):
            pass

    assert tree_of(tracing, "forecaster") == TREE
    assert len(tree_of(tracing, "desk")) == 7
    outside = {path for path in tracing.paths if "render" in path or "after" in path}
    assert outside == {"render", "after"}
    assert tracing.event("closed")["metadata"]["stream_end"] == "closed"
    assert tracing.failed == []


async def test_a_hand_off(tracing: ModelTracer, provider: Provider) -> None:
    """A tool event of the agent that hands over; the next agent has a turn of its own."""
    clerk = agent_of(provider, "clerk", tools=[], handoffs=[Handoff(target="expert")])
    expert = agent_of(provider, "expert", tools=[])
    with tracing.session():
        await Swarm([clerk, expert], termination_condition=MaxMessageTermination(3)).run(task="?")

    assert tracing.paths == [
        "Swarm", "Swarm/clerk", "Swarm/clerk/chat m", "Swarm/clerk/transfer_to_expert",
        "Swarm/expert", "Swarm/expert/chat m",
    ]  # fmt: skip
    assert tracing.event("clerk")["outputs"]["handoff"] == "expert"
    assert tracing.failed == []


async def test_a_tool_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """The tool has the error; the agent goes on with it."""
    with tracing.session():
        await agent_of(provider).run(task="Weather nowhere?")

    assert tracing.paths == TREE
    assert tracing.failed == ["weather"]
    assert "boom" in tracing.event("weather")["error"]


async def test_a_model_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """The call, its agent and the team have the error; what follows has not."""
    team = RoundRobinGroupChat([agent_of(provider, model="status-400")], name="desk")
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            await team.run(task=QUESTION)
        with tracing.span("after"):
            pass

    assert set(tracing.failed) == {"chat status-400", "forecaster", "desk"}
    assert "after" in tracing.paths


async def test_an_agent_as_a_tool(tracing: ModelTracer, provider: Provider) -> None:
    """Its run is inside of the tool of the agent that uses it."""
    helper = AgentTool(agent_of(provider, description="Knows the weather."))
    with tracing.session():
        await agent_of(provider, "boss", tools=[helper]).run(task=QUESTION)

    inside = [f"boss/forecaster/{path}" for path in TREE]
    assert tracing.paths == sorted(["boss", *["boss/chat m"] * 2, "boss/forecaster", *inside])
    assert (tracing.tokens, tracing.failed) == (76, [])


async def test_an_agent_of_the_programs_own(tracing: ModelTracer) -> None:
    """A class that implements one of the methods is an agent as well."""

    class Echo(BaseChatAgent):
        produced_message_types = (TextMessage,)

        async def on_messages(self, messages: Any, cancellation_token: Any) -> Response:
            return Response(chat_message=TextMessage(content="echo", source=self.name))

        async def on_reset(self, cancellation_token: Any) -> None:
            """Nothing to forget."""

    with tracing.session():
        await Echo("echo", "repeats").run(task="one")
        async for _ in Echo("echo", "repeats").run_stream(task="two"):
            pass

    assert tracing.paths == ["echo", "echo"]
    assert [event["outputs"]["content"] for event in tracing.events] == ["echo", "echo"]


@pytest.mark.parametrize("runtime", ["one for each", "one for all"])
async def test_two_users_at_once(tracing: ModelTracer, provider: Provider, runtime: str) -> None:
    """Each session has the one tree of its own user, also where one runtime serves all."""
    shared = SingleThreadedAgentRuntime() if runtime == "one for all" else None
    if shared is not None:
        shared.start()

    async def ask(user: str) -> None:
        async with tracing.session(user=user):
            await team_of(provider, 3, name=user, runtime=shared).run(task=QUESTION)

    await asyncio.gather(*(ask(f"user{number}") for number in range(3)))
    if shared is not None:
        await shared.stop_when_idle()

    for number in range(3):
        tree = tree_of(tracing, f"user{number}")
        assert len(tree) == 7, tracing.paths
    by_session: dict[str, set[str]] = {}
    for event in tracing.events:
        by_session.setdefault(event["session_id"], set()).add(event["event_id"])
    assert sorted(map(len, by_session.values())) == [7, 7, 7]
    assert tracing.failed == []


async def test_beside_the_frameworks_own_spans(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor of ours on the program's provider records nothing twice."""
    own = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: own)
    monkeypatch.setattr(trace, "get_tracer", own.get_tracer)
    with instrumented("autogen", "openai") as tracing:
        processor = SpanProcessor(tracing)
        own.add_span_processor(processor)
        with tracing.session():
            await agent_of(provider).run(task=QUESTION)
        processor.shutdown()

    assert tracing.paths == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])


async def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and agents go on."""
    with instrumented("autogen") as tracing:
        agent = agent_of(provider)
    with tracing.session():
        await agent.run(task=QUESTION)

    assert tracing.events == []
