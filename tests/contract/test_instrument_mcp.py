"""MCP: what a client asks for and what a server does, as events of one tree."""

from __future__ import annotations

import pytest
from support.instrumented import instrumented

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


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
