"""Chat completions: of OpenAI, and of the many providers that answer in its form."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from support.answers.case import KINDS, Case, Part, Wire, pieces, shared

__all__ = ["WIRE", "chunks", "composed", "framed", "openai_client"]


def reply(message: Any, *, finish_reason: str = "stop", **fields: Any) -> dict[str, Any]:
    """A whole answer with one choice."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return {**ENVELOPE, "choices": [choice], "usage": usage, **fields}


ENVELOPE = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-1"}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
STOPPED = {**COUNTS, "finish_reason": "stop", "response_id": "c1", "response_model": "m-1"}
CALLED = {**COUNTS, "finish_reason": "tool_calls"}


def call(call_id: Any, name: str, arguments: str) -> dict[str, Any]:
    """A tool call, as the API has it and as events have it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


CITATION = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 4, "title": "T", "url": "https://u"},
}
TWO_CALLS = [call("t1", "weather", '{"city":"Oslo"}'), call("t2", "time", "{}")]
CUSTOM = {"id": "t3", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}
EXECUTED = {"index": 0, "type": "search", "arguments": '{"q":"x"}', "output": "hits"}
DETAIL = {"type": "reasoning.text", "text": "think", "format": "f", "index": 0}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72], "top_logprobs": []}]}
MODERATION = {
    "input": {"type": "error", "code": "unavailable", "message": "later"},
    "output": {"type": "error", "code": "unavailable", "message": "later"},
}
CASES = {
    "text": Case(reply(said(content="Hello there")), said(content="Hello there"), STOPPED),
    "empty text": Case(reply(said(content="")), said(), STOPPED),
    "refusal": Case(reply(said(refusal="I can't")), said(refusal="I can't"), STOPPED),
    "two tool calls": Case(
        reply(said(tool_calls=TWO_CALLS), finish_reason="tool_calls"),
        said(tool_calls=TWO_CALLS),
        CALLED,
    ),
    "custom tool": Case(
        reply(said(tool_calls=[CUSTOM]), finish_reason="tool_calls"),
        said(tool_calls=[call("t3", "shell", "ls -l")]),
        CALLED,
    ),
    "text beside a call": Case(
        reply(said(content="Let me look", tool_calls=TWO_CALLS), finish_reason="tool_calls"),
        said(content="Let me look", tool_calls=TWO_CALLS),
        CALLED,
    ),
    "legacy function": Case(
        reply(said(function_call={"name": "f", "arguments": '{"a":1}'}), finish_reason="stop"),
        said(tool_calls=[call(None, "f", '{"a":1}')]),
        STOPPED,
    ),
    "calls that are all numbered 0": Case(
        None,
        said(tool_calls=TWO_CALLS),
        {"finish_reason": "tool_calls"},
        [
            {**ENVELOPE, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            for delta, reason in (
                ({"role": "assistant", "tool_calls": [{**TWO_CALLS[0], "index": 0}]}, None),
                ({"tool_calls": [{**TWO_CALLS[1], "index": 0}]}, None),
                ({}, "tool_calls"),
            )
        ],
    ),
    "Azure's last chunk": Case(
        None,
        said(content="Hi"),
        STOPPED,
        [
            {**ENVELOPE, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {**ENVELOPE, "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {**ENVELOPE, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**ENVELOPE, "id": "", "model": "", "choices": [], "usage": COUNTS},
        ],
    ),
    "moderation beside a piece of text": Case(
        None,
        said(content="Hi you", moderation=MODERATION),
        STOPPED,
        [
            {
                **ENVELOPE,
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}],
            },
            {
                **ENVELOPE,
                "choices": [{"index": 0, "delta": {"content": " you"}}],
                "moderation": MODERATION,
            },
            {**ENVELOPE, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**ENVELOPE, "choices": [], "usage": COUNTS},
        ],
    ),
    "reasoning of DeepSeek": Case(
        reply(said(content="4", reasoning_content="two and two")),
        said(content="4", reasoning="two and two"),
        STOPPED,
    ),
    "reasoning of OpenRouter": Case(
        reply(said(content="4", reasoning="think", reasoning_details=[DETAIL])),
        said(content="4", reasoning="think", reasoning_details=[DETAIL]),
        STOPPED,
    ),
    "annotations": Case(
        reply(said(content="News", annotations=[CITATION])),
        said(content="News", annotations=[CITATION]),
        STOPPED,
    ),
    "audio": Case(
        reply(
            said(audio={"id": "a1", "data": "UklGRg==", "transcript": "Hi you", "expires_at": 2})
        ),
        said(audio={"id": "a1", "data": "UklGRg==", "transcript": "Hi you", "expires_at": 2}),
        STOPPED,
    ),
    "audio in pieces that were encoded one by one": Case(
        None,
        said(audio={"id": "a1", "data": "UklGRg==", "transcript": "Hi"}),
        {},
        [
            {**ENVELOPE, "choices": [{"index": 0, "delta": {"audio": {"id": "a1", **audio}}}]}
            for audio in ({"data": "Ug=="}, {"data": "SUY="}, {"data": "Rg==", "transcript": "Hi"})
        ],
    ),
    "images": Case(
        reply(said(content="Here", images=[{"type": "image_url", "image_url": {"url": "u"}}])),
        said(content="Here", images=[{"type": "image_url", "image_url": {"url": "u"}}]),
        STOPPED,
    ),
    "tools that ran at the provider": Case(
        reply(said(content="Done", executed_tools=[EXECUTED])),
        said(content="Done", executed_tools=[EXECUTED]),
        STOPPED,
    ),
    "two choices": Case(
        {
            **reply(said()),
            "choices": [
                {"index": 0, "message": said(content="Hello"), "finish_reason": "stop"},
                {"index": 1, "message": said(content="Bye"), "finish_reason": "length"},
            ],
        },
        {"choices": [said(content="Hello"), said(content="Bye")]},
        {**COUNTS, "finish_reason": ["stop", "length"]},
    ),
    "logprobs": Case(
        {
            **reply(said()),
            "choices": [
                {
                    "index": 0,
                    "message": said(content="Hi"),
                    "finish_reason": "stop",
                    "logprobs": LOGPROBS,
                }
            ],
        },
        said(content="Hi"),
        STOPPED,
    ),
    "the service tier": Case(
        reply(said(content="Hi"), service_tier="flex"),
        said(content="Hi"),
        {**STOPPED, "service_tier": "flex"},
    ),
    "unknown fields": Case(
        reply(said(content="Hi", mood={"joy": 1}), citations=["https://c"], later="x"),
        said(content="Hi", mood={"joy": 1}, citations=["https://c"], later="x"),
        STOPPED,
    ),
    "a filtered answer": Case(
        {
            **reply(said()),
            "choices": [
                {
                    "index": 0,
                    "message": said(content="Hm"),
                    "finish_reason": "content_filter",
                    "content_filter_results": {"hate": {"filtered": True}},
                }
            ],
        },
        said(content="Hm", content_filter_results={"hate": {"filtered": True}}),
        {**COUNTS, "finish_reason": "content_filter"},
    ),
    "blocks": Case(
        reply(
            said(
                content=[
                    {"type": "thinking", "thinking": [{"type": "text", "text": "two and two"}]},
                    {"type": "text", "text": "four"},
                ]
            )
        ),
        said(content="four", reasoning="two and two"),
        STOPPED,
    ),
    "cached and reasoning tokens": Case(
        reply(
            said(content="Hi"),
            usage={
                **COUNTS,
                "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
        ),
        said(content="Hi"),
        {**STOPPED, "cache_read_tokens": 5, "cache_write_tokens": 2, "reasoning_tokens": 3},
    ),
    "DeepSeek's cache": Case(
        reply(
            said(content="Hi"),
            usage={**COUNTS, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 4},
        ),
        said(content="Hi"),
        {**STOPPED, "cache_read_tokens": 5},
    ),
    "Moonshot's cache": Case(
        reply(said(content="Hi"), usage={**COUNTS, "cached_tokens": 5}),
        said(content="Hi"),
        {**STOPPED, "cache_read_tokens": 5},
    ),
    "Moonshot's counts in a choice": Case(
        None,
        said(content="Hi"),
        {**COUNTS, "finish_reason": "stop"},
        [
            {**ENVELOPE, "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {
                **ENVELOPE,
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": COUNTS}],
            },
        ],
    ),
    "xAI counts reasoning beside the completion": Case(
        reply(
            said(content="Hi"),
            usage={
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 20,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
        ),
        said(content="Hi"),
        {"prompt_tokens": 9, "completion_tokens": 11, "total_tokens": 20, "reasoning_tokens": 7},
    ),
    "Perplexity's cost": Case(
        reply(said(content="Hi"), usage={**COUNTS, "cost": {"total_cost": 0.25}}),
        said(content="Hi"),
        {**STOPPED, "cost": 0.25},
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The stream of a whole answer, as OpenAI sends it with ``include_usage``."""
    envelope = {**ENVELOPE, "object": "chat.completion.chunk", "usage": None}
    stream = [
        {**envelope, "choices": [{"index": choice["index"], "finish_reason": None, **part}]}
        for choice in whole["choices"]
        for part in _parts(choice, size)
    ]
    known = {"id", "object", "created", "model", "choices", "usage"}
    others = {name: value for name, value in whole.items() if name not in known}
    return [*stream, {**envelope, "choices": [], "usage": whole["usage"], **others}]


def _parts(choice: Any, size: int) -> Iterator[dict[str, Any]]:
    """The choices of the chunks of one choice."""
    message = dict(choice["message"])
    yield {"delta": {"role": message.pop("role"), "content": ""}}
    for name in ("reasoning", "reasoning_content", "refusal"):
        for piece in pieces(message.pop(name, None) or "", size):
            yield {"delta": {name: piece}}
    yield from _content(message.pop("content"), size)
    if (audio := message.pop("audio", None)) is not None:
        for piece in pieces(audio["transcript"], size):
            yield {"delta": {"audio": {"id": audio["id"], "transcript": piece}}}
        yield {"delta": {"audio": {name: audio[name] for name in ("data", "expires_at")}}}
    if (legacy := message.pop("function_call", None)) is not None:
        yield {"delta": {"function_call": {"name": legacy["name"], "arguments": ""}}}
        for piece in pieces(legacy["arguments"], size):
            yield {"delta": {"function_call": {"arguments": piece}}}
    for index, tool in enumerate(message.pop("tool_calls", ())):
        kind, field = ("custom", "input") if tool["type"] == "custom" else ("function", "arguments")
        start = {**tool, "index": index, kind: {**tool[kind], field: ""}}
        yield {"delta": {"tool_calls": [start]}}
        for piece in pieces(tool[kind][field], size):
            yield {"delta": {"tool_calls": [{"index": index, kind: {field: piece}}]}}
    for name, value in message.items():
        yield {"delta": {name: value}}
    ending = {name: choice[name] for name in choice if name not in ("index", "message")}
    yield {"delta": {}, **ending}


def _content(content: Any, size: int) -> Iterator[dict[str, Any]]:
    """The deltas of a text, or of blocks with texts."""
    if content is None or isinstance(content, str):
        for piece in pieces(content or "", size):
            yield {"delta": {"content": piece}}
        return
    for block in content:
        if block["type"] == "thinking":
            for piece in pieces(block["thinking"][0]["text"], size):
                thought = [{"type": "text", "text": piece}]
                yield {"delta": {"content": [{"type": "thinking", "thinking": thought}]}}
        else:
            for piece in pieces(block["text"], size):
                yield {"delta": {"content": piece}}


def framed(stream: list[Any]) -> list[bytes]:
    """Server-sent events without names."""
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in stream] + [b"data: [DONE]\n\n"]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the openai SDK."""
    client = openai_client(url)
    asked: Any = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
    result: Any = client.chat.completions.create(**asked, stream=stream)
    if stream:
        with result:
            yield from result


def openai_client(url: str) -> Any:
    """A client of the openai SDK."""
    import openai

    make = functools.partial(openai.OpenAI, base_url=f"{url}/v1", api_key="k", max_retries=0)
    return shared("openai", url, make)


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    texts = {kind: "".join(part.text for part in parts if part.kind == kind) for kind in KINDS}
    calls = [
        call(f"t{number}", part.name, json.dumps({"q": part.text}))
        for number, part in enumerate(parts)
        if part.kind == "call"
    ]
    optional = {"reasoning": texts["reasoning"], "tool_calls": calls}
    fields = {name: value for name, value in optional.items() if value}
    return reply(said(content=texts["text"] or None, **fields))


WIRE = Wire("openai", "openai", CASES, chunks, framed, ask)
