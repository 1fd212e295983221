"""What the Anthropic-compatible API answers: messages, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["ROUTES", "TEXT"]

TEXT = "Hello from the stub"

_TOOL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}


def messages(body: dict[str, Any]) -> Any:
    """``/v1/messages``; its usage counts the cache beside the input, as the real API's does."""
    if body.get("stream"):
        return _stream(body)
    tools = body["model"] == "tools"
    content = [
        {"type": "thinking", "thinking": "Let me see", "signature": "s"},
        {"type": "text", "text": TEXT, "citations": None},
    ]
    return {
        **_head(body),
        "content": [_TOOL] if tools else content,
        "stop_reason": "tool_use" if tools else "end_turn",
        "usage": {**_usage(), "output_tokens": 7},
    }


def _head(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{body['model']}-2026",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(),
    }


def _usage() -> dict[str, Any]:
    return {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 2,
    }


def _stream(body: dict[str, Any]) -> Iterator[str]:
    yield _event({"type": "message_start", "message": _head(body)})
    if body["model"] == "tools":
        yield _event(
            {"type": "content_block_start", "index": 0, "content_block": {**_TOOL, "input": {}}}
        )
        for piece in ('{"city":', ' "Oslo"}'):
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
    else:
        block = {"type": "text", "text": ""}
        yield _event({"type": "content_block_start", "index": 0, "content_block": block})
        yield _event({"type": "ping"})
        for word in TEXT.split(" "):
            delta = {"type": "text_delta", "text": word if word == "Hello" else f" {word}"}
            yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _event({"type": "content_block_stop", "index": 0})
    for tokens in (4, 7):  # cumulative: the last one counts
        yield _event(
            {
                "type": "message_delta",
                "delta": {
                    "stop_reason": "tool_use" if body["model"] == "tools" else "end_turn",
                    "stop_sequence": None,
                },
                "usage": {"output_tokens": tokens},
            }
        )
    if body["model"] != "unfinished":
        yield _event({"type": "message_stop"})


def _event(value: dict[str, Any]) -> str:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n"


ROUTES = {"/v1/messages": messages}
