"""Haystack: pipelines, agents and components as a tree, beside a tracer of the program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.stubs.openai_api import TEXT, TOOL_FIRST
from support.stubs.provider import Provider, serving

pytest.importorskip("haystack", reason="the contract group is not installed")

from haystack import Document, Pipeline, tracing
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.components.embedders import OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tools import tool
from haystack.utils import Secret

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(TOOL_FIRST) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["alone", "with-openai"])
def recorded(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    with instrumented("haystack", *(["openai"] if request.param else [])) as tracer:
        yield tracer


def generator(provider: Provider, model: str = "m") -> OpenAIChatGenerator:
    return OpenAIChatGenerator(
        api_key=Secret.from_token("k"),
        model=model,
        api_base_url=f"{provider.url}/v1",
        max_retries=0,
    )


def test_an_agent(recorded: ModelTracer, provider: Provider) -> None:
    """Its steps, two model calls and the tool with its arguments, each once."""

    @tool
    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    with recorded.session():
        agent = Agent(chat_generator=generator(provider), tools=[weather])
        agent.run(messages=[ChatMessage.from_user("Weather in Oslo?")])

    names = [path.split("/chat ")[0] for path in recorded.paths]
    assert names == [
        "agent.run",
        "agent.run/step 0",
        "agent.run/step 0",
        "agent.run/step 0/weather",
        "agent.run/step 1",
        "agent.run/step 1",
    ]
    assert len(recorded.models) == 2
    assert recorded.tokens == 38
    assert recorded.failed == []
    assert recorded.event("weather")["event_type"] == "tool"
    assert recorded.event("agent.run")["metadata"]["agent_name"] == "Agent"
    assert recorded.event("agent.run")["event_type"] == "agent"
    assert recorded.event("weather")["inputs"] == {"city": "Oslo"}
    first, last = recorded.models
    assert first["inputs"]["chat_history"] == [{"role": "user", "content": "Weather in Oslo?"}]
    assert first["outputs"]["tool_calls"][0]["function"]["name"] == "weather"
    assert last["inputs"]["chat_history"][-1]["tool_call_id"] == "call_1"
    assert last["outputs"]["content"] == TEXT


@pytest.mark.asyncio
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_pipeline(recorded: ModelTracer, provider: Provider, is_async: bool) -> None:
    """Components below the pipeline: a retriever is a tool, a generator a model event."""
    store = InMemoryDocumentStore()
    store.write_documents([Document(content="rain in Oslo")])
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store))
    prompt = ChatPromptBuilder([ChatMessage.from_user("{{documents[0].content}}: {{question}}")])
    pipeline.add_component("prompt", prompt)
    pipeline.add_component("llm", generator(provider))
    pipeline.connect("retriever.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "llm.messages")
    data = {"retriever": {"query": "rain"}, "prompt": {"question": "Weather?"}}
    with recorded.session():
        if is_async:
            await pipeline.run_async(data)
        else:
            pipeline.run(data)

    (run,) = [path for path in recorded.paths if "/" not in path]
    assert {f"{run}/retriever", f"{run}/prompt"} < set(recorded.paths)
    assert recorded.model["inputs"]["chat_history"][0]["content"] == "rain in Oslo: Weather?"
    assert recorded.tokens == 19
    retriever = recorded.event("retriever")
    assert (retriever["event_type"], retriever["inputs"]) == ("retriever", {"query": "rain"})
    assert retriever["outputs"]["documents"][0]["content"] == "rain in Oslo"


def test_an_embedder_and_a_failing_model(recorded: ModelTracer, provider: Provider) -> None:
    """Vectors are a model event; a model that fails keeps its inputs and fails the pipeline."""
    embedder = OpenAITextEmbedder(
        api_key=Secret.from_token("k"), model="v", api_base_url=f"{provider.url}/v1"
    )
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    failing = Pipeline()
    failing.add_component("llm", generator(provider, "status-400"))
    with recorded.session():
        pipeline.run({"embedder": {"text": "rain"}})
        with pytest.raises(Exception, match="no luck"):
            failing.run({"llm": {"messages": [ChatMessage.from_user("Hello?")]}})

    vectors, failed = recorded.models
    assert vectors["event_type"] == "embedding"
    assert (vectors["inputs"], vectors["outputs"]) == ({"text": "rain"}, {"embeddings": 1})
    assert vectors["metadata"]["prompt_tokens"] == 4
    assert failed["inputs"]["chat_history"] == [{"role": "user", "content": "Hello?"}]
    assert "no luck" in failed["error"]
    assert len(recorded.failed) == 2


def test_the_programs_own_tracer_goes_on(provider: Provider) -> None:
    """It gets the operations, their tags and its own spans as parents."""
    spans: list[tuple[str, Any]] = []

    class TheirSpan(tracing.Span):
        def set_tag(self, key: str, value: Any) -> None:
            spans.append((key, value))

    class TheirTracer(tracing.Tracer):
        @contextlib.contextmanager
        def trace(
            self, operation_name: str, tags: Any = None, parent_span: Any = None
        ) -> Iterator[tracing.Span]:
            assert parent_span is None or isinstance(parent_span, TheirSpan)
            spans.append((operation_name, parent_span is not None))
            yield TheirSpan()

        def current_span(self) -> None:
            return None

    pipeline = Pipeline()
    pipeline.add_component("llm", generator(provider))
    tracing.enable_tracing(TheirTracer())
    try:
        with instrumented("haystack") as recorded, recorded.session():
            pipeline.run({"llm": {"messages": [ChatMessage.from_user("Hello?")]}})
        assert ("haystack.component.run", True) in spans
        assert ("haystack.component.visits", 1) in spans
        assert "haystack.component.input" not in dict(spans)  # content tags are off
        assert recorded.model["outputs"]["content"] == TEXT
        events = len(recorded.events)
        pipeline.run({"llm": {"messages": [ChatMessage.from_user("Hello?")]}})
        assert len(recorded.events) == events
    finally:
        tracing.disable_tracing()
