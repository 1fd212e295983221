"""Anthropic's messages."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from support.answers.case import Case, Part, Wire, pieces, shared

__all__ = ["CASES", "WIRE", "chunks", "composed"]

USAGE = {
    "input_tokens": 2,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 2,
    "output_tokens": 4,
}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "cache_read_tokens": 5,
    "cache_write_tokens": 2,
}
ENDED = {**COUNTS, "finish_reason": "end_turn", "response_id": "m1", "response_model": "m-1"}
CALLED = {**COUNTS, "finish_reason": "tool_use"}


def reply(*blocks: Any, **fields: Any) -> dict[str, Any]:
    """A whole message."""
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": list(blocks),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def text(words: str, **fields: Any) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": words, **fields}


def use(call_id: str, name: str, given: Any, **fields: Any) -> dict[str, Any]:
    """A tool's use, as the API has it."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": given, **fields}


def called(call_id: str, name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    """A tool's use, as events have it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **fields}


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


CITATION = {
    "type": "char_location",
    "cited_text": "c",
    "document_index": 0,
    "document_title": "T",
    "start_char_index": 0,
    "end_char_index": 1,
}
SECOND_CITATION = {**CITATION, "cited_text": "d", "start_char_index": 1}
THINKING = {"type": "thinking", "thinking": "let me think", "signature": "sig1"}
REDACTED = {"type": "redacted_thinking", "data": "sealed"}
SEARCH = {
    "type": "server_tool_use",
    "id": "s1",
    "name": "web_search",
    "input": {"query": "latest news"},
}
HITS = {
    "type": "web_search_tool_result",
    "tool_use_id": "s1",
    "content": [{"type": "web_search_result", "url": "u", "title": "T", "encrypted_content": "e"}],
}
MCP = {
    "type": "mcp_tool_use",
    "id": "mcp1",
    "name": "lookup",
    "server_name": "docs",
    "input": {"q": "x"},
}
MCP_RESULT = {
    "type": "mcp_tool_result",
    "tool_use_id": "mcp1",
    "is_error": False,
    "content": [{"type": "text", "text": "found"}],
}
CODE_RESULT = {
    "type": "bash_code_execution_tool_result",
    "tool_use_id": "s1",
    "content": {
        "type": "bash_code_execution_result",
        "stdout": "1",
        "stderr": "",
        "return_code": 0,
    },
}
NEW_KIND = {"type": "hologram", "voxels": "v"}
CASES = {
    "text": Case(reply(text("Hello there")), said(content="Hello there"), ENDED),
    "an empty answer": Case(reply(), said(), ENDED),
    "thinking": Case(
        reply(THINKING, REDACTED, text("Four")),
        said(
            content="Four",
            reasoning="let me think",
            reasoning_signatures=["sig1"],
            blocks=[REDACTED],
        ),
        ENDED,
    ),
    "citations": Case(
        reply(text("cd", citations=[CITATION, SECOND_CITATION]), text(" e")),
        said(content="cd e", citations=[CITATION, SECOND_CITATION]),
        ENDED,
    ),
    "two tool uses": Case(
        reply(
            text("Let me look"),
            use("t1", "weather", {"city": "Oslo", "days": 2}),
            use("t2", "time", {}),
            stop_reason="tool_use",
        ),
        said(
            content="Let me look",
            tool_calls=[
                called("t1", "weather", {"city": "Oslo", "days": 2}),
                called("t2", "time", {}),
            ],
        ),
        CALLED,
    ),
    "a tool use by a program": Case(
        reply(
            use("t1", "weather", {"city": "Oslo"}, caller={"type": "direct"}),
            stop_reason="tool_use",
        ),
        said(tool_calls=[called("t1", "weather", {"city": "Oslo"}, caller={"type": "direct"})]),
        CALLED,
    ),
    "tools that ran at the provider": Case(
        reply(SEARCH, HITS, MCP, MCP_RESULT, CODE_RESULT, text("Done")),
        said(content="Done", blocks=[SEARCH, HITS, MCP, MCP_RESULT, CODE_RESULT]),
        ENDED,
    ),
    "a block of a new kind": Case(
        reply(NEW_KIND, text("Hi")), said(content="Hi", blocks=[NEW_KIND]), ENDED
    ),
    "a text with a new field": Case(
        reply(text("Hi", mood="glad")),
        said(content="Hi", blocks=[text("Hi", mood="glad")]),
        ENDED,
    ),
    "a delta with a new field": Case(
        None,
        said(content="Hi", blocks=[text("Hi", mood="glad")]),
        ENDED,
        [
            {"type": "message_start", "message": reply(stop_reason=None)},
            {"type": "content_block_start", "index": 0, "content_block": text("")},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "Hi", "mood": "glad"},
            },
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
            {"type": "message_stop"},
        ],
    ),
    "unknown fields": Case(
        reply(text("Hi"), container={"id": "c1", "expires_at": "2027-01-01T00:00:00Z"}, mood=1),
        said(
            content="Hi", container={"id": "c1", "expires_at": "2027-01-01T00:00:00+00:00"}, mood=1
        ),
        ENDED,
    ),
    "refusal": Case(
        reply(
            text("I"),
            stop_reason="refusal",
            stop_details={"type": "refusal", "category": "cyber", "explanation": "no"},
        ),
        said(
            content="I",
            stop_details={"type": "refusal", "category": "cyber", "explanation": "no"},
        ),
        {**COUNTS, "finish_reason": "refusal"},
    ),
    "stop sequence": Case(
        reply(text("Hi"), stop_reason="stop_sequence", stop_sequence="END"),
        said(content="Hi"),
        {**COUNTS, "finish_reason": "stop_sequence", "stop_sequence": "END"},
    ),
    "a compaction, which the message's own counts leave out": Case(
        reply(
            text("Hi"),
            usage={
                **USAGE,
                "iterations": [
                    {"type": "message", **USAGE},
                    {
                        "type": "compaction",
                        "input_tokens": 100,
                        "cache_read_input_tokens": 20,
                        "cache_creation_input_tokens": 0,
                        "output_tokens": 30,
                    },
                ],
            },
        ),
        said(content="Hi"),
        {
            "prompt_tokens": 129,
            "completion_tokens": 34,
            "total_tokens": 163,
            "cache_read_tokens": 25,
            "cache_write_tokens": 2,
        },
    ),
    "thinking tokens and lifetimes of the cache": Case(
        reply(
            text("Hi"),
            usage={
                **USAGE,
                "output_tokens_details": {"thinking_tokens": 3},
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 1,
                    "ephemeral_1h_input_tokens": 1,
                },
                "server_tool_use": {"web_search_requests": 2},
                "service_tier": "priority",
            },
        ),
        said(content="Hi"),
        {
            **ENDED,
            "service_tier": "priority",
            "reasoning_tokens": 3,
            "cache_write_5m_tokens": 1,
            "cache_write_1h_tokens": 1,
            "web_search_requests": 2,
        },
    ),
}

START = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}
TOP_FIELDS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The events of a whole message."""
    usage = {**whole["usage"], "output_tokens": 1}
    opening = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }
    events: list[Any] = [{"type": "message_start", "message": {**whole, **opening}}]
    for index, block in enumerate(whole["content"]):
        events += [{"index": index, **event} for event in _block_events(block, size)]
        events.append({"type": "content_block_stop", "index": index})
    delta = {
        name: whole[name]
        for name in ("stop_reason", "stop_sequence", "stop_details")
        if name in whole
    }
    events.append({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    return [*events, {"type": "message_stop"}]


def _block_events(block: Any, size: int) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    empty = dict(START.get(kind, {}))
    if kind.endswith("tool_use"):
        empty["input"] = {}
    if "citations" in block:
        empty["citations"] = []
    yield {"type": "content_block_start", "content_block": {**block, **empty}}

    def delta(delta_kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "delta": {"type": delta_kind, **fields}}

    if kind == "text":
        for piece in pieces(block["text"], size):
            yield delta("text_delta", text=piece)
        for citation in block.get("citations", ()):
            yield delta("citations_delta", citation=citation)
    elif kind == "thinking":
        for piece in pieces(block["thinking"], size):
            yield delta("thinking_delta", thinking=piece)
        yield delta("signature_delta", signature=block["signature"])
    elif kind.endswith("tool_use"):
        yield delta("input_json_delta", partial_json="")
        for piece in pieces(json.dumps(block["input"]) if block["input"] else "", size):
            yield delta("input_json_delta", partial_json=piece)


def framed(stream: list[Any]) -> list[bytes]:
    """Server-sent events with their names."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in stream]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the anthropic SDK."""
    import anthropic

    make = functools.partial(anthropic.Anthropic, base_url=url, api_key="k", max_retries=0)
    result: Any = shared("anthropic", url, make).messages.create(
        model="ok",
        max_tokens=9,
        messages=[{"role": "user", "content": "Hello?"}],
        stream=stream,
    )
    if stream:
        with result:
            yield from result


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    blocks = []
    for number, part in enumerate(parts):
        if part.kind == "text":
            blocks.append(text(part.text))
        elif part.kind == "reasoning":
            blocks.append({"type": "thinking", "thinking": part.text, "signature": f"s{number}"})
        else:
            blocks.append(use(f"t{number}", part.name, {"q": part.text}))
    return reply(*blocks)


WIRE = Wire("anthropic", "anthropic", CASES, chunks, framed, ask)
