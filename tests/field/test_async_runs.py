"""LangChain reports starts and ends in different tasks: the user's spans are where they belong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.testing import Captured

pytest.importorskip("langchain_core", reason="the contract group is not installed")
pytest.importorskip("langgraph", reason="the contract group is not installed")

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

pytestmark = [pytest.mark.contract, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def langchain(traces: Captured) -> Iterator[Captured]:
    """The records of LangChain's runs."""
    st.instrument("langchain")
    yield traces
    st.uninstrument()


async def plus(number: int) -> int:
    return number + 1


def levels(captured: Captured) -> list[tuple[int, str]]:
    """The depth below the session and the name of each event."""
    (session,) = captured.sessions

    def below(node: Any, depth: int) -> Iterator[tuple[int, str]]:
        for child in node.children:
            yield depth, child.name
            yield from below(child, depth + 1)

    return sorted(below(session, 0))


def test_a_span_after_an_async_run_is_beside_it(langchain: Captured) -> None:
    """After ``ainvoke``, and between the chunks of ``astream``."""

    async def main() -> None:
        chain = RunnableLambda(plus) | RunnableLambda(plus)
        with st.session("s"):
            await chain.ainvoke(1)
            with st.span("after"):
                pass
            async for _ in chain.astream(1):
                with st.span("render"):
                    pass

    asyncio.run(main())
    assert [entry for entry in levels(langchain) if entry[1] in ("after", "render")] == [
        (0, "after"),
        (0, "render"),
    ]


def test_the_items_of_a_batch_are_siblings(langchain: Captured) -> None:
    """Three runs of one chain, none inside another."""
    with st.session("s"):
        (RunnableLambda(lambda x: x) | RunnableLambda(lambda x: x)).batch([1, 2, 3])
    assert [name for depth, name in levels(langchain) if depth == 0] == ["RunnableSequence"] * 3


class Echo(BaseChatModel):
    """Answers with the question, for two tokens."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        answer = AIMessage(str(messages[-1].content), usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def test_each_prompt_of_generate_is_an_event(langchain: Captured) -> None:
    """Three prompts in one call: three model events with six tokens together."""
    with st.session("s"):
        Echo().generate([[HumanMessage(f"p{number}")] for number in range(3)])
    models = [event for event in langchain.events if event["event_type"] == "model"]
    assert len(models) == 3
    assert sum(event["metadata"]["total_tokens"] for event in models) == 6


def test_an_interrupt_is_no_error(langchain: Captured) -> None:
    """A node asks a person: the session is paused and has not failed."""
    graph = StateGraph(dict)
    graph.add_node("ask", lambda state: {"answer": interrupt("ok?")})
    graph.add_edge(START, "ask")
    compiled = graph.compile(checkpointer=InMemorySaver())
    with st.session("s"):
        compiled.invoke({}, {"configurable": {"thread_id": "1"}})
    assert [event["event_name"] for event in langchain.events if event.get("error")] == []
    assert langchain.events
