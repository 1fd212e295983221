"""Google ADK: its own spans become agents, tools and model calls, with the content they lack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.provider import Provider, serving

pytest.importorskip("google.adk", reason=f"google.adk {OWN_ENVIRONMENT}")

from google.adk.agents import LlmAgent, ParallelAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.adk.telemetry import tracing as adk_tracing
from google.genai import types

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

TEXT = "Hello from the stub"
CALL = "assistant/generate_content gemini-ok"
TREE = ["", "assistant", CALL, CALL, "assistant/weather"]
"""Inside of the run, which before 2.13 has a name of its own."""
USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 7, "totalTokenCount": 19}


def parts_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Calls a tool for each city of the question, or the agent to hand over to; then answers."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    tools = [
        declaration["name"]
        for tool in body.get("tools", ())
        for declaration in tool.get("functionDeclarations", ())
    ]
    is_boss = "boss" in str(body.get("systemInstruction")).partition("internal name")[2][:20]
    if any("functionResponse" in part for part in parts) and not is_boss:
        return [{"text": TEXT}]
    if is_boss:
        arguments = {"agent_name": "helper"}
        return [{"functionCall": {"name": "transfer_to_agent", "args": arguments, "id": "call_1"}}]
    if "weather" not in tools:
        return [{"text": TEXT}]
    cities = [city for city in ("Oslo", "Rome", "nowhere") if city in str(parts)] or ["Oslo"]
    return [
        {"functionCall": {"name": "weather", "args": {"city": city}, "id": f"call_{city}"}}
        for city in cities
    ]


def answer(body: dict[str, Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": parts_of(body)}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": USAGE,
        "modelVersion": "ok-2026",
    }


def stream(body: dict[str, Any]) -> Iterator[str]:
    parts = parts_of(body)
    chunks = [{"text": piece} for piece in ("Hello ", "from the ", "stub")]
    if "text" not in parts[0]:
        chunks = parts
    for number, part in enumerate(chunks):
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
        chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": "ok-2026"}
        if number == len(chunks) - 1:
            candidate["finishReason"] = "STOP"
            chunk["usageMetadata"] = USAGE
        yield f"data: {json.dumps(chunk)}\n\n"


def refuse(body: dict[str, Any]) -> dict[str, Any]:
    raise web.HTTPBadRequest(text='{"error": {"message": "no luck", "code": 400}}')


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    models = "/v1beta/models"
    routes = {
        f"{models}/gemini-ok:generateContent": answer,
        f"{models}/gemini-ok:streamGenerateContent": stream,
        f"{models}/gemini-bad:generateContent": refuse,
    }
    with serving(routes) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_GEMINI_BASE_URL", running.url)
        patch.setenv("GOOGLE_API_KEY", "any")
        yield running


@pytest.fixture(params=[("google-adk", "google-genai"), ("google-adk",)], ids=["both", "alone"])
def tracing(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    """With the instrumentor of the SDK below, and without."""
    with instrumented(*request.param) as tracer:
        yield tracer


def weather(city: str) -> str:
    """Report the weather."""
    if city == "nowhere":
        raise ValueError("boom")
    return f"rain in {city}"


def agent_of(name: str = "assistant", **options: Any) -> Any:
    options.setdefault("model", "gemini-ok")
    options.setdefault("tools", [weather])
    return LlmAgent(name=name, instruction="Report the weather.", **options)


async def events_of(agent: Any, text: str = "Weather?", **options: Any) -> Any:
    """The events of one run."""
    runner = InMemoryRunner(agent, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="ada")
    message = types.Content(role="user", parts=[types.Part(text=text)])
    return runner.run_async(user_id="ada", session_id=session.id, new_message=message, **options)


async def run(agent: Any, text: str = "Weather?", **options: Any) -> None:
    async for _ in await events_of(agent, text, **options):
        pass


def ask(tracing: ModelTracer, agent: Any, text: str = "Weather?", **options: Any) -> None:
    with tracing.session():
        asyncio.run(run(agent, text, **options))


def inside(tracing: ModelTracer) -> list[str]:
    """The paths of the events without the run at their top; the run itself is empty."""
    return sorted(path.partition("/")[2] for path in tracing.paths)


def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """The run, its agent, two model calls and the tool, with what each got and answered."""
    ask(tracing, agent_of())

    assert inside(tracing) == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])
    assert tracing.models[0]["inputs"]["chat_history"][-1] == {
        "role": "user",
        "content": "Weather?",
    }
    assert tracing.models[1]["outputs"]["content"] == TEXT
    tool = tracing.event("weather")
    assert (tool["event_type"], tool["inputs"]) == ("tool", {"city": "Oslo"})
    assert tool["outputs"] == {"result": "rain in Oslo"}
    assert tool["metadata"]["tool_call_id"] == "call_Oslo"
    for step in tracing.events:
        if step["event_name"] in ("assistant", "invocation"):
            assert step["inputs"]["chat_history"][-1]["content"] == "Weather?"
            assert step["outputs"] == {"role": "assistant", "content": TEXT}


def test_a_streamed_answer(tracing: ModelTracer, provider: Provider) -> None:
    """The chunks are one call with one text and the tokens of its last chunk."""
    ask(tracing, agent_of(), run_config=RunConfig(streaming_mode=StreamingMode.SSE))

    assert inside(tracing) == TREE
    assert (tracing.tokens, tracing.failed) == (38, [])
    assert tracing.models[1]["outputs"]["content"] == TEXT
    assert tracing.models[0]["outputs"]["tool_calls"][0]["function"]["name"] == "weather"


def test_parallel_tools_of_which_one_fails(tracing: ModelTracer, provider: Provider) -> None:
    """Each has its own arguments and result; the error is the failed one's, and the run's."""
    with tracing.session(), pytest.raises(ValueError, match="boom"):
        asyncio.run(run(agent_of(), "Weather in Oslo, Rome and nowhere?"))

    tools = [event for event in tracing.events if event["event_name"] == "weather"]
    by_city = {event["inputs"]["city"]: event for event in tools}
    assert by_city["Oslo"].get("outputs") in ({"result": "rain in Oslo"}, None)
    assert "boom" in by_city["nowhere"]["error"]
    assert all(event.get("error") is None for event in tracing.models)


def test_a_failing_model(tracing: ModelTracer, provider: Provider) -> None:
    """The call has its inputs and the error, and so have the agent and the run around it."""
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            asyncio.run(run(agent_of(model="gemini-bad")))
        with tracing.span("after"):
            pass

    names = ["assistant", "generate_content gemini-bad"]
    assert sorted({*tracing.failed} - {"invocation"}) == names
    assert tracing.model["inputs"]["chat_history"][-1]["content"] == "Weather?"
    assert "after" in tracing.paths


def test_a_hand_over_and_agents_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """The agent that takes over is inside; two that run at once are siblings."""
    helper = agent_of("helper", description="helps", tools=[])
    ask(tracing, agent_of("boss", tools=[], sub_agents=[helper]))
    twins = [agent_of("one", tools=[]), agent_of("two", tools=[])]
    ask(tracing, ParallelAgent(name="both", sub_agents=twins))

    names = {path.rsplit("/", 1)[-1] for path in tracing.paths}
    assert {"transfer_to_agent", "helper", "one", "two"} <= names
    assert {f"both/{name}/generate_content gemini-ok" for name in ("one", "two")} <= {
        *inside(tracing)
    }
    assert len(tracing.models) == 4
    assert (tracing.tokens, tracing.failed) == (4 * 19, [])


def test_readers_are_outside(tracing: ModelTracer, provider: Provider) -> None:
    """Two runs read in turn are two trees; one that is closed early ends without an error."""

    async def read() -> None:
        running = [await events_of(agent_of(name)) for name in ("first", "second")]
        while running:
            for events in list(running):
                try:
                    await events.__anext__()
                except StopAsyncIteration:
                    running.remove(events)
                with tracing.span("render"):
                    pass
        closed = await events_of(agent_of("closed"))
        await closed.__anext__()
        await closed.aclose()
        with tracing.span("after"):
            pass

    with tracing.session():
        asyncio.run(read())

    for name in ("first", "second"):
        tree = [path.replace("assistant", name) for path in TREE if path]
        assert [path for path in inside(tracing) if path.startswith(name)] == tree
    outside = {path for path in tracing.paths if "render" in path or "after" in path}
    assert outside == {"render", "after"}
    assert "closed" in inside(tracing)
    assert tracing.failed == []


def test_two_users_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """Each session has the one tree of its own user."""

    async def ask_as(user: str) -> None:
        async with tracing.session(user=user):
            await run(agent_of())

    async def all_of_them() -> None:
        await asyncio.gather(*(ask_as(f"user{number}") for number in range(4)))

    asyncio.run(all_of_them())

    by_session: dict[str, int] = {}
    for event in tracing.models:
        by_session[event["session_id"]] = by_session.get(event["session_id"], 0) + 1
    assert list(by_session.values()) == [2, 2, 2, 2]
    assert tracing.failed == []


def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and the framework has its own tracer back."""
    with instrumented("google-adk") as tracing:
        patched = adk_tracing.tracer
    ask(tracing, agent_of())

    assert tracing.events == []
    assert adk_tracing.tracer is not patched
