"""MCP: what a client asks for and what a server does, as events of one tree."""

from __future__ import annotations

from typing import Any

import pytest
from support.instrumented import instrumented

pytest.importorskip("mcp.server.mcpserver", reason="the contract group is not installed")

from mcp.client.client import Client
from mcp.server.mcpserver import Context, MCPServer

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def stub_server() -> tuple[MCPServer, list[Any]]:
    """A server with a tool, a resource and a prompt; the contexts that the tool was given."""
    server, metas = MCPServer("stub"), []

    @server.tool()
    def weather(city: str, ctx: Context) -> str:
        """Report the weather."""
        metas.append(dict(ctx.request_context.meta or {}))
        if city == "nowhere":
            raise ValueError("no such city")
        return f"rain in {city}"

    @server.resource("note://{name}")
    def note(name: str) -> str:
        return f"note {name}"

    @server.prompt()
    def greet(who: str) -> str:
        return f"Hi {who}"

    return server, metas


@pytest.mark.asyncio
async def test_what_a_client_asks_for() -> None:
    """A tool that answers and one that fails, a resource and a prompt; listings have no event."""
    server, _ = stub_server()
    with instrumented("mcp") as tracing:
        with tracing.session():
            async with Client(server) as client:
                good = await client.call_tool("weather", {"city": "Oslo"})
                await client.call_tool("weather", {"city": "nowhere"})
                await client.read_resource("note://a")
                await client.get_prompt("greet", {"who": "Bob"})
                await client.list_tools()
                with pytest.raises(Exception, match="Internal server error"):
                    await client.get_prompt("none", {})

    called, failed, note, greeting, missing = tracing.events
    assert good.content[0].text == "rain in Oslo"
    assert (called["event_type"], called["event_name"]) == ("tool", "weather")
    assert called["inputs"] == {"city": "Oslo"}
    assert called["outputs"]["result"] == "rain in Oslo"
    assert failed["error"].startswith("ToolError")
    assert (note["event_type"], note["event_name"]) == ("tool", "read_resource note://a")
    assert note["outputs"]["contents"][0]["text"] == "note a"
    assert (greeting["event_type"], greeting["event_name"]) == ("chain", "get_prompt greet")
    assert greeting["outputs"]["messages"][0]["content"]["text"] == "Hi Bob"
    assert missing["error"] is not None


@pytest.mark.asyncio
async def test_a_call_on_both_sides_is_one_tool() -> None:
    """The server's part is a chain below the client's tool, through the context in ``_meta``."""
    server, _ = stub_server()
    with instrumented("mcp", "mcp-server") as tracing:
        with tracing.session():
            async with Client(server) as client:
                with tracing.span("agent"):
                    await client.call_tool("weather", {"city": "Oslo"})
                    await client.read_resource("note://a")

    assert tracing.paths == [
        "agent",
        "agent/read_resource note://a",
        "agent/read_resource note://a/read_resource note://a",
        "agent/weather",
        "agent/weather/weather",
    ]
    assert [
        event["event_type"] for event in tracing.events if event["event_name"] == "weather"
    ] == [
        "chain",
        "tool",
    ]
    assert len({event["session_id"] for event in tracing.events}) == 1


@pytest.mark.asyncio
async def test_the_trace_context_goes_out() -> None:
    """In ``_meta``, beside what the program puts there; a context of the program's own stays."""
    server, metas = stub_server()
    with instrumented("mcp") as tracing:
        async with Client(server) as client:
            with tracing.session():
                await client.call_tool("weather", {"city": "Oslo"}, meta={"mine": 1})
                await client.call_tool("weather", {"city": "Oslo"}, meta={"traceparent": FOREIGN})
    async with Client(server) as client:
        await client.call_tool("weather", {"city": "Oslo"})

    ours, theirs, after = metas
    event = tracing.events[0]
    assert ours["mine"] == 1
    assert ours["traceparent"].split("-")[1] == event["session_id"].replace("-", "")
    assert event["event_id"] in ours["tracestate"]
    assert theirs["traceparent"] == FOREIGN
    assert "tracestate" not in theirs
    assert "traceparent" not in after


@pytest.mark.asyncio
async def test_a_server_alone() -> None:
    """A stranger's trace is a session of its own; so is a call without any context."""
    server, _ = stub_server()
    with instrumented("mcp-server", waiting=True) as tracing:
        async with Client(server) as client:
            await client.call_tool("weather", {"city": "Oslo"}, meta={"traceparent": FOREIGN})
            await client.call_tool("weather", {"city": "nowhere"})
            await client.get_prompt("greet", {"who": "Bob"})

    first, second, prompt = tracing.events
    assert first["session_id"].replace("-", "") == FOREIGN.split("-")[1]
    assert len({event["session_id"] for event in tracing.events}) == 3
    assert (first["event_type"], first["outputs"]["result"]) == ("tool", "rain in Oslo")
    assert second["error"].startswith("ToolError")
    assert prompt["event_type"] == "chain"


@pytest.mark.asyncio
async def test_uninstrument_puts_the_methods_back() -> None:
    """Afterwards neither side is recorded, on connections that are open too."""
    server, _ = stub_server()
    with instrumented("mcp", "mcp-server") as tracing:
        client = Client(server)
        await client.__aenter__()
    await client.call_tool("weather", {"city": "Oslo"})
    await client.__aexit__(None, None, None)

    assert tracing.events == []
