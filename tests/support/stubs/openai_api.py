"""What an OpenAI-compatible API answers: chat completions, responses, embeddings, completions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["ROUTES", "TEXT", "TOOL_FIRST", "tool_call_stream"]

TEXT = "Hello from the stub"

_CHAT_USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
}


def chat(body: dict[str, Any]) -> Any:
    """``/chat/completions``, whole or streamed."""
    if body.get("stream"):
        return _chat_stream(body)
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    if body.get("response_format"):
        message["content"] = '{"answer": 42}'
    reason = "stop"
    if body["model"] == "tools":
        message, reason = (
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            "tool_calls",
        )
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{body['model']}-2026",
        "choices": [{**choice, "index": number} for number in range(body.get("n") or 1)],
        "usage": _CHAT_USAGE,
    }


def _chat_stream(body: dict[str, Any]) -> Iterator[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _data(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": f"{body['model']}-2026",
                "choices": [choice],
            }
        )

    yield chunk({"role": "assistant", "content": ""})
    if body["model"] == "tools":
        yield chunk(
            {
                "tool_calls": [
                    {"index": 0, **_CALL, "function": {"name": "weather", "arguments": ""}}
                ]
            }
        )
        for piece in ('{"city":', '"Oslo"}'):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        yield chunk({}, "tool_calls")
    else:
        for word in TEXT.split(" "):
            yield chunk({"content": word if word == "Hello" else f" {word}"})
        yield chunk({}, "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _data(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": f"{body['model']}-2026",
                "choices": [],
                "usage": _CHAT_USAGE,
            }
        )
    yield "data: [DONE]\n\n"


def tool_call_stream(requests: list[dict[str, Any]]) -> Iterator[str]:
    """A streamed completion of these calls of tools, each whole in one chunk, with its usage."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-2026"}
    usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
    for choices, counts in (
        ([{"index": 0, "delta": {"role": "assistant", "tool_calls": requests}}], None),
        ([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], None),
        ([], usage),
    ):
        yield f"data: {json.dumps({**base, 'choices': choices, 'usage': counts})}\n\n"
    yield "data: [DONE]\n\n"


def _data(value: dict[str, Any]) -> str:
    kind = value.get("type")
    event = f"event: {kind}\n" if kind else ""
    return f"{event}data: {json.dumps(value)}\n\n"


def responses(body: dict[str, Any]) -> Any:
    """``/responses``, whole or streamed."""
    if body.get("stream"):
        return _response_stream(body)
    return _response(body, "completed")


def _response(body: dict[str, Any], status: str) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
    }
    call = {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city":"Oslo"}',
        "status": "completed",
    }
    finished = status != "in_progress"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": f"{body['model']}-2026",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": ([call] if body["model"] == "tools" else [message]) if finished else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 5},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 19,
        }
        if finished
        else None,
    }


def _response_stream(body: dict[str, Any]) -> Iterator[str]:
    start = _response(body, "in_progress")
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield _data({"type": "response.created", "response": start, "sequence_number": 0})
    yield _data(
        {
            "type": "response.output_item.added",
            "item": {**item, "content": []},
            "output_index": 0,
            "sequence_number": 1,
        }
    )
    yield _data(
        {"type": "response.content_part.added", **place, "part": part, "sequence_number": 2}
    )
    for number, word in enumerate(TEXT.split(" ")):
        yield _data(
            {
                "type": "response.output_text.delta",
                **place,
                "delta": word if word == "Hello" else f" {word}",
                "logprobs": [],
                "sequence_number": 3 + number,
            }
        )
    end = _response(body, "completed")
    yield _data({"type": "response.completed", "response": end, "sequence_number": 9})


def embeddings(body: dict[str, Any]) -> Any:
    """``/embeddings``."""
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vectors = [
        {"object": "embedding", "index": number, "embedding": [0.1, 0.2, 0.3]}
        for number in range(len(texts))
    ]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return {"object": "list", "model": body["model"], "data": vectors, "usage": usage}


def completions(body: dict[str, Any]) -> Any:
    """``/completions``, the old text completions."""
    choice = {"index": 0, "text": TEXT, "finish_reason": "stop", "logprobs": None}
    common = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    if body.get("stream"):
        return iter([_data({**common, "choices": [choice]}), "data: [DONE]\n\n"])
    return {**common, "choices": [choice], "usage": _CHAT_USAGE}


ROUTES = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/embeddings": embeddings,
    "/v1/completions": completions,
    "/v1/moderations": lambda body: {"id": "m", "model": "x", "results": []},
    "/v1/unheard": lambda body: {},
    "/openai/v1/chat/completions": chat,
    "/openai/deployments/ok/chat/completions": chat,
}


def tool_first(body: dict[str, Any]) -> Any:
    """Asks for the tool first, and answers once it was given the tool's result.

    The models "m" and "ok" do so; any other model does what its name says, see ``provider``.
    """
    answered = any(entry["role"] == "tool" for entry in body["messages"])
    if body["model"] not in ("m", "ok"):
        return chat(body)
    return chat({**body, "model": "ok" if answered or not body.get("tools") else "tools"})


TOOL_FIRST = {**ROUTES, "/v1/chat/completions": tool_first}
"""``ROUTES``, with ``tool_first`` for chats."""
