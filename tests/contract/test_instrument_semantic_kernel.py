"""Semantic Kernel: agents, orchestrations, functions and searches, each once."""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
import pytest_asyncio
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import ROUTES, TEXT, tool_call_stream
from support.stubs.provider import Provider, serving

pytest.importorskip("semantic_kernel", reason=f"semantic_kernel {OWN_ENVIRONMENT}")
with warnings.catch_warnings():  # its own models use what pydantic deprecates
    warnings.simplefilter("ignore")
    import semantic_kernel.agents.orchestration.handoffs
    import semantic_kernel.connectors.ai.open_ai
    import semantic_kernel.connectors.in_memory  # noqa: F401

from openai import AsyncOpenAI
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from semantic_kernel import Kernel
from semantic_kernel.agents import (
    ChatCompletionAgent,
    HandoffOrchestration,
    OrchestrationHandoffs,
    SequentialOrchestration,
)
from semantic_kernel.agents.runtime import InProcessRuntime
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.connectors.in_memory import InMemoryCollection
from semantic_kernel.data.vector import VectorStoreField, vectorstoremodel
from semantic_kernel.functions import KernelArguments
from semantic_kernel.functions import kernel_function as function
from semantic_kernel.utils.telemetry.agent_diagnostics import decorators

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
    function = body["tools"][0]["function"]
    cities = [city for city in ("Rome", "nowhere") if city in str(messages)] or ["Oslo"]
    arguments: list[dict[str, str]] = [{"city": city} for city in cities]
    if "city" not in json.dumps(function["parameters"]):
        arguments = [dict.fromkeys(function["parameters"]["properties"], "done")]
    requests = [
        {
            "index": number,
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(entry)},
        }
        for number, entry in enumerate(arguments)
    ]
    if body.get("stream"):
        return tool_call_stream(requests)
    completion = chat({**body, "model": "tools"})
    completion["choices"][0]["message"]["tool_calls"] = requests
    return completion


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


clients: list[AsyncOpenAI] = []


@pytest_asyncio.fixture
async def provider(server: Provider) -> AsyncIterator[Provider]:
    """The server; the clients that a test has made for it are closed in their loop."""
    yield server
    while clients:
        await clients.pop().close()


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("semantic-kernel", "openai") as tracer:
        yield tracer


class Sky:
    """A plugin."""

    @function
    def weather(self, city: str) -> str:
        """Report the weather."""
        if city == "nowhere":
            raise ValueError("boom")
        return f"rain in {city}"


def service_of(provider: Provider, model: str = "m") -> OpenAIChatCompletion:
    client = AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0)
    clients.append(client)
    return OpenAIChatCompletion(ai_model_id=model, async_client=client)


def agent_of(
    provider: Provider, name: str = "forecaster", model: str = "m", **options: Any
) -> ChatCompletionAgent:
    options.setdefault("plugins", [Sky()])
    return ChatCompletionAgent(
        service=service_of(provider, model), name=name, instructions="Be brief.", **options
    )


def tree_of(tracing: ModelTracer, top: str) -> list[str]:
    return [path for path in tracing.paths if path.partition("/")[0] == top]


async def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """A turn with its question and answer; its function and two calls are inside of it."""
    with tracing.session():
        response = await agent_of(provider).get_response(QUESTION)
        with tracing.span("after"):
            pass

    assert str(response) == TEXT
    assert tracing.paths == sorted([*TREE, "after"])
    assert (tracing.tokens, tracing.failed) == (38, [])
    agent, used = tracing.event("forecaster"), tracing.event("weather")
    assert agent["event_type"] == "agent"
    assert agent["inputs"] == {"chat_history": [{"role": "user", "content": QUESTION}]}
    assert agent["outputs"] == {"role": "assistant", "name": "forecaster", "content": TEXT}
    assert agent["metadata"] == {"agent_name": "forecaster"}
    assert (used["event_type"], used["inputs"]) == ("tool", {"city": "Oslo"})
    assert used["outputs"] == {"result": "rain in Oslo"}
    assert used["metadata"] == {"tool_call_id": "call_0"}
    assert used["config"]["plugin"] == "Sky"


@pytest.mark.parametrize("method", ["invoke", "invoke_stream"])
async def test_streams(tracing: ModelTracer, provider: Provider, method: str) -> None:
    """What a reader does between two items is outside; one that stops reading is no failure."""
    with tracing.session():
        async for _ in getattr(agent_of(provider), method)(QUESTION):
            with tracing.span("render"):
                pass
        stream = getattr(agent_of(provider, "closed"), method)(QUESTION)
        await anext(stream)
        await stream.aclose()
        with tracing.span("after"):
            pass

    assert tree_of(tracing, "forecaster") == TREE
    assert tracing.event("forecaster")["outputs"]["content"] == TEXT
    outside = {path for path in tracing.paths if "render" in path or "after" in path}
    assert outside == {"render", "after"}
    assert tracing.event("closed")["metadata"]["stream_end"] == "closed"
    assert tracing.failed == []


async def test_functions_that_fail(tracing: ModelTracer, provider: Provider) -> None:
    """Only the one that failed has an error; the agent goes on with it."""
    with tracing.session():
        await agent_of(provider).get_response("Weather in Rome and nowhere?")

    tools = {
        event["inputs"]["city"]: event
        for event in tracing.events
        if event["event_name"] == "weather"
    }
    assert tools["Rome"]["outputs"] == {"result": "rain in Rome"}
    assert "boom" in tools["nowhere"]["error"]
    assert tracing.failed == ["weather"]


async def test_a_model_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """The call and its agent have the error; what follows has not."""
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            await agent_of(provider, model="status-400").get_response(QUESTION)
        with tracing.span("after"):
            pass

    assert set(tracing.failed) == {"chat status-400", "forecaster"}
    assert "after" in tracing.paths


async def test_prompts_are_chains(tracing: ModelTracer, provider: Provider) -> None:
    """A prompt function has its arguments, its answer and the model's call, also streamed."""
    kernel = Kernel()
    kernel.add_service(service_of(provider))
    prompt = kernel.add_function(
        plugin_name="desk", function_name="report", prompt="Report on {{$city}}."
    )
    with tracing.session():
        await kernel.invoke(prompt, KernelArguments(city="Oslo"))
        async for _ in kernel.invoke_stream(prompt, KernelArguments(city="Rome")):
            with tracing.span("render"):
                pass

    assert {path for path in tracing.paths if path.startswith("report")} == {
        "report",
        "report/chat m",
    }
    first, second = (event for event in tracing.events if event["event_name"] == "report")
    assert (first["event_type"], first["inputs"]) == ("chain", {"city": "Oslo"})
    assert first["outputs"] == second["outputs"] == {"result": TEXT}
    assert "report/render" not in tracing.paths
    assert tracing.failed == []


async def test_a_prompt_that_a_model_calls_is_a_tool(
    tracing: ModelTracer, provider: Provider
) -> None:
    """The call of its own model is inside of it."""
    kernel = Kernel()
    kernel.add_service(service_of(provider))
    kernel.add_function(plugin_name="desk", function_name="report", prompt="Report on {{$topic}}.")
    with tracing.session():
        await agent_of(provider, kernel=kernel, plugins=[]).get_response(QUESTION)

    assert "forecaster/report/chat m" in tracing.paths
    assert tracing.event("report")["event_type"] == "tool"
    assert (len(tracing.models), tracing.failed) == (3, [])


@vectorstoremodel(collection_name="shelf")
class Book(BaseModel):
    """A record of a vector store."""

    id: Annotated[str, VectorStoreField("key")]
    text: Annotated[str, VectorStoreField("data")]
    vector: Annotated[list[float], VectorStoreField("vector", dimensions=2)]


async def test_a_search(tracing: ModelTracer) -> None:
    """A retriever with what the program reads of the results."""
    with tracing.session():
        async with InMemoryCollection(record_type=Book) as shelf:
            await shelf.ensure_collection_exists()
            await shelf.upsert([Book(id="1", text="rain", vector=[1.0, 0.0])])
            results = await shelf.search(vector=[1.0, 0.0], top=1)
            texts = [result.record.text async for result in results.results]

    assert texts == ["rain"]
    search = tracing.event("shelf")
    assert (search["event_type"], search["inputs"]) == ("retriever", {"top": 1, "dimensions": 2})
    (document,) = search["outputs"]["documents"]
    assert document["content"]["text"] == "rain"


async def test_hand_offs(tracing: ModelTracer, provider: Provider) -> None:
    """A function of the agent that hands over; the next agent has a turn of its own."""
    clerk = agent_of(provider, "clerk", description="Greets.", plugins=[])
    expert = agent_of(provider, "expert", description="Knows.", plugins=[])
    handoffs = OrchestrationHandoffs().add("clerk", "expert", "Hand over.")
    orchestration = HandoffOrchestration(members=[clerk, expert], handoffs=handoffs)
    with tracing.session():
        runtime = InProcessRuntime()
        runtime.start()
        result = await orchestration.invoke(QUESTION, runtime)
        await result.get(20)
        await runtime.stop_when_idle()

    paths = set(tracing.paths)
    assert {"HandoffOrchestration/clerk/transfer_to_expert", "HandoffOrchestration/expert"} <= paths
    assert tracing.failed == []


async def test_two_users_of_one_runtime(tracing: ModelTracer, provider: Provider) -> None:
    """Each orchestration is one tree in the session of its own user, with its result."""
    runtime = InProcessRuntime()
    runtime.start()

    async def ask(user: str) -> None:
        async with tracing.session(user=user):
            members = [agent_of(provider, f"{user}-one"), agent_of(provider, f"{user}-two")]
            result = await SequentialOrchestration(members=members).invoke(QUESTION, runtime)
            await result.get(20)

    await asyncio.gather(*(ask(f"user{number}") for number in range(3)))
    await runtime.stop_when_idle()

    by_session: dict[str, set[str]] = {}
    for event in tracing.events:
        by_session.setdefault(event["session_id"], set()).add(event["event_name"])
    for number in range(3):
        names = {f"user{number}-one", f"user{number}-two", "weather", "chat m"}
        assert {*names, "SequentialOrchestration"} in by_session.values()
    tops = {path.partition("/")[0] for path in tracing.paths}
    assert tops == {"SequentialOrchestration"}
    events = [event for event in tracing.events if event["event_name"] == "SequentialOrchestration"]
    assert [event["outputs"]["content"] for event in events] == [TEXT] * 3
    assert tracing.failed == []


@pytest.mark.parametrize("content", [True, False], ids=["with content", "without"])
async def test_beside_the_frameworks_own_spans(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, content: bool
) -> None:
    """A processor of ours on the program's provider records nothing twice."""
    own = TracerProvider()
    tracer = own.get_tracer("semantic_kernel.functions.kernel_function")
    module = sys.modules["semantic_kernel.functions.kernel_function"]
    monkeypatch.setattr(module, "tracer", tracer)
    monkeypatch.setattr(decorators, "tracer", tracer)
    settings = decorators.MODEL_DIAGNOSTICS_SETTINGS
    monkeypatch.setattr(settings, "enable_otel_diagnostics_sensitive", content)
    with instrumented("semantic-kernel", "openai") as tracing:
        processor = SpanProcessor(tracing)
        own.add_span_processor(processor)
        with tracing.session():
            await agent_of(provider).get_response(QUESTION)
        processor.shutdown()

    assert tracing.paths == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])


async def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and agents go on."""
    with instrumented("semantic-kernel") as tracing:
        agent = agent_of(provider)
    with tracing.session():
        assert str(await agent.get_response(QUESTION)) == TEXT

    assert tracing.events == []
