"""LangChain and LangGraph: where runs are placed, what they say, and what is no error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented

pytest.importorskip("langchain_core", reason="the contract group is not installed")
pytest.importorskip("langgraph", reason="the contract group is not installed")

from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from sessiontrace.instrumentation.langchain_runs.messages import llm_answer, message

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

USAGE: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}


class Echo(BaseChatModel):
    """Answers with the question, for two tokens; fails for "fail"."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        if messages[-1].content == "fail":
            raise ValueError("no luck")
        answer = AIMessage(f"to {messages[-1].content}", usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=answer)])


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("langchain") as tracer:
        yield tracer


def paths(tracing: ModelTracer) -> list[str]:
    """Each event by the names from the top to it, sorted."""
    events = {event["event_id"]: event for event in tracing.events}

    def path(event: dict[str, Any]) -> str:
        above = events.get(event["parent_id"])
        name = str(event["event_name"])
        return name if above is None else f"{path(above)}/{name}"

    return sorted(path(event) for event in events.values())


def errors(tracing: ModelTracer) -> list[str]:
    return [event["event_name"] for event in tracing.events if event.get("error")]


def plus(number: int) -> int:
    return number + 1


async def aplus(number: int) -> int:
    return number + 1


@pytest.mark.asyncio
async def test_a_span_after_an_async_run_is_beside_it(tracing: ModelTracer) -> None:
    """LangChain reports the end of an async run from another task; the caller stays outside."""
    chain = RunnableLambda(aplus) | RunnableLambda(aplus)
    with tracing.session():
        await chain.ainvoke(1)
        with tracing.span("after"):
            pass
        async for _ in chain.astream(1):
            with tracing.span("render"):
                pass

    one = ["RunnableSequence", "RunnableSequence/aplus", "RunnableSequence/aplus"]
    assert paths(tracing) == sorted([*one, *one, "after", "render"])


@pytest.mark.asyncio
async def test_the_items_of_a_batch_are_siblings(tracing: ModelTracer) -> None:
    """batch and abatch start all their runs first; none is inside another."""
    with tracing.session():
        (RunnableLambda(plus) | RunnableLambda(plus)).batch([1, 2, 3])
        await (RunnableLambda(aplus) | RunnableLambda(aplus)).abatch([1, 2])

    found = paths(tracing)
    assert found.count("RunnableSequence") == 5
    assert found.count("RunnableSequence/plus") == 6
    assert found.count("RunnableSequence/aplus") == 4


def test_spans_inside_and_between_chunks(tracing: ModelTracer) -> None:
    """A span inside a step holds the runs made in it; one between chunks is the consumer's."""

    def step(number: int) -> int:
        with tracing.span("work"):
            return int(RunnableLambda(plus).invoke(number))

    with tracing.session():
        for _ in (RunnableLambda(plus) | RunnableLambda(step)).stream(1):
            with tracing.span("render"):
                pass

    assert paths(tracing) == [
        "RunnableSequence",
        "RunnableSequence/plus",
        "RunnableSequence/step",
        "RunnableSequence/step/work",
        "RunnableSequence/step/work/plus",
        "render",
    ]


@pytest.mark.asyncio
async def test_a_retriever_holds_its_work(tracing: ModelTracer) -> None:
    """LangChain makes no context for it, and the span after it is beside it all the same."""

    class Documents(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
            with tracing.span("look up"):
                return []

    with tracing.session():
        Documents().invoke("q")
        await Documents().ainvoke("q")
        with tracing.span("after"):
            pass

    assert [path for path in paths(tracing) if "after" in path] == ["after"]
    assert "Documents/look up" in paths(tracing)
    retrievals = [event for event in tracing.events if event["event_name"] == "Documents"]
    assert [event["event_type"] for event in retrievals] == ["retriever"] * 2


@pytest.mark.asyncio
async def test_each_prompt_of_generate_is_an_event(tracing: ModelTracer) -> None:
    """The prompts of one call are siblings, and the tokens are the sum of their answers."""
    prompts: Any = [[HumanMessage(f"p{number}")] for number in range(3)]
    with tracing.session():
        Echo().generate(prompts)
        await Echo().agenerate(prompts)

    contents = [event["outputs"]["content"] for event in tracing.events]
    assert sorted(contents) == ["to p0", "to p0", "to p1", "to p1", "to p2", "to p2"]
    assert sum(event["metadata"]["total_tokens"] for event in tracing.events) == 12
    assert {event["event_type"] for event in tracing.events} == {"model"}


def test_generate_that_fails_in_the_middle(tracing: ModelTracer) -> None:
    """What was answered before is recorded, and what never ran is said to be skipped."""
    prompts: Any = [[HumanMessage(text)] for text in ("p0", "fail", "p2")]
    with tracing.session():
        with pytest.raises(ValueError, match="no luck"):
            Echo().generate(prompts)
        Echo().invoke("after")

    events = {event["inputs"]["chat_history"][0]["content"]: event for event in tracing.events}
    assert events["p0"]["outputs"]["content"] == "to p0"
    assert "no luck" in events["fail"]["error"]
    assert events["p2"].get("error") is None
    assert "skipped" in events["p2"]["metadata"]
    assert events["after"]["outputs"]["content"] == "to after"


def test_a_fallback(tracing: ModelTracer) -> None:
    """The failed model and the one that answered are both below the run."""
    failing = RunnableLambda(lambda text: Echo().invoke("fail"), name="failing")
    with tracing.session():
        failing.with_fallbacks([Echo()]).invoke("q")

    models = [event for event in tracing.events if event["event_type"] == "model"]
    assert [bool(event.get("error")) for event in models] == [True, False]
    assert "RunnableWithFallbacks/chat model" in paths(tracing)
    assert "RunnableWithFallbacks/failing/chat model" in paths(tracing)


def test_an_answer_from_the_cache_counts_no_tokens(tracing: ModelTracer) -> None:
    """The second answer is LangChain's own: no tokens were used."""
    model = Echo(cache=InMemoryCache())
    with tracing.session():
        model.invoke("q")
        model.invoke("q")

    first, second = tracing.events
    assert first["metadata"]["total_tokens"] == 2
    assert "total_tokens" not in second["metadata"]
    assert second["metadata"]["cached"] is True


def graph(node: Any, **options: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("step", node)
    builder.add_edge(START, "step")
    builder.add_edge("step", END)
    return builder.compile(**options)


QUESTION: Any = {"messages": [("user", "q")]}


def test_an_interrupt_is_no_error(tracing: ModelTracer) -> None:
    """A paused graph has not failed; the resumed one is the next turn of its conversation."""

    def step(state: Any) -> Any:
        answer = interrupt("ok?")
        return {"messages": [Echo().invoke(answer)]}

    paused = graph(step, checkpointer=InMemorySaver())
    config: Any = {
        "configurable": {"thread_id": "T1"},
        "metadata": {"customer": "c1"},
        "tags": ["beta"],
        "run_name": "review",
    }
    paused.invoke(QUESTION, config)
    paused.invoke(Command(resume="yes"), config)

    assert errors(tracing) == []
    assert paths(tracing) == sorted(
        ["review", "review/step", "review", "review/step", "review/step/chat model"]
    )
    interrupted = next(event for event in tracing.events if event["event_name"] == "step")
    assert interrupted["metadata"]["control_flow"] == "GraphInterrupt"
    assert interrupted["outputs"]["result"][0]["value"] == "ok?"
    root = next(event for event in tracing.events if event["event_name"] == "review")
    assert root["metadata"]["thread_id"] == "T1"
    assert root["metadata"]["customer"] == "c1"
    assert root["metadata"]["tags"] == ["beta"]
    assert len({event["session_id"] for event in tracing.events}) == 1


def test_a_bubble_up_of_the_future_is_no_error(tracing: ModelTracer) -> None:
    """Whatever LangGraph derives from GraphBubbleUp hands on control; other errors are errors."""

    class NextKind(GraphBubbleUp):
        pass

    def bubble(state: Any) -> Any:
        raise NextKind("x")

    with tracing.session():
        with pytest.raises(NextKind):
            RunnableLambda(bubble).invoke(1)
        with pytest.raises(ZeroDivisionError):
            RunnableLambda(lambda number: 1 // number, name="divide").invoke(0)

    assert errors(tracing) == ["divide"]


@pytest.mark.asyncio
async def test_a_hand_off_and_a_closed_stream_are_no_errors(tracing: ModelTracer) -> None:
    """A subgraph hands over with a command; a reader closes the stream after the first chunk."""

    def hand_off(state: Any) -> Any:
        return Command(goto="other", graph=Command.PARENT)

    builder = StateGraph(MessagesState)
    builder.add_node("team", graph(hand_off), destinations=("other",))
    builder.add_node("other", lambda state: {})
    builder.add_edge(START, "team")
    builder.add_edge("other", END)
    with tracing.session():
        builder.compile().invoke(QUESTION)
        stream = graph(lambda state: {}).astream(QUESTION)
        async for _ in stream:
            break
        await stream.aclose()

    assert errors(tracing) == []
    assert "LangGraph/other" in paths(tracing)


def test_messages_keep_what_they_carry() -> None:
    """Broken tool calls, provider fields, names and a tool's status are part of the message."""
    answer = AIMessage(
        "x",
        name="bob",
        additional_kwargs={
            "function_call": {"name": "old", "arguments": "{}"},
            "reasoning_content": "because",
            "grounding": [1],
        },
        invalid_tool_calls=[
            {"id": "1", "name": "f", "args": "{", "error": "cut", "type": "invalid_tool_call"}
        ],
    )
    fields = message(answer)

    assert fields["name"] == "bob"
    assert fields["reasoning"] == "because"
    assert fields["additional_kwargs"] == {"grounding": [1]}
    assert fields["invalid_tool_calls"][0]["args"] == "{"
    assert fields["tool_calls"][0]["function"]["name"] == "old"
    failed = message(ToolMessage("boom", tool_call_id="1", status="error"))
    assert (failed["status"], failed["tool_call_id"]) == ("error", "1")


def test_usage_wherever_it_stands_and_every_choice() -> None:
    """Packages keep usage in the message, in its metadata or beside it; choices share one."""
    openai: Any = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    in_metadata = ChatGeneration(
        message=AIMessage("a", response_metadata={"token_usage": openai, "id": "resp-1"})
    )
    beside = ChatGeneration(message=AIMessage("a"))
    anthropic = ChatGeneration(
        message=AIMessage(
            "a",
            response_metadata={
                "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 4}
            },
        )
    )
    two: Any = [ChatGeneration(message=AIMessage(text, usage_metadata=USAGE)) for text in "ab"]

    _, metadata = llm_answer(LLMResult(generations=[[in_metadata]]))
    assert (metadata["total_tokens"], metadata["response_id"]) == (5, "resp-1")
    _, metadata = llm_answer(
        LLMResult(generations=[[beside]], llm_output={"token_usage": openai, "model_name": "m"})
    )
    assert (metadata["total_tokens"], metadata["response_model"]) == (5, "m")
    _, metadata = llm_answer(LLMResult(generations=[[anthropic]]))
    assert (metadata["prompt_tokens"], metadata["total_tokens"]) == (5, 7)
    outputs, metadata = llm_answer(LLMResult(generations=[two]))
    assert [choice["content"] for choice in outputs["choices"]] == ["a", "b"]
    assert metadata["total_tokens"] == 2
