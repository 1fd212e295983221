"""LlamaIndex: models, agents, workflows, retrievers and engines as a tree, each thing once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.stubs.openai_api import TEXT, TOOL_FIRST
from support.stubs.provider import Provider, serving

pytest.importorskip("llama_index.core", reason="the contract group is not installed")
pytest.importorskip("openai", reason="the contract group is not installed")

from llama_index.core import Document, MockEmbedding, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from support.llama_index_model import OpenAIModel

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

QUESTION = [ChatMessage(role="user", content="Hello?")]
AGENT = "FunctionAgent.run"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(TOOL_FIRST) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["alone", "with-openai"])
def tracing(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    with instrumented("llama-index", *(["openai"] if request.param else [])) as tracer:
        yield tracer


@pytest.mark.asyncio
async def test_every_way_to_call_a_model_is_one_event(
    tracing: ModelTracer, provider: Provider
) -> None:
    """Whole and streamed, sync and async, chat and completion: the answer and its tokens, once."""
    model = OpenAIModel(url=provider.url)
    with tracing.session():
        model.chat(QUESTION)
        await model.achat(QUESTION)
        model.complete("Hello?")
        await model.acomplete("Hello?")
        list(model.stream_chat(QUESTION))
        list(model.stream_complete("Hello?"))
        [part async for part in await model.astream_chat(QUESTION)]
        [part async for part in await model.astream_complete("Hello?")]

    assert tracing.paths == ["chat m"] * 8
    assert tracing.tokens == 8 * 19
    assert [event["outputs"]["content"] for event in tracing.models] == [TEXT] * 8
    assert tracing.models[0]["inputs"] == {"chat_history": [{"role": "user", "content": "Hello?"}]}
    assert tracing.models[2]["inputs"] == {"prompt": "Hello?"}
    assert all("time_to_first_chunk_ms" in event["metrics"] for event in tracing.models[4:])


@pytest.mark.asyncio
async def test_what_a_reader_does_between_chunks_is_its_own(
    tracing: ModelTracer, provider: Provider
) -> None:
    """Two streams read in turn, a call and a span in between: four model events side by side."""
    model = OpenAIModel(url=provider.url)
    with tracing.session():
        first, second = model.stream_chat(QUESTION), model.stream_chat(QUESTION)
        for _ in zip(first, second, strict=True):
            with tracing.span("render"):
                pass
        for number, _ in enumerate(model.stream_chat(QUESTION)):
            if number == 2:
                model.chat(QUESTION)

    assert set(tracing.paths) == {"chat m", "render"}
    assert len(tracing.models) == 4
    assert tracing.tokens == 4 * 19


@pytest.mark.asyncio
async def test_streams_that_are_broken_off_or_fail(
    tracing: ModelTracer, provider: Provider
) -> None:
    """What had arrived is the answer; a close is no error, and a failure is one."""
    model = OpenAIModel(url=provider.url)
    with tracing.session():
        stream = model.stream_chat(QUESTION)
        next(stream), next(stream)
        stream.close()
        async_stream = await model.astream_chat(QUESTION)
        await async_stream.__anext__()
        await async_stream.aclose()
        with pytest.raises(Exception, match="no luck"):
            list(OpenAIModel(url=provider.url, model="status-400").stream_chat(QUESTION))
        with pytest.raises(Exception, match="no luck"):
            OpenAIModel(url=provider.url, model="status-400").chat(QUESTION)

    closed, async_closed, failing, failed = tracing.models
    assert closed["outputs"]["content"] == "Hello"
    assert closed["metadata"]["stream_end"] == async_closed["metadata"]["stream_end"] == "closed"
    assert tracing.failed == ["chat status-400"] * 2
    assert "no luck" in failing["error"]
    assert failing["inputs"] == failed["inputs"] == closed["inputs"]


@pytest.mark.asyncio
@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_is_a_tree(
    tracing: ModelTracer, provider: Provider, streaming: bool
) -> None:
    """Its steps, two model calls and the tool with its arguments; nothing twice."""

    async def weather(city: str) -> str:
        """Report the weather."""
        with tracing.span("look up"):
            return f"rain in {city}"

    agent = FunctionAgent(tools=[weather], llm=OpenAIModel(url=provider.url), streaming=streaming)
    with tracing.session():
        result = await agent.run("Weather in Oslo?")

    step = f"{AGENT}/BaseWorkflowAgent"
    assert str(result) == TEXT
    assert [path for path in tracing.paths if "chat m" in path or "weather" in path] == [
        f"{step}.call_tool/weather",
        f"{step}.call_tool/weather/look up",
        f"{step}.run_agent_step/chat m",
        f"{step}.run_agent_step/chat m",
    ]
    assert tracing.tokens == 38
    assert tracing.failed == []
    tool, run = tracing.event("weather"), tracing.event(AGENT)
    assert run["metadata"]["agent_name"] == agent.name
    assert run["event_type"] == "agent"
    assert (tool["event_type"], tool["inputs"]) == ("tool", {"city": "Oslo"})
    assert tool["outputs"] == {"result": "rain in Oslo"}
    assert run["inputs"]["user_msg"] == "Weather in Oslo?"
    assert run["outputs"]["response"]["content"] == TEXT


@pytest.mark.asyncio
async def test_agents_that_run_at_once_are_siblings(
    tracing: ModelTracer, provider: Provider
) -> None:
    """Neither run is inside the other, and the caller's own spans are inside neither."""
    agent = FunctionAgent(tools=[], llm=OpenAIModel(url=provider.url))
    with tracing.session():
        first, second = agent.run("A"), agent.run("B")
        async for _ in first.stream_events():
            with tracing.span("event"):
                pass
        await first
        await second

    assert tracing.paths.count(AGENT) == 2
    assert tracing.paths.count(f"{AGENT}/BaseWorkflowAgent.run_agent_step/chat m") == 2
    assert [path for path in tracing.paths if path.endswith("event") and "/" in path] == []


@pytest.mark.asyncio
async def test_a_failing_tool_and_a_failing_workflow(
    tracing: ModelTracer, provider: Provider
) -> None:
    """The agent hands the failure to its model, so the tool alone has the error."""

    def weather(city: str) -> str:
        """Report the weather."""
        raise KeyError("lost")

    class Failing(Workflow):
        @step
        async def fail(self, ev: StartEvent) -> StopEvent:
            raise ValueError("no luck")

    agent = FunctionAgent(tools=[weather], llm=OpenAIModel(url=provider.url))
    with tracing.session():
        await agent.run("Weather in Oslo?")
        with pytest.raises(ValueError, match="no luck"):
            await Failing().run()

    assert sorted(tracing.failed) == ["Failing.fail", "Failing.run", "weather"]
    assert tracing.event("weather")["error"] == "KeyError: 'lost'"


@pytest.mark.asyncio
async def test_a_workflow_that_waits_for_a_person_has_not_failed(tracing: ModelTracer) -> None:
    """LlamaIndex leaves the step by an exception, and runs it again with the answer."""

    class Asking(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
            question = InputRequiredEvent(prefix="ok?")
            reply = await ctx.wait_for_event(HumanResponseEvent, waiter_event=question)
            return StopEvent(result=reply.response)

    with tracing.session():
        running = Asking().run(topic="rain")
        async for event in running.stream_events():
            if isinstance(event, InputRequiredEvent):
                running.ctx.send_event(HumanResponseEvent(response="yes"))
        assert await running == "yes"

    assert tracing.paths == ["Asking.run", "Asking.run/Asking.ask", "Asking.run/Asking.ask"]
    assert tracing.failed == []
    assert tracing.event("Asking.run")["inputs"] == {"topic": "rain"}
    assert tracing.event("Asking.run")["outputs"] == {"result": "yes"}


@pytest.mark.asyncio
async def test_a_query_engine_holds_its_retrieval_and_its_model(
    tracing: ModelTracer, provider: Provider
) -> None:
    """Query, retrieval with documents, vectors and the answer, sync and async."""
    index = VectorStoreIndex.from_documents(
        [Document(text="rain in Oslo")], embed_model=MockEmbedding(embed_dim=3)
    )
    engine = index.as_query_engine(llm=OpenAIModel(url=provider.url))
    tracing.records.clear()
    with tracing.session():
        engine.query("Weather?")
        await engine.aquery("Weather?")

    for prefix in ("", "a"):
        query = f"RetrieverQueryEngine.{prefix}query"
        retriever = f"VectorIndexRetriever.{prefix}retrieve"
        assert f"{query}/{retriever}/embeddings MockEmbedding" in tracing.paths
        (answer,) = (p for p in tracing.paths if p.startswith(f"{query}/") and "chat m" in p)
        assert answer.count("get_response") == 1
        assert tracing.event(query)["inputs"] == {"query": "Weather?"}
        assert tracing.event(query)["outputs"]["response"] == TEXT
        tool = tracing.event(retriever)
        assert (tool["event_type"], tool["inputs"]) == ("retriever", {"query": "Weather?"})
        assert tool["outputs"]["documents"][0]["content"] == "rain in Oslo"
    vectors = next(event for event in tracing.models if event["config"]["type"] == "embeddings")
    assert vectors["inputs"] == {"input": "Weather?"}
    assert vectors["outputs"] == {"embeddings": 1, "dimensions": 3}
    assert tracing.tokens == 38


@pytest.mark.asyncio
async def test_a_chat_engine_that_streams(tracing: ModelTracer, provider: Provider) -> None:
    """LlamaIndex reads the stream in a thread or task of its own; the answer is one event."""
    engine = SummaryIndex.from_documents([Document(text="rain in Oslo")]).as_chat_engine(
        chat_mode="context", llm=OpenAIModel(url=provider.url)
    )
    with tracing.session():
        assert "".join(engine.stream_chat("Weather?").response_gen) == TEXT
        reply = await engine.astream_chat("Weather?")
        assert "".join([token async for token in reply.async_response_gen()]) == TEXT

    assert [event["outputs"]["content"] for event in tracing.models] == [TEXT] * 2
    assert tracing.tokens == 38
    assert tracing.failed == []


@pytest.mark.asyncio
async def test_a_tool_that_the_program_calls(tracing: ModelTracer) -> None:
    """Without an agent; an async call of a sync function is one event."""
    tool = FunctionTool.from_defaults(lambda city: f"rain in {city}", name="weather")
    with tracing.session():
        tool.call(city="Oslo")
        await tool.acall(city="Oslo")

    assert tracing.paths == ["weather", "weather"]


def test_models_without_an_sdk_below(tracing: ModelTracer) -> None:
    """LlamaIndex's own mock of a model."""
    with tracing.session():
        MockLLM().chat(QUESTION)
        list(MockLLM().stream_complete("Hello?"))

    assert [event["event_name"] for event in tracing.models] == ["chat MockLLM"] * 2
    assert "Hello?" in tracing.models[0]["outputs"]["content"]


@pytest.mark.asyncio
async def test_the_integration_for_openai(tracing: ModelTracer, provider: Provider) -> None:
    """The real package, where it is installed: it needs an older openai."""
    module = pytest.importorskip("llama_index.llms.openai", reason="it needs an older openai")
    model = module.OpenAI(model="gpt-4o", api_base=f"{provider.url}/v1", api_key="k")
    with tracing.session():
        model.chat(QUESTION)
        list(model.stream_chat(QUESTION))
        [part async for part in await model.astream_complete("Hello?")]

    assert tracing.paths == ["chat gpt-4o"] * 3
    assert [event["outputs"]["content"] for event in tracing.models] == [TEXT] * 3


def test_uninstrument_puts_the_streams_back(provider: Provider) -> None:
    """Afterwards the library's classes are as they were, and classes to come are left alone."""
    from llama_index_instrumentation import DispatcherSpanMixin

    before = vars(OpenAIModel)["stream_chat"], vars(DispatcherSpanMixin)["__init_subclass__"]
    with instrumented("llama-index"):
        assert vars(OpenAIModel)["stream_chat"] is not before[0]

    assert (
        vars(OpenAIModel)["stream_chat"],
        vars(DispatcherSpanMixin)["__init_subclass__"],
    ) == before
