"""Bedrock's Converse."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from support.answers.case import Case, Part, Wire, pieces, shared
from support.stubs.other_apis import aws_frame

__all__ = ["USAGE", "WIRE", "called", "chunks", "client_of", "composed", "said"]

USAGE = {
    "inputTokens": 2,
    "cacheReadInputTokens": 5,
    "cacheWriteInputTokens": 2,
    "outputTokens": 4,
    "totalTokens": 13,
}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "cache_read_tokens": 5,
    "cache_write_tokens": 2,
}
ENDED = {**COUNTS, "finish_reason": "end_turn"}


def reply(*blocks: Any, **fields: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": "end_turn",
        "usage": USAGE,
        "metrics": {"latencyMs": 5},
        **fields,
    }


def use(call_id: str, name: str, given: Any, **fields: Any) -> dict[str, Any]:
    """A tool's use, as the API has it."""
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": given, **fields}}


def called(call_id: str, name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    """A tool's use, as events have it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **fields}


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


REASONING = {"reasoningContent": {"reasoningText": {"text": "let me think", "signature": "sig1"}}}
CITATION = {"title": "T", "source": "s", "location": {"web": {"url": "u"}}}
CITED = {"citationsContent": {"content": [{"text": "cited words"}], "citations": [CITATION]}}
RESULT = {
    "toolResult": {
        "toolUseId": "s1",
        "status": "success",
        "type": "nova_grounding_result",
        "content": [{"text": "hits"}],
    }
}
CASES = {
    "text": Case(reply({"text": "Hello there"}), said(content="Hello there"), ENDED),
    "reasoning": Case(
        reply(REASONING, {"text": "Four"}),
        said(content="Four", reasoning="let me think", reasoning_signatures=["sig1"]),
        ENDED,
    ),
    "redacted reasoning": Case(
        reply({"reasoningContent": {"redactedContent": "c2VhbGVk"}}, {"text": "Four"}),
        said(content="Four", reasoning_signatures=["sealed"]),
        ENDED,
    ),
    "two tool uses": Case(
        reply(
            {"text": "Let me look"},
            use("t1", "weather", {"city": "Oslo"}),
            use("t2", "time", {}),
            stopReason="tool_use",
        ),
        said(
            content="Let me look",
            tool_calls=[called("t1", "weather", {"city": "Oslo"}), called("t2", "time", {})],
        ),
        {**COUNTS, "finish_reason": "tool_use"},
    ),
    "a tool that ran at the provider": Case(
        reply(
            use("s1", "nova_grounding", {"q": "x"}, type="server_tool_use"), RESULT, {"text": "Hi"}
        ),
        said(
            content="Hi",
            blocks=[RESULT],
            tool_calls=[called("s1", "nova_grounding", {"q": "x"}, type="server_tool_use")],
        ),
        ENDED,
    ),
    "citations": Case(
        reply({"text": "He said "}, CITED),
        said(content="He said cited words", citations=[CITATION]),
        ENDED,
    ),
    "an image": Case(
        reply({"text": "Here"}, {"image": {"format": "png", "source": {"bytes": "iVBORw0K"}}}),
        said(
            content="Here",
            blocks=[{"image": {"format": "png", "source": {"bytes": "<6 bytes: 89504e470d0a>"}}}],
        ),
        ENDED,
    ),
    "the service tier": Case(
        reply({"text": "Hi"}, serviceTier={"type": "flex"}),
        said(content="Hi"),
        {**ENDED, "service_tier": "flex"},
    ),
    "fields of the model": Case(
        reply({"text": "Hi"}, additionalModelResponseFields={"stop_sequence": "END"}),
        said(content="Hi", additionalModelResponseFields={"stop_sequence": "END"}),
        ENDED,
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The events of a whole answer, each with its kind as the only key."""
    events: list[Any] = [{"messageStart": {"role": "assistant"}}]
    for index, block in enumerate(whole["output"]["message"]["content"]):
        events += [
            {kind: {"contentBlockIndex": index, **payload}}
            for kind, payload in _block_events(block, size)
        ]
        events.append({"contentBlockStop": {"contentBlockIndex": index}})
    stop = {"stopReason": whole["stopReason"]}
    if "additionalModelResponseFields" in whole:
        stop["additionalModelResponseFields"] = whole["additionalModelResponseFields"]
    events.append({"messageStop": stop})
    last = {name: whole[name] for name in ("usage", "metrics", "serviceTier") if name in whole}
    return [*events, {"metadata": last}]


def _block_events(block: Any, size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    (kind,) = block
    start = {
        "toolUse": ("toolUseId", "name", "type"),
        "toolResult": ("toolUseId", "status", "type"),
        "image": ("format",),
    }.get(kind)
    if start is not None:
        fields = {name: block[kind][name] for name in start if name in block[kind]}
        yield "contentBlockStart", {"start": {kind: fields}}
    for delta in _deltas(kind, block[kind], size):
        yield "contentBlockDelta", {"delta": delta}


def _deltas(kind: str, fields: Any, size: int) -> Iterator[dict[str, Any]]:
    if kind == "text":
        yield from ({"text": piece} for piece in pieces(fields, size))
    elif kind == "toolUse":
        given = json.dumps(fields["input"]) if fields["input"] else ""
        yield from ({"toolUse": {"input": piece}} for piece in pieces(given, size))
    elif kind == "toolResult":
        yield from ({"toolResult": [element]} for element in fields["content"])
    elif kind == "reasoningContent":
        text = fields.get("reasoningText", {"text": ""})
        yield from ({"reasoningContent": {"text": piece}} for piece in pieces(text["text"], size))
        yield {"reasoningContent": {"signature": text["signature"]} if len(text) > 1 else fields}
    elif kind == "citationsContent":
        for element in fields["content"]:
            yield from ({"text": piece} for piece in pieces(element["text"], size))
        yield from ({"citation": citation} for citation in fields["citations"])
    else:
        yield {kind: {"source": fields["source"]}}


def framed(stream: list[Any]) -> list[bytes]:
    """Events in the binary framing of AWS."""
    return [aws_frame(kind, payload) for event in stream for kind, payload in event.items()]


KEYS: dict[str, Any] = {
    "aws_access_key_id": "k",
    "aws_secret_access_key": "s",
    "region_name": "us-east-1",
}


def client_of(url: str) -> Any:
    """A client of Bedrock's."""
    import boto3

    make = functools.partial(boto3.client, "bedrock-runtime", endpoint_url=url, **KEYS)
    return shared("boto3", url, make)


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With boto3."""
    client = client_of(url)
    messages = [{"role": "user", "content": [{"text": "Hello?"}]}]
    if stream:
        with closing(client.converse_stream(modelId="ok", messages=messages)["stream"]) as events:
            yield from events
    else:
        client.converse(modelId="ok", messages=messages)


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    blocks: list[Any] = []
    for number, part in enumerate(parts):
        if part.kind == "text":
            blocks.append({"text": part.text})
        elif part.kind == "reasoning":
            thought = {"text": part.text, "signature": f"s{number}"}
            blocks.append({"reasoningContent": {"reasoningText": thought}})
        else:
            blocks.append(use(f"t{number}", part.name, {"q": part.text}))
    return reply(*blocks)


WIRE = Wire("boto3", "bedrock", CASES, chunks, framed, ask)
