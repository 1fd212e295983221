"""A small OpenAI-compatible model server that answers by itself, for the examples.

It knows one conversation about travelling: it asks for the tools it is offered, then sums up what
they gave. ``async with model_server() as base_url:`` serves it on a free local port.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def model_server() -> AsyncIterator[str]:
    """Serve ``/v1/chat/completions`` and give the base URL, such as http://127.0.0.1:4711/v1."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _complete)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()


async def _complete(request: web.Request) -> web.Response:
    body = await request.json()
    messages, tools = body["messages"], body.get("tools", [])
    await asyncio.sleep(0.08)  # a model thinks
    seen = [message["content"] for message in messages if message["role"] == "tool"]
    message = _ask(messages, tools) if tools and not seen else _sum_up(seen)
    prompt_tokens = sum(len(str(message["content"] or "")) // 4 for message in messages)
    completion_tokens = len(json.dumps(message)) // 4
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
        }
    )


def _ask(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    city = messages[-1]["content"].rstrip("?.! ").rsplit(" ", 1)[-1]
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": tool["function"]["name"],
                "arguments": json.dumps({"city": city}),
            },
        }
        for number, tool in enumerate(tools)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _sum_up(seen: list[str]) -> dict[str, Any]:
    return {"role": "assistant", "content": "Here is what I found: " + " ".join(seen)}
