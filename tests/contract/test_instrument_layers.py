"""One event per thing, whoever reports it: every combination of reporters under each framework.

    reporter                                    what it is here
    ------------------------------------------  --------------------------------------------------
    sdk                                         our instrumentor of openai
    framework                                   our instrumentor of the framework
    framework's spans                           OpenInference's, or the framework's own
    sdk's spans                                 OpenInference's of openai

The spans reach us through ``st.otel.SpanProcessor``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected  # noqa: F401
from support.stubs.openai_api import ROUTES
from support.stubs.provider import Provider, serving

from sessiontrace.instrumentation.registry import Instruments
from sessiontrace.otel import SpanProcessor

pytest.importorskip("openai", reason="the contract group is not installed")
pytest.importorskip("openinference.instrumentation.openai", reason="as above")
pytest.importorskip("opentelemetry.sdk", reason="as above")

import openai
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

COMBINATIONS = [
    pytest.param(*states, id="-".join(name for name, on in zip(names, states, strict=True) if on))
    for names in [("sdk", "framework", "framework_spans", "sdk_spans")]
    for states in product([False, True], repeat=4)
    if any(states)
]


def answers(body: dict[str, Any]) -> Any:
    """Asks for the tool first, and answers once it was given the tool's result."""
    answered = any(entry["role"] == "tool" for entry in body["messages"])
    model = "tools" if body.get("tools") and not answered else "ok"
    return ROUTES["/v1/chat/completions"]({**body, "model": model})


@pytest.fixture
def provider() -> Iterator[Provider]:
    """One for each test: langchain-openai keeps an async client for each address for ever."""
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


@contextmanager
def reporting(
    name: str, spans_of: Any, sdk: bool, framework: bool, framework_spans: bool, sdk_spans: bool
) -> Iterator[ModelTracer]:
    """Record with these reporters. ``spans_of(provider)``: the context of the framework's spans."""
    tracing, telemetry = ModelTracer(), TracerProvider()
    telemetry.add_span_processor(SpanProcessor(tracing))  # type: ignore[arg-type]
    instruments = Instruments(tracing)
    with ExitStack() as stack:
        stack.callback(telemetry.shutdown)
        stack.callback(instruments.remove)
        if names := [*(["openai"] if sdk else []), *([name] if framework else [])]:
            instruments.add(tuple(names), ())
        if sdk_spans:
            stack.enter_context(instrumentor(OpenAIInstrumentor(), telemetry))
        if framework_spans:
            stack.enter_context(spans_of(telemetry))
        yield tracing


@contextmanager
def instrumentor(theirs: Any, telemetry: TracerProvider, **options: Any) -> Iterator[None]:
    theirs.instrument(tracer_provider=telemetry, **options)
    try:
        yield
    finally:
        theirs.uninstrument()


def check(tracing: ModelTracer, sees_framework: bool) -> None:
    """Two model calls and one tool, each once; the tree has nothing twice."""
    assert len(tracing.models) == 2
    assert tracing.tokens == 38
    assert tracing.failed == []
    tools = [event["event_name"] for event in tracing.events if event["event_type"] == "tool"]
    assert tools == (["weather"] if sees_framework else [])
    leaves = [path.rpartition("/")[2] for path in tracing.paths]
    agents = [leaf for leaf in leaves if leaf.startswith(("helper", "LangGraph", "FunctionAgent"))]
    assert len(agents) == (1 if sees_framework else 0), tracing.paths


@pytest.mark.asyncio
@pytest.mark.parametrize(("sdk", "framework", "framework_spans", "sdk_spans"), COMBINATIONS)
async def test_langgraph(
    provider: Provider, sdk: bool, framework: bool, framework_spans: bool, sdk_spans: bool
) -> None:
    """Callbacks of LangChain, of OpenInference beside them, and the SDK below."""
    prebuilt = pytest.importorskip("langgraph.prebuilt", reason="the contract group is missing")
    chat_models = pytest.importorskip("langchain_openai")
    theirs = pytest.importorskip("openinference.instrumentation.langchain")

    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    def spans_of(telemetry: TracerProvider) -> Any:
        return instrumentor(theirs.LangChainInstrumentor(), telemetry)

    states = sdk, framework, framework_spans, sdk_spans
    with reporting("langchain", spans_of, *states) as tracing, tracing.session():
        # A client of its own: LangChain's would keep connections of the loops of earlier tests.
        own = openai.DefaultAsyncHttpxClient()
        model = chat_models.ChatOpenAI(
            model="m", base_url=f"{provider.url}/v1", api_key="k", http_async_client=own
        )
        agent = prebuilt.create_react_agent(model, [weather])
        await agent.ainvoke({"messages": [("user", "Weather in Oslo?")]})
        await model.root_async_client.close()

    check(tracing, framework or framework_spans)


@pytest.mark.asyncio
@pytest.mark.parametrize(("sdk", "framework", "framework_spans", "sdk_spans"), COMBINATIONS)
async def test_openai_agents(
    provider: Provider, sdk: bool, framework: bool, framework_spans: bool, sdk_spans: bool
) -> None:
    """Two processors of the same traces, and the SDK below."""
    agents = pytest.importorskip("agents", reason="the contract group is not installed")
    theirs = pytest.importorskip("openinference.instrumentation.openai_agents")

    @agents.function_tool
    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    def spans_of(telemetry: TracerProvider) -> Any:
        return instrumentor(theirs.OpenAIAgentsInstrumentor(), telemetry, exclusive_processor=False)

    states = sdk, framework, framework_spans, sdk_spans
    with reporting("openai-agents", spans_of, *states) as tracing, tracing.session():
        async with openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            model = agents.OpenAIChatCompletionsModel(model="m", openai_client=client)
            agent = agents.Agent(name="helper", model=model, tools=[weather])
            await agents.Runner.run(agent, "Weather in Oslo?")

    check(tracing, framework or framework_spans)


@pytest.mark.asyncio
async def test_a_processor_that_took_the_place_of_ours(provider: Provider) -> None:
    """OpenInference removes the other processors by default: then its spans are the events."""
    agents = pytest.importorskip("agents", reason="the contract group is not installed")
    theirs = pytest.importorskip("openinference.instrumentation.openai_agents")

    def spans_of(telemetry: TracerProvider) -> Any:
        return instrumentor(theirs.OpenAIAgentsInstrumentor(), telemetry)

    with reporting("openai-agents", spans_of, True, True, True, False) as tracing:
        with tracing.session():
            async with openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
                model = agents.OpenAIChatCompletionsModel(model="m", openai_client=client)
                await agents.Runner.run(agents.Agent(name="helper", model=model), "Hello?")

    assert "helper" in [path.rpartition("/")[2] for path in tracing.paths]
    assert len(tracing.models) == 1
    assert tracing.tokens == 19


@pytest.mark.asyncio
@pytest.mark.parametrize(("sdk", "framework", "framework_spans", "sdk_spans"), COMBINATIONS)
async def test_pydantic_ai(
    provider: Provider, sdk: bool, framework: bool, framework_spans: bool, sdk_spans: bool
) -> None:
    """Pydantic AI makes spans itself, for us and for the provider that the program gives it."""
    pydantic_ai = pytest.importorskip("pydantic_ai", reason="the contract group is not installed")
    models = pytest.importorskip("pydantic_ai.models.openai")
    providers = pytest.importorskip("pydantic_ai.providers.openai")
    from pydantic_ai.models.instrumented import InstrumentationSettings

    @contextmanager
    def spans_of(telemetry: TracerProvider) -> Iterator[None]:
        settings = InstrumentationSettings(tracer_provider=telemetry)
        pydantic_ai.Agent.instrument_all(settings)
        try:
            yield
        finally:
            pydantic_ai.Agent.instrument_all(False)

    states = sdk, framework, framework_spans, sdk_spans
    with reporting("pydantic-ai", spans_of, *states) as tracing, tracing.session():
        async with openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            model = models.OpenAIChatModel(
                "m", provider=providers.OpenAIProvider(openai_client=client)
            )
            agent = pydantic_ai.Agent(model, name="helper")

            @agent.tool_plain
            def weather(city: str) -> str:
                """Report the weather."""
                return f"rain in {city}"

            await agent.run("Weather in Oslo?")

    check(tracing, framework or framework_spans)


@pytest.mark.asyncio
@pytest.mark.parametrize(("sdk", "framework", "framework_spans", "sdk_spans"), COMBINATIONS)
async def test_llama_index(
    provider: Provider, sdk: bool, framework: bool, framework_spans: bool, sdk_spans: bool
) -> None:
    """Two handlers of the same dispatcher, and the SDK below, whose streams are read later."""
    pytest.importorskip("llama_index.core", reason="the contract group is not installed")
    theirs = pytest.importorskip("openinference.instrumentation.llama_index")
    from llama_index.core.agent.workflow import FunctionAgent
    from support.llama_index_model import OpenAIModel

    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    def spans_of(telemetry: TracerProvider) -> Any:
        return instrumentor(theirs.LlamaIndexInstrumentor(), telemetry)

    states = sdk, framework, framework_spans, sdk_spans
    with reporting("llama-index", spans_of, *states) as tracing, tracing.session():
        agent = FunctionAgent(tools=[weather], llm=OpenAIModel(url=provider.url))
        await agent.run("Weather in Oslo?")

    check(tracing, framework or framework_spans)
