"""Claude's agent with a tool of this program: agent, tool and model calls in one session.

    pip install claude-agent-sdk sessiontrace && python examples/claude_agent.py
    sessiontrace sessions show last

Claude's command line needs ANTHROPIC_API_KEY. Without one a stand-in in this file answers.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import sessiontrace as st

st.init(service="claude-example")
st.instrument()

from claude_agent_sdk import (  # noqa: E402
    ClaudeAgentOptions,
    ResultMessage,
    Transport,
    create_sdk_mcp_server,
    query,
    tool,
)


@tool("weather", "The weather in a city today", {"city": str})
async def weather(args: dict[str, Any]) -> dict[str, Any]:
    with st.span("look at the thermometer"):
        text = f"It is 21 degrees and sunny in {args['city']}."
    return {"content": [{"type": "text", "text": text}]}


class StandIn(Transport):
    """Speaks as Claude's command line does: it asks for the tool once, then sums up."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._requests = [
            {"id": 1, "method": "initialize", "params": _CLIENT},
            {"method": "notifications/initialized"},
            {
                "id": 2,
                "method": "tools/call",
                "params": {"name": "weather", "arguments": {"city": "Lisbon"}},
            },
        ]

    async def connect(self) -> None:
        """Nothing is started."""

    async def write(self, data: str) -> None:
        """What the SDK sends: a control request, the prompt, or the answer to our request."""
        message = json.loads(data)
        if message["type"] == "control_request":
            response = {"subtype": "success", "request_id": message["request_id"], "response": {}}
            self._send("control_response", response=response)
        elif message["type"] == "user":
            name = "mcp__city__weather"
            use = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"city": "Lisbon"}}
            self._say("msg_1", use)
            self._ask()
        elif self._requests:
            self._ask()
        else:
            result = message["response"]["response"]["mcp_response"]["result"]
            block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": result["content"]}
            self._send("user", message={"role": "user", "content": [block]})
            self._say("msg_2", {"type": "text", "text": "Pack sunglasses."})
            self._finish()

    def _ask(self) -> None:
        request = {"jsonrpc": "2.0", **self._requests.pop(0)}
        body = {"subtype": "mcp_message", "server_name": "city", "message": request}
        self._send("control_request", request_id=str(len(self._requests)), request=body)

    def _say(self, name: str, block: dict[str, Any]) -> None:
        usage = {"input_tokens": 40, "output_tokens": 12}
        message = {"id": name, "role": "assistant", "model": "stand-in", "content": [block]}
        self._send("assistant", message={**message, "usage": usage})

    def _finish(self) -> None:
        usage = {"input_tokens": 80, "output_tokens": 24}
        times = {"duration_ms": 9, "duration_api_ms": 8, "num_turns": 2, "is_error": False}
        costs = {"usage": usage, "total_cost_usd": 0.002}
        self._send("result", subtype="success", result="Pack sunglasses.", **times, **costs)
        self._messages.put_nowait(None)

    def _send(self, kind: str, **fields: Any) -> None:
        self._messages.put_nowait({"type": kind, "session_id": "stand-in", **fields})

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the SDK receives."""
        while (message := await self._messages.get()) is not None:
            yield message

    async def close(self) -> None:
        """Nothing is open."""

    def is_ready(self) -> bool:
        """Always."""
        return True

    async def end_input(self) -> None:
        """Nothing has to be closed."""


_CLIENT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "stand-in", "version": "1"},
}


async def main() -> None:
    options = ClaudeAgentOptions(
        mcp_servers={"city": create_sdk_mcp_server("city", tools=[weather])},
        allowed_tools=["mcp__city__weather"],
    )
    transport = None if "ANTHROPIC_API_KEY" in os.environ else StandIn()
    async with st.session("trip to Lisbon"):
        prompt = "What shall I pack for Lisbon?"
        async for message in query(prompt=prompt, options=options, transport=transport):
            if isinstance(message, ResultMessage):
                print(message.result)


if __name__ == "__main__":
    asyncio.run(main())
