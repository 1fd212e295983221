"""Agno: agents, teams, workflows, tools and knowledge, each once, beside the model's SDK."""

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

pytest.importorskip("agno", reason=f"agno {OWN_ENVIRONMENT}")

import openai
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.exceptions import StopAgentRun
from agno.knowledge.document import Document
from agno.knowledge.knowledge import Knowledge
from agno.models.openai import OpenAIChat
from agno.team import Team
from agno.tools import tool
from agno.workflow import Parallel, Step, Workflow
from openinference.instrumentation.agno import AgnoInstrumentor
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
    """Calls its first tool for each city of the question, and then answers."""
    chat, messages, model = ROUTES["/v1/chat/completions"], body["messages"], body["model"]
    if not body.get("tools") or any(entry["role"] == "tool" for entry in messages):
        return chat({**body, "model": "ok"}) if model == "m" else chat(body)
    names = [entry["function"]["name"] for entry in body["tools"]]
    cities = [city for city in ("Rome", "nowhere", "halt") if city in str(messages)] or ["Oslo"]
    arguments = [{"city": city} for city in cities]
    if "delegate_task_to_member" in names:
        names[0], arguments = "delegate_task_to_member", [{"member_id": "forecaster", "task": "?"}]
    elif "search" in names[0]:
        arguments = [{"query": "rain"}]
    requests = [
        {
            "index": number,
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": names[0], "arguments": json.dumps(entry)},
        }
        for number, entry in enumerate(arguments)
    ]
    if body.get("stream"):
        return streamed(chat({**body, "model": "ok"}), requests)
    completion = chat({**body, "model": "tools"})
    completion["choices"][0]["message"]["tool_calls"] = requests
    return completion


def streamed(chunks: Iterator[str], requests: list[dict[str, Any]]) -> Iterator[str]:
    """The calls in the place of the answer's words, with the tokens of its end."""
    for chunk in chunks:
        if '"content": "Hello"' in chunk:
            delta = {"tool_calls": requests}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-2026"}
            yield f"data: {json.dumps({**base, 'choices': [choice]})}\n\n"
        elif '"content"' not in chunk or '"usage"' in chunk:
            yield chunk.replace('"stop"', '"tool_calls"')


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


clients: list[Any] = []


@pytest_asyncio.fixture
async def provider(server: Provider) -> AsyncIterator[Provider]:
    """The server; the clients that a test has made for it are closed in their loop."""
    yield server
    while clients:
        client = clients.pop()
        closing = client.close()
        if closing is not None:
            await closing


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("agno", "openai") as tracer:
        yield tracer


def weather(city: str) -> str:
    """Report the weather.

    Args:
        city: the city
    """
    if city == "nowhere":
        raise ValueError("boom")
    if city == "halt":
        raise StopAgentRun("enough")
    return f"rain in {city}"


def model_of(provider: Provider, name: str = "m") -> OpenAIChat:
    options: Any = {"base_url": f"{provider.url}/v1", "api_key": "k", "max_retries": 0}
    sync, asynchronous = openai.OpenAI(**options), openai.AsyncOpenAI(**options)
    clients.extend([sync, asynchronous])
    return OpenAIChat(id=name, client=sync, async_client=asynchronous, **options)


def agent_of(provider: Provider, name: str = "forecaster", **options: Any) -> Agent:
    options.setdefault("tools", [weather])
    model = model_of(provider, options.pop("model", "m"))
    return Agent(name=name, model=model, telemetry=False, **options)


def team_of(provider: Provider, name: str = "desk") -> Team:
    members = [agent_of(provider)]
    return Team(name=name, members=members, model=model_of(provider), telemetry=False)


def tree_of(tracing: ModelTracer, top: str) -> list[str]:
    return [path for path in tracing.paths if path.partition("/")[0] == top]


async def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """An agent with its question and answer; its tool and two calls are inside of it."""
    with tracing.session():
        result = agent_of(provider).run(QUESTION)
        with tracing.span("after"):
            pass

    assert result.content == TEXT
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
    assert used["metadata"] == {"tool_call_id": "call_0"}


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_streams(tracing: ModelTracer, provider: Provider, kind: str) -> None:
    """What a reader does between two items is outside; one that stops reading is no failure."""
    with tracing.session():
        for name, stops in (("forecaster", False), ("closed", True)):
            agent = agent_of(provider, name)
            if kind == "async":
                stream: Any = agent.arun(QUESTION, stream=True)
                async for _ in stream:
                    with tracing.span("render"):
                        pass
                    if stops:
                        break
                await stream.aclose()
            else:
                stream = agent.run(QUESTION, stream=True)
                for _ in stream:
                    with tracing.span("render"):
                        pass
                    if stops:
                        break
                stream.close()
        with tracing.span("after"):
            pass

    assert tree_of(tracing, "forecaster") == TREE
    assert tracing.event("forecaster")["outputs"] == {"role": "assistant", "content": TEXT}
    outside = {path for path in tracing.paths if "render" in path or "after" in path}
    assert outside == {"render", "after"}
    assert tracing.event("closed")["metadata"]["stream_end"] == "closed"
    assert tracing.failed == []


@pytest.mark.parametrize("kind", ["sync", "async", "stream", "async stream"])
async def test_a_team(tracing: ModelTracer, provider: Provider, kind: str) -> None:
    """The member is inside of the tool by which the team asks it, also while it streams."""
    team = team_of(provider)
    with tracing.session():
        if kind == "sync":
            team.run(QUESTION)
        elif kind == "async":
            await team.arun(QUESTION)
        elif kind == "stream":
            assert list(team.run(QUESTION, stream=True))
        else:
            assert [item async for item in team.arun(QUESTION, stream=True)]

    asked = "desk/delegate_task_to_member"
    member = [f"{asked}/{path}" for path in TREE]
    assert tracing.paths == sorted(["desk", *["desk/chat m"] * 2, asked, *member])
    assert (tracing.tokens, tracing.failed) == (76, [])
    assert tracing.event("desk")["outputs"] == {"role": "assistant", "content": TEXT}
    assert tracing.event("desk")["config"]["members"] == ["forecaster"]


async def test_tools_that_fail_or_end_the_run(tracing: ModelTracer, provider: Provider) -> None:
    """A failing tool has its error, others of the answer have none; a stop is no failure."""
    with tracing.session():
        agent_of(provider).run("Weather in Rome and nowhere?")
        agent_of(provider, "stopped").run("Weather to halt?")

    tools = {
        event["inputs"]["city"]: event for event in tracing.events if event["inputs"].get("city")
    }
    assert tools["Rome"]["outputs"] == {"result": "rain in Rome"}
    assert "boom" in tools["nowhere"]["error"]
    assert tools["halt"]["metadata"]["control_flow"] == "StopAgentRun"
    assert tracing.failed == ["weather"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_fails(tracing: ModelTracer, provider: Provider, stream: bool) -> None:
    """Agno answers with the error: the call and its agent have it, what follows has not."""
    with tracing.session():
        result: Any = agent_of(provider, model="status-400").run(QUESTION, stream=stream)
        if stream:
            list(result)
        with tracing.span("after"):
            pass

    assert set(tracing.failed) == {"chat status-400", "forecaster"}
    assert "no luck" in tracing.event("forecaster")["error"]
    assert "after" in tracing.paths


class Shelf(Knowledge):
    """Knowledge with one document."""

    def search(self, query: str, *args: Any, **options: Any) -> list[Document]:
        """Every question has the same answer."""
        return super().search(query, *args, **options) or [Document(content="rain", name="book")]


async def test_knowledge(tracing: ModelTracer, provider: Provider) -> None:
    """The search is inside of the tool; a direct one is an event as well."""
    with tracing.session():
        Knowledge(name="shelf").search("rain", max_results=2)
        agent_of(provider, tools=[], knowledge=Shelf(name="shelf")).run(QUESTION)

    asked = "forecaster/search_knowledge_base"
    assert tracing.paths[-2:] == [f"{asked}/shelf", "shelf"]
    event = next(event for event in tracing.events if event["event_name"] == "shelf")
    assert (event["event_type"], event["inputs"]) == (
        "retriever",
        {"query": "rain", "max_results": 2},
    )
    assert event["outputs"] == {"documents": []}
    assert tracing.failed == []


@pytest.mark.parametrize("kind", ["sync", "async", "stream", "async stream"])
async def test_a_workflow(tracing: ModelTracer, provider: Provider, kind: str) -> None:
    """Its steps hold what they run, also those that run at once."""

    def write(step_input: Any) -> str:
        return f"report: {step_input.previous_step_content}"

    both = Parallel(
        Step(name="one", agent=agent_of(provider, "a", tools=[])),
        Step(name="two", agent=agent_of(provider, "b", tools=[])),
        name="both",
    )
    flow = Workflow(
        name="flow",
        steps=[
            Step(name="ask", agent=agent_of(provider)),
            both,
            Step(name="write", executor=write),
        ],
        telemetry=False,
    )
    with tracing.session():
        if kind == "sync":
            flow.run(QUESTION)
        elif kind == "async":
            await flow.arun(QUESTION)
        elif kind == "stream":
            list(flow.run(QUESTION, stream=True))
        else:
            assert [item async for item in flow.arun(QUESTION, stream=True)]

    assert tracing.paths == sorted(
        [
            "flow",
            "flow/ask",
            *[f"flow/ask/{path}" for path in TREE],
            "flow/both",
            "flow/both/one",
            "flow/both/one/a",
            "flow/both/one/a/chat m",
            "flow/both/two",
            "flow/both/two/b",
            "flow/both/two/b/chat m",
            "flow/write",
        ]
    )
    assert (tracing.tokens, tracing.failed) == (76, [])
    assert tracing.event("write")["outputs"]["content"].startswith("report: ")


async def test_a_run_that_waits_for_the_user(tracing: ModelTracer, provider: Provider) -> None:
    """A pause is no failure; the rest of the run is a turn of its own, with the tool."""

    @tool(requires_confirmation=True)
    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    agent = agent_of(provider, tools=[weather], db=InMemoryDb())
    with tracing.session():
        paused = agent.run(QUESTION)
        for entry in paused.tools or ():
            entry.confirmed = True
        agent.continue_run(run_response=paused)

    first, second = (event for event in tracing.events if event["event_type"] == "agent")
    assert first["metadata"]["control_flow"] == "paused"
    assert second["inputs"] == {"continued_run": paused.run_id}
    assert second["outputs"]["content"] == TEXT
    assert tracing.paths == TREE[:1] + TREE
    assert (tracing.tokens, tracing.failed) == (38, [])


async def test_async_tools_that_yield(tracing: ModelTracer, provider: Provider) -> None:
    """Tools of one answer run at once, and each is read inside of its own event."""

    async def weather(city: str) -> AsyncIterator[str]:
        """Report the weather.

        Args:
            city: the city
        """
        for word in ("rain", " in ", city):
            with tracing.span("measure"):
                await asyncio.sleep(0)
            yield word

    with tracing.session():
        await agent_of(provider, tools=[weather]).arun("Weather in Rome and nowhere?")

    outputs = [event["outputs"] for event in tracing.events if event["event_name"] == "weather"]
    assert sorted(entry["result"] for entry in outputs) == ["rain in Rome", "rain in nowhere"]
    inside = {path for path in tracing.paths if path.endswith("measure")}
    assert inside == {"forecaster/weather/measure"}
    assert tracing.failed == []


async def test_two_users_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """Each session has the one tree of its own user."""

    async def ask(user: str) -> None:
        async with tracing.session(user=user):
            await team_of(provider, user).arun(QUESTION)

    await asyncio.gather(*(ask(f"user{number}") for number in range(3)))

    for number in range(3):
        assert len(tree_of(tracing, f"user{number}")) == 8
    by_session: dict[str, set[str]] = {}
    for event in tracing.events:
        by_session.setdefault(event["session_id"], set()).add(event["event_id"])
    assert sorted(map(len, by_session.values())) == [8, 8, 8]


@pytest.mark.parametrize("names", [("agno", "openai"), ("agno",)], ids="-".join)
async def test_beside_openinference(provider: Provider, names: tuple[str, ...]) -> None:
    """Its spans of the same runs make no event twice; of models without an SDK's they are it."""
    own, theirs = TracerProvider(), AgnoInstrumentor()
    with instrumented(*names) as tracing:
        processor = SpanProcessor(tracing)
        own.add_span_processor(processor)
        theirs.instrument(tracer_provider=own, skip_dep_check=True)
        try:
            with tracing.session():
                agent_of(provider).run(QUESTION)
        finally:
            theirs.uninstrument()
            processor.shutdown()

    assert len(tracing.models) == 2
    assert (tracing.tokens, tracing.failed) == (38, [])
    names_below = [path.partition("/")[2] for path in tracing.paths]
    assert len(names_below) == len(TREE)
    assert tracing.paths == TREE or names == ("agno",)


async def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and agents go on."""
    with instrumented("agno") as tracing:
        pass
    with tracing.session():
        assert agent_of(provider).run(QUESTION).content == TEXT

    assert tracing.events == []
