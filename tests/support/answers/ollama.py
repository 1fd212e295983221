"""Ollama's chat and generate."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from support.answers.case import KINDS, Case, Part, Wire, pieces, shared

__all__ = ["WIRE", "composed"]

ENVELOPE = {"model": "m-1", "created_at": "2026-01-01T00:00:00Z"}
STOPPED = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "finish_reason": "stop",
    "response_model": "m-1",
}


def reply(message: Any, **fields: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        **ENVELOPE,
        "message": message,
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 9,
        "eval_count": 4,
        "total_duration": 5,
        **fields,
    }


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


def call(name: str, arguments: Any) -> dict[str, Any]:
    """A tool call, as the API has it."""
    return {"function": {"name": name, "arguments": arguments}}


def called(name: str, arguments: Any) -> dict[str, Any]:
    """A tool call, as events have it."""
    return {"id": None, "type": "function", **call(name, arguments)}


CASES = {
    "text": Case(reply(said(content="Hello there")), said(content="Hello there"), STOPPED),
    "thinking": Case(
        reply(said(content="Four", thinking="let me think")),
        said(content="Four", reasoning="let me think"),
        STOPPED,
    ),
    "two tool calls": Case(
        reply(said(content="", tool_calls=[call("weather", {"city": "Oslo"}), call("time", {})])),
        said(tool_calls=[called("weather", {"city": "Oslo"}), called("time", {})]),
        STOPPED,
    ),
    "logprobs": Case(
        reply(said(content="Hi"), logprobs=[{"token": "Hi", "logprob": -0.1}]),
        said(content="Hi"),
        STOPPED,
    ),
    "a limit": Case(
        reply(said(content="Hel"), done_reason="length"),
        said(content="Hel"),
        {**STOPPED, "finish_reason": "length"},
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The lines of a whole answer."""
    message = whole["message"]
    deltas = [
        {"content": "", "thinking": piece} for piece in pieces(message.get("thinking", ""), size)
    ]
    deltas += [{"content": piece} for piece in pieces(message["content"] or "", size)]
    deltas += [{"content": "", "tool_calls": [call]} for call in message.get("tool_calls", ())]
    stream = [
        {**ENVELOPE, "message": {"role": "assistant", **delta}, "done": False} for delta in deltas
    ]
    if "logprobs" in whole:
        stream[0]["logprobs"] = whole["logprobs"]
    ending = {name: value for name, value in whole.items() if name != "logprobs"}
    return [*stream, {**ending, "message": {"role": "assistant", "content": ""}}]


def framed(stream: list[Any]) -> list[bytes]:
    """Lines of JSON."""
    return [f"{json.dumps(chunk)}\n".encode() for chunk in stream]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the ollama SDK."""
    import ollama

    client = shared("ollama", url, functools.partial(ollama.Client, host=url))
    asked: Any = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
    result = client.chat(**asked, stream=stream)
    if stream:
        yield from result


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    texts = {kind: "".join(part.text for part in parts if part.kind == kind) for kind in KINDS}
    calls = [call(part.name, {"q": part.text}) for part in parts if part.kind == "call"]
    optional = {"thinking": texts["reasoning"], "tool_calls": calls}
    fields = {name: value for name, value in optional.items() if value}
    return reply(said(content=texts["text"], **fields))


WIRE = Wire("ollama", "ollama", CASES, chunks, framed, ask)
