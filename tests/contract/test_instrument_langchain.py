"""LangChain and LangGraph: runs become a tree, and a model run is one event with its SDK's call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

from sessiontrace.instrumentation.registry import Instruments
from sessiontrace.model.step_types import STEP_TYPES

pytest.importorskip("langchain_core", reason="the contract group is not installed")
pytest.importorskip("langchain_openai", reason="the contract group is not installed")

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """One for each test: langchain-openai keeps an async client for each address for ever."""
    with serving(ROUTES) as running:
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("langchain", "openai") as tracer:
        yield tracer


def chat(provider: Provider, model: str = "ok") -> Any:
    return ChatOpenAI(model=model, base_url=f"{provider.url}/v1", api_key="k", max_retries=0)


def by_type(tracing: ModelTracer) -> dict[str, list[dict[str, Any]]]:
    events: dict[str, list[dict[str, Any]]] = {name: [] for name in STEP_TYPES}
    for event in tracing.events:
        events[event["event_type"]].append(event)
    return events


def test_a_chain_with_a_model_is_a_tree(tracing: ModelTracer, provider: Provider) -> None:
    """Prompt and model below the sequence; the openai SDK's call adds to the model's event."""
    chain = ChatPromptTemplate.from_messages([("system", "Be kind"), ("user", "{q}")]) | chat(
        provider
    )
    with tracing.session() as session:
        assert chain.invoke({"q": "Hello?"}).content == TEXT

    events = by_type(tracing)
    (model,) = events["model"]
    sequence = next(event for event in events["chain"] if event["parent_id"] == session.session_id)
    assert model["parent_id"] == sequence["event_id"]
    assert model["event_name"] == "chat ok"
    assert model["inputs"]["chat_history"] == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Hello?"},
    ]
    assert model["outputs"]["content"] == TEXT
    assert model["metadata"]["total_tokens"] == 19
    assert model["metadata"]["http_status"] == 200


@pytest.mark.asyncio
async def test_async_and_streamed(tracing: ModelTracer, provider: Provider) -> None:
    """ainvoke, stream and astream: one event each, with the time to the first chunk."""
    model = chat(provider)
    with tracing.session():
        await model.ainvoke("Hello?")
        for _ in model.stream("Hello?"):
            pass
        async for _ in model.astream("Hello?"):
            pass
    await model.root_async_client.close()

    events = by_type(tracing)["model"]
    assert [event["outputs"]["content"] for event in events] == [TEXT] * 3
    assert all("time_to_first_chunk_ms" in event["metrics"] for event in events[1:])


def test_a_call_between_chunks_is_its_own(tracing: ModelTracer, provider: Provider) -> None:
    """What the program does while it reads a stream is no part of the streamed call."""
    with tracing.session():
        for number, _ in enumerate(chat(provider).stream("Hello?")):
            if number == 1:
                chat(provider, "other").invoke("In between")

    assert sorted(event["event_name"] for event in by_type(tracing)["model"]) == [
        "chat ok",
        "chat other",
    ]


def test_tools_and_errors(tracing: ModelTracer, provider: Provider) -> None:
    """A tool is a tool event; a model that fails keeps its error."""

    @tool
    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    with tracing.session():
        assert weather.invoke({"city": "Oslo"}) == "rain in Oslo"
        with pytest.raises(Exception, match="no luck"):
            chat(provider, "status-400").invoke("Hello?")

    events = by_type(tracing)
    assert events["tool"][0]["event_name"] == "weather"
    assert events["tool"][0]["inputs"] == {"city": "Oslo"}
    assert events["tool"][0]["outputs"] == {"result": "rain in Oslo"}
    (model,) = events["model"]
    assert "no luck" in model["error"]


@pytest.mark.asyncio
async def test_a_graph(tracing: ModelTracer, provider: Provider) -> None:
    """LangGraph's nodes run in tasks of their own; the tree follows its run ids."""
    graphs = pytest.importorskip("langgraph.graph")
    model = chat(provider)

    async def ask(state: Any) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(graphs.START, "ask")
    builder.add_edge("ask", graphs.END)
    with tracing.session():
        await builder.compile().ainvoke({"messages": [("user", "Hello?")]})
    await model.root_async_client.close()

    events = by_type(tracing)
    (event,) = events["model"]
    names = {event["event_id"]: event["event_name"] for event in events["chain"]}
    assert names[event["parent_id"]] == "ask"
    assert [event["event_name"] for event in events["agent"]] == ["LangGraph"]


def test_uninstrument(provider: Provider) -> None:
    """Afterwards runs go by unseen."""
    tracer = ModelTracer()
    instruments = Instruments(tracer)
    instruments.add(("langchain",), ())
    instruments.remove()
    chat(provider).invoke("Hello?")

    assert tracer.records == []
