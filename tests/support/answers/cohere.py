"""Cohere's chat, second version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from support.answers.case import Case, Part, Wire, pieces, shared

__all__ = ["WIRE", "composed"]

USAGE = {
    "billed_units": {"input_tokens": 4, "output_tokens": 4},
    "tokens": {"input_tokens": 9, "output_tokens": 4},
    "cached_tokens": 5,
}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "cache_read_tokens": 5,
}
COMPLETE = {**COUNTS, "finish_reason": "COMPLETE", "response_id": "c1"}


def reply(*blocks: Any, **fields: Any) -> dict[str, Any]:
    """A whole answer; ``message`` adds to its message."""
    message = {"role": "assistant", "content": list(blocks), **fields.pop("message", {})}
    return {"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": USAGE, **fields}


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call, as the API and events have it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


def text(words: str) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": words}


CITATION = {
    "start": 0,
    "end": 5,
    "text": "Hello",
    "sources": [{"type": "document", "id": "d1", "document": {"title": "T"}}],
    "type": "TEXT_CONTENT",
}
LOGPROBS = [{"text": "Hi", "token_ids": [1], "logprobs": [-0.1]}]
CALLS = [call("t1", "weather", '{"city":"Oslo"}'), call("t2", "time", "{}")]
CASES = {
    "text": Case(reply(text("Hello there")), said(content="Hello there"), COMPLETE),
    "thinking": Case(
        reply({"type": "thinking", "thinking": "let me think"}, text("Four")),
        said(content="Four", reasoning="let me think"),
        COMPLETE,
    ),
    "tool calls after a plan": Case(
        reply(
            finish_reason="TOOL_CALL",
            message={"tool_calls": CALLS, "tool_plan": "First the weather"},
        ),
        said(tool_calls=CALLS, tool_plan="First the weather"),
        {**COUNTS, "finish_reason": "TOOL_CALL"},
    ),
    "citations": Case(
        reply(text("Hello there"), message={"citations": [CITATION, {**CITATION, "start": 6}]}),
        said(content="Hello there", citations=[CITATION, {**CITATION, "start": 6}]),
        COMPLETE,
    ),
    "logprobs": Case(reply(text("Hi"), logprobs=LOGPROBS), said(content="Hi"), COMPLETE),
    "unknown fields": Case(
        reply(text("Hi"), message={"mood": {"joy": 1}}, later="x"),
        said(content="Hi", mood={"joy": 1}, later="x"),
        COMPLETE,
        [],
    ),
    "no counts but what is billed": Case(
        reply(text("Hi"), usage={"billed_units": {"input_tokens": 4, "output_tokens": 4}}),
        said(content="Hi"),
        {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8},
    ),
    "an error at the end": Case(
        None,
        said(content="Hel"),
        {"finish_reason": "ERROR", "response_error": "out of order"},
        [
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {
                "type": "content-delta",
                "index": 0,
                "delta": {"message": {"content": {"text": "Hel"}}},
            },
            {
                "type": "message-end",
                "delta": {"error": "out of order", "finish_reason": "ERROR"},
            },
        ],
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The events of a whole answer."""
    return [
        {"type": kind, **fields}
        for kind, fields in [
            ("message-start", {"id": whole["id"], "delta": {"message": {"role": "assistant"}}}),
            *_message_events(whole["message"], whole.get("logprobs") or (), size),
            (
                "message-end",
                {"delta": {"finish_reason": whole["finish_reason"], "usage": whole["usage"]}},
            ),
        ]
    ]


def _message_events(message: Any, logprobs: Any, size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    def delta(**fields: Any) -> dict[str, Any]:
        return {"delta": {"message": fields}}

    for piece in pieces(message.get("tool_plan") or "", size):
        yield "tool-plan-delta", delta(tool_plan=piece)
    for index, tool in enumerate(message.get("tool_calls") or ()):
        start = {**tool, "function": {"name": tool["function"]["name"], "arguments": ""}}
        yield "tool-call-start", {"index": index, **delta(tool_calls=start)}
        for piece in pieces(tool["function"]["arguments"], size):
            arguments = {"function": {"arguments": piece}}
            yield "tool-call-delta", {"index": index, **delta(tool_calls=arguments)}
        yield "tool-call-end", {"index": index}
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        yield "content-start", {"index": index, **delta(content={"type": kind, kind: ""})}
        for piece, item in zip(pieces(block[kind], size), [*logprobs, *[None] * 99], strict=False):
            fields = {"index": index, **delta(content={kind: piece})}
            yield "content-delta", fields if item is None else {**fields, "logprobs": item}
        yield "content-end", {"index": index}
    for index, citation in enumerate(message.get("citations") or ()):
        yield "citation-start", {"index": index, **delta(citations=citation)}
        yield "citation-end", {"index": index}


def framed(stream: list[Any]) -> list[bytes]:
    """Server-sent events with their names."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in stream]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the cohere SDK."""
    import cohere
    import httpx

    http = shared("httpx", url, httpx.Client)
    client = cohere.ClientV2(api_key="k", base_url=url, httpx_client=http)
    asked: Any = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
    if stream:
        yield from client.chat_stream(**asked)
    else:
        client.chat(**asked)


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    calls = [
        call(f"t{number}", part.name, json.dumps({"q": part.text}))
        for number, part in enumerate(parts)
        if part.kind == "call"
    ]
    blocks = [
        text(part.text) if part.kind == "text" else {"type": "thinking", "thinking": part.text}
        for part in parts
        if part.kind != "call"
    ]
    return reply(*blocks, message={"tool_calls": calls} if calls else {})


WIRE = Wire("cohere", "cohere", CASES, chunks, framed, ask)
