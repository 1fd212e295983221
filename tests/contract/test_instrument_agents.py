"""OpenAI Agents and MCP: agents, tools and model calls as one tree, each recorded once."""

from __future__ import annotations

from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import serving

from sessiontrace.instrumentation.registry import Instruments

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


def answers(body: dict[str, Any]) -> Any:
    """Asks for the tool first, and answers once it was given the tool's result."""
    has_answer = any(message.get("role") == "tool" for message in body.get("messages", ()))
    return ROUTES["/v1/chat/completions"]({**body, "model": "ok" if has_answer else "tools"})


@pytest.mark.asyncio
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("both", [False, True])
async def test_an_agent_with_a_tool(streamed: bool, both: bool) -> None:
    """Two turns with a tool between them; with the openai SDK instrumented too, nothing doubles."""
    agents = pytest.importorskip("agents", reason="the contract group is not installed")
    import openai

    tracer = ModelTracer()
    instruments = Instruments(tracer)
    names = ("openai-agents", "openai") if both else ("openai-agents",)
    report = instruments.add(names, ())
    assert "openai-agents" in report.active, str(report)
    theirs = agents.tracing.get_trace_provider()._multi_processor._processors

    @agents.function_tool
    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    try:
        with serving({**ROUTES, "/v1/chat/completions": answers}) as stub:
            client = openai.AsyncOpenAI(base_url=f"{stub.url}/v1", api_key="k")
            model = agents.OpenAIChatCompletionsModel(model="m", openai_client=client)
            agent = agents.Agent(name="helper", model=model, tools=[weather])
            with tracer.session():
                if streamed:
                    running = agents.Runner.run_streamed(agent, "Weather in Oslo?")
                    async for _ in running.stream_events():
                        pass
                    result = running.final_output
                else:
                    result = (await agents.Runner.run(agent, "Weather in Oslo?")).final_output
            await client.close()
    finally:
        instruments.remove()

    assert result == TEXT
    assert len(theirs) >= 1
    events = {event["event_id"]: event for event in tracer.events}
    models = [event for event in tracer.events if event["event_type"] == "model"]
    (tool,) = [event for event in tracer.events if event["event_type"] == "tool"]
    assert len(models) == 2
    assert tool["event_name"] == "weather"
    assert "rain in Oslo" in str(tool["outputs"])
    assert "Oslo" in str(tool["inputs"])
    assert models[1]["outputs"]["content"] == TEXT
    assert "Weather in Oslo?" in str(models[0]["inputs"])
    for model_event in models:
        above = events[model_event["parent_id"]]
        assert above["event_type"] == "chain"


@pytest.mark.asyncio
async def test_mcp_tools() -> None:
    """A tool that answers, one that fails, with what went in and came out."""
    pytest.importorskip("mcp", reason="the contract group is not installed")
    from mcp.client.client import Client
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("stub")

    @server.tool()
    def weather(city: str) -> str:
        """Report the weather."""
        if city == "nowhere":
            raise ValueError("no such city")
        return f"rain in {city}"

    with instrumented("mcp") as tracer:
        with tracer.session():
            async with Client(server) as client:
                good = await client.call_tool("weather", {"city": "Oslo"})
                await client.call_tool("weather", {"city": "nowhere"})

    called, failed = tracer.events
    assert good.content[0].text == "rain in Oslo"
    assert called["event_type"] == "tool"
    assert called["event_name"] == "weather"
    assert called["inputs"] == {"city": "Oslo"}
    assert called["outputs"]["result"] == "rain in Oslo"
    assert failed["error"].startswith("ToolError")
