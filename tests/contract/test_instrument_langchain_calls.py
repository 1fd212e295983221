"""LangChain and LangGraph on a model server: every way to run, with the tree, tokens and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.stubs.openai_api import TEXT, TOOL_FIRST
from support.stubs.provider import Provider, serving

pytest.importorskip("langchain_core", reason="the contract group is not installed")
pytest.importorskip("langchain_openai", reason="the contract group is not installed")
pytest.importorskip("langgraph.prebuilt", reason="the contract group is not installed")

from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent
from langgraph.types import Command, Send

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

TOKENS = 19
CHAIN = "RunnableSequence"
ONE = [CHAIN, f"{CHAIN}/ChatPromptTemplate", f"{CHAIN}/chat m"]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """One for each test: langchain-openai keeps an async client for each address for ever."""
    with serving(TOOL_FIRST) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["alone", "with-openai"])
def tracing(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    with instrumented("langchain", *(["openai"] if request.param else [])) as tracer:
        yield tracer


def chat(provider: Provider, model: str = "m") -> Any:
    return ChatOpenAI(
        model=model, base_url=f"{provider.url}/v1", api_key="k", max_retries=0, stream_usage=True
    )


async def read(stream: Any) -> None:
    async for _ in stream:
        pass


Question = dict[str, str]
WAYS: dict[str, tuple[int, Callable[[Any, Question], Awaitable[Any]]]] = {
    "invoke": (1, lambda chain, q: asyncio.to_thread(chain.invoke, q)),
    "ainvoke": (1, lambda chain, q: chain.ainvoke(q)),
    "batch": (3, lambda chain, q: asyncio.to_thread(chain.batch, [q] * 3)),
    "abatch": (3, lambda chain, q: chain.abatch([q] * 3)),
    "stream": (1, lambda chain, q: asyncio.to_thread(list, chain.stream(q))),
    "astream": (1, lambda chain, q: read(chain.astream(q))),
    "astream_events": (1, lambda chain, q: read(chain.astream_events(q, version="v2"))),
    "astream_log": (1, lambda chain, q: read(chain.astream_log(q))),
    "abatch_as_completed": (2, lambda chain, q: read(chain.abatch_as_completed([q] * 2))),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_run_a_chain(tracing: ModelTracer, provider: Provider, way: str) -> None:
    """Each run is one tree, beside the others; its tokens are those of the server."""
    runs, run = WAYS[way]
    prompt = ChatPromptTemplate.from_messages([("system", "Be kind"), ("user", "{q}")])
    with tracing.session():
        await run(prompt | chat(provider), {"q": "Hello?"})
        with tracing.span("after"):
            pass

    assert tracing.paths == sorted([*ONE * runs, "after"])
    assert tracing.tokens == TOKENS * runs
    assert [event["outputs"]["content"] for event in tracing.models] == [TEXT] * runs
    assert tracing.failed == []
    assert len(provider.requests) == runs


@pytest.mark.asyncio
async def test_generate_and_agenerate(tracing: ModelTracer, provider: Provider) -> None:
    """Every prompt is an event with its own tokens."""
    prompts: Any = [[HumanMessage(f"p{number}")] for number in range(3)]
    with tracing.session():
        await asyncio.to_thread(chat(provider).generate, prompts)
        await chat(provider).agenerate(prompts)

    assert tracing.paths == ["chat m"] * 6
    assert tracing.tokens == TOKENS * 6
    questions = [event["inputs"]["chat_history"][0]["content"] for event in tracing.models]
    assert sorted(questions) == ["p0", "p0", "p1", "p1", "p2", "p2"]


@pytest.mark.asyncio
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_agent(tracing: ModelTracer, provider: Provider, streamed: bool) -> None:
    """Two model calls and the tool, each below its node."""

    @tool
    def weather(city: str) -> str:
        """Report the weather."""
        with tracing.span("look up"):
            return f"rain in {city}"

    agent = create_react_agent(chat(provider), [weather])
    question = {"messages": [("user", "Weather in Oslo?")]}
    with tracing.session():
        if streamed:
            await read(agent.astream(question, stream_mode="messages"))
        else:
            await agent.ainvoke(question)

    paths = tracing.paths
    assert len([path for path in paths if path.endswith("/chat m")]) == 2
    assert [path for path in paths if "weather" in path] == [
        "LangGraph/tools/weather",
        "LangGraph/tools/weather/look up",
    ]
    assert paths.count("LangGraph") == 1
    assert tracing.tokens == TOKENS * 2
    assert tracing.event("weather")["metadata"]["tool_call_id"] == "call_1"
    assert tracing.failed == []


@pytest.mark.asyncio
async def test_fallbacks_and_retries(tracing: ModelTracer, provider: Provider) -> None:
    """Each attempt is an event; only the attempts that failed have an error."""
    falling = chat(provider, "status-400").with_fallbacks([chat(provider)])
    tries = []

    def flaky(question: str) -> Any:
        tries.append(question)
        return chat(provider, "status-400" if len(tries) == 1 else "m").invoke(question)

    retrying = RunnableLambda(flaky, name="flaky").with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False
    )
    with tracing.session():
        await falling.ainvoke("Hello?")
        await asyncio.to_thread(falling.invoke, "Hello?")
        await asyncio.to_thread(retrying.invoke, "Hello?")

    models = [(event["event_name"], bool(event.get("error"))) for event in tracing.models]
    assert models == [("chat status-400", True), ("chat m", False)] * 3
    assert tracing.tokens == TOKENS * 3
    assert [name for name in tracing.failed if not name.startswith("chat")] == ["flaky"]
    assert tracing.paths.count("RunnableWithFallbacks/chat m") == 2


@pytest.mark.asyncio
async def test_parallel_nodes_and_hand_offs(tracing: ModelTracer, provider: Provider) -> None:
    """A map over nodes, and a command that goes to another one: siblings, and no error."""

    async def ask(state: Any) -> Any:
        return {"messages": [await chat(provider).ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_node("route", lambda state: Command(goto="last"))
    builder.add_node("last", ask)
    builder.add_conditional_edges(START, lambda state: [Send("ask", state), Send("ask", state)])
    builder.add_edge("ask", "route")
    builder.add_edge("last", END)
    with tracing.session():
        await builder.compile().ainvoke({"messages": [("user", "Hello?")]})

    assert [path for path in tracing.paths if "chat" in path] == [
        "LangGraph/ask/chat m",
        "LangGraph/ask/chat m",
        "LangGraph/last/chat m",
    ]
    assert tracing.tokens == TOKENS * 3
    assert tracing.failed == []


@pytest.mark.asyncio
async def test_hidden_runs_have_no_event(tracing: ModelTracer, provider: Provider) -> None:
    """What they hold belongs to the run around them."""

    async def ask(question: str) -> Any:
        return await chat(provider).ainvoke(question)

    hidden = RunnableLambda(ask, name="hidden").with_config(tags=["langsmith:hidden"])
    with tracing.session():
        await (RunnableLambda(lambda q: q, name="first") | hidden).ainvoke("Hello?")

    assert tracing.paths == [CHAIN, f"{CHAIN}/chat m", f"{CHAIN}/first"]


@pytest.mark.asyncio
async def test_what_the_config_says(tracing: ModelTracer, provider: Provider) -> None:
    """Metadata, tags and the run's name; a thread id makes both runs turns of one conversation."""
    config: Any = {
        "metadata": {"customer": "c1", "thread_id": "T1"},
        "tags": ["beta"],
        "run_name": "greet",
    }
    for _ in range(2):
        await (RunnableLambda(lambda q: q) | chat(provider)).ainvoke("Hello?", config)

    runs = [event for event in tracing.events if event["event_name"] == "greet"]
    assert len(runs) == 2
    assert all(run["metadata"]["customer"] == "c1" for run in runs)
    assert all(run["metadata"]["tags"] == ["beta"] for run in runs)
    assert len({event["session_id"] for event in tracing.events}) == 1
    assert [start["metadata"]["session_id"] for start in tracing.of("start")] == ["T1", "T1"]
    assert "customer" not in tracing.models[0]["metadata"]  # its parent run has it
