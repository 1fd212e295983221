"""smolagents: agents and their tools as a tree, with the model calls that openai's SDK makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.stubs.openai_api import ROUTES
from support.stubs.provider import Provider, serving

pytest.importorskip("smolagents", reason="the contract group is not installed")

from smolagents import CodeAgent, OpenAIModel, ToolCallingAgent, tool

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


def answers(body: dict[str, Any]) -> Any:
    """Asks for the tool, by a call or by code, and then for the final answer."""
    seen = "rain in Oslo" in str(body["messages"]) or "boom" in str(body["messages"])
    model = body["model"] if body["model"].startswith("status") else "tools"
    completion = ROUTES["/v1/chat/completions"]({**body, "model": model, "stream": False})
    message = completion["choices"][0]["message"]
    if not body.get("tools"):
        code = 'final_answer("rain")' if seen else 'print(weather(city="Oslo"))'
        message.update(tool_calls=None, content=f"Thought: x\n<code>\n{code}\n</code>")
    elif seen:
        arguments = json.dumps({"answer": "rain"})
        function = {"name": "final_answer", "arguments": arguments}
        message["tool_calls"] = [{**message["tool_calls"][0], "function": function}]
    return completion


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("smolagents", "openai") as tracer:
        yield tracer


def agent_of(kind: Any, provider: Provider, tools: list[Any], **options: Any) -> Any:
    model = OpenAIModel("m", api_base=f"{provider.url}/v1", api_key="k")
    if kind is CodeAgent:  # no thread of its own: the tests do not carry spans into threads
        options["executor_kwargs"] = {"timeout_seconds": None}
    return kind(tools=tools, model=model, verbosity_level=0, **options)


@tool
def weather(city: str) -> str:
    """Report the weather.

    Args:
        city: the city
    """
    if city == "nowhere":
        raise ValueError("boom")
    return f"rain in {city}"


@pytest.mark.parametrize("kind", [ToolCallingAgent, CodeAgent])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent(tracing: ModelTracer, provider: Provider, kind: Any, streamed: bool) -> None:
    """Two model calls and the tool below the agent; between its steps the reader is outside."""
    agent = agent_of(kind, provider, [weather])
    with tracing.session():
        if streamed:
            for _ in agent.run("Weather?", stream=True):
                with tracing.span("render"):
                    pass
        else:
            assert agent.run("Weather?") == "rain"
        with tracing.span("after"):
            pass

    name = kind.__name__
    paths = [path for path in tracing.paths if path != "render"]
    assert paths == [name, f"{name}/chat m", f"{name}/chat m", f"{name}/weather", "after"]
    assert tracing.tokens == 38
    assert tracing.failed == []
    tool_event, run = tracing.event("weather"), tracing.event(name)
    assert run["metadata"]["agent_name"] == name
    assert run["event_type"] == "agent"
    assert (tool_event["event_type"], tool_event["inputs"]) == ("tool", {"city": "Oslo"})
    assert tool_event["outputs"] == {"result": "rain in Oslo"}
    assert (run["inputs"], run["outputs"]) == ({"task": "Weather?"}, {"result": "rain"})


def test_a_managed_agent_and_a_closed_stream(tracing: ModelTracer, provider: Provider) -> None:
    """An agent that another one calls is inside; a reader that stops is no error."""
    agent = agent_of(ToolCallingAgent, provider, [weather])
    with tracing.session():
        with tracing.span("outer"):
            agent.run("Weather?")
        steps = agent.run("Weather?", stream=True)
        next(steps)
        steps.close()

    assert "outer/ToolCallingAgent/weather" in tracing.paths
    closed = [event for event in tracing.events if event["event_name"] == "ToolCallingAgent"][-1]
    assert closed["metadata"]["stream_end"] == "closed"
    assert tracing.failed == []


def test_a_failing_tool(tracing: ModelTracer) -> None:
    """Called by the program itself; afterwards nothing is recorded."""
    with tracing.session(), pytest.raises(ValueError, match="boom"):
        weather("nowhere")

    assert tracing.event("weather")["inputs"] == {"city": "nowhere"}
    assert tracing.failed == ["weather"]
