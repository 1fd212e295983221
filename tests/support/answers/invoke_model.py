"""Bedrock's InvokeModel: bodies in the form of each model's maker."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from support.answers import anthropic, converse, openai_chat
from support.answers.case import Case, Wire, pieces
from support.answers.converse import called, client_of, said
from support.stubs.other_apis import aws_frame

__all__ = ["WIRE"]

METRICS = {
    "inputTokenCount": 9,
    "outputTokenCount": 4,
    "invocationLatency": 7,
    "firstByteLatency": 3,
}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def pick(cases: dict[str, Case], maker: str, *titles: str) -> dict[str, Case]:
    """Cases of a maker whose form these bodies have."""
    return {f"{maker}: {title}": cases[title] for title in titles}


def nova(*blocks: Any) -> dict[str, Any]:
    """An answer of Amazon's Nova."""
    usage = {"inputTokens": 2, "cacheReadInputTokenCount": 7, "outputTokens": 4, "totalTokens": 13}
    message = {"role": "assistant", "content": list(blocks)}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}


CASES = {
    **pick(
        anthropic.CASES,
        "Anthropic",
        "text",
        "thinking",
        "two tool uses",
        "tools that ran at the provider",
    ),
    **pick(openai_chat.CASES, "OpenAI", "text", "two tool calls", "annotations"),
    "Nova: text": Case(
        nova({"text": "Hello there"}),
        said(content="Hello there"),
        {**COUNTS, "cache_read_tokens": 7, "finish_reason": "end_turn"},
    ),
    "Nova: a tool": Case(
        nova({"text": "Hm"}, converse.use("t1", "weather", {"city": "Oslo"})),
        said(content="Hm", tool_calls=[called("t1", "weather", {"city": "Oslo"})]),
        COUNTS,
    ),
    "Llama": Case(
        {
            "generation": "Hello there",
            "prompt_token_count": 9,
            "generation_token_count": 4,
            "stop_reason": "stop",
        },
        said(content="Hello there"),
        {**COUNTS, "finish_reason": "stop"},
    ),
    "Mistral": Case(
        {"outputs": [{"text": "Hello there", "stop_reason": "stop"}]},
        said(content="Hello there"),
        {**COUNTS, "finish_reason": "stop"},
    ),
    "Titan": Case(
        {
            "inputTextTokenCount": 9,
            "results": [
                {"tokenCount": 4, "outputText": "Hello there", "completionReason": "FINISH"}
            ],
        },
        said(content="Hello there"),
        {**COUNTS, "finish_reason": "FINISH"},
    ),
    "Cohere": Case(
        {
            "text": "Hello there",
            "generation_id": "g1",
            "finish_reason": "COMPLETE",
            "citations": [{"start": 0, "end": 5, "text": "Hello"}],
        },
        said(content="Hello there", citations=[{"start": 0, "end": 5, "text": "Hello"}]),
        {**COUNTS, "finish_reason": "COMPLETE"},
        [],
    ),
    "vectors of Titan": Case(
        {"embedding": [0.1, 0.2, 0.3], "inputTextTokenCount": 9},
        {"embeddings": 1, "dimensions": 3},
        {"prompt_tokens": 9},
        [],
    ),
    "images": Case(
        {"images": ["iVBORw0K"], "seeds": [1], "finish_reasons": [None]},
        {"images": ["iVBORw0K"], "seeds": [1], "finish_reasons": [None]},
        {},
        [],
    ),
    "a maker of tomorrow": Case({"voxels": {"x": 1}}, {"voxels": {"x": 1}}, {}, []),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The stream of a body in its maker's form; the last chunk has Bedrock's counts."""
    stream = list(_stream(whole, size))
    last = {**stream[-1], "amazon-bedrock-invocationMetrics": METRICS}
    return [*stream[:-1], last]


def _stream(whole: Any, size: int) -> Iterator[Any]:
    if whole.get("type") == "message":
        yield from anthropic.chunks(whole, size)
    elif "choices" in whole:
        yield from openai_chat.chunks(whole, size)
    elif "output" in whole:
        yield from converse.chunks({**whole, "metrics": {}}, size)
    elif "generation" in whole:
        for piece in pieces(whole["generation"], size):
            yield {"generation": piece, "generation_token_count": 1, "stop_reason": None}
        yield {**whole, "generation": "", "prompt_token_count": None}
    elif "outputs" in whole:
        for piece in pieces(whole["outputs"][0]["text"], size):
            yield {"outputs": [{"text": piece, "stop_reason": None}]}
        yield {"outputs": [{"text": "", "stop_reason": "stop"}]}
    else:
        for piece in pieces(whole["results"][0]["outputText"], size):
            yield {"outputText": piece, "index": 0, "completionReason": None}
        yield {"outputText": "", "index": 0, "completionReason": "FINISH", "inputTextTokenCount": 9}


def framed(stream: list[Any]) -> list[bytes]:
    """Bodies in the binary framing of AWS."""
    return [
        aws_frame("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode()})
        for body in stream
    ]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With boto3."""
    client = client_of(url)
    asked = {"modelId": "ok", "body": json.dumps({"prompt": "Hello?"})}
    if stream:
        with closing(client.invoke_model_with_response_stream(**asked)["body"]) as events:
            yield from events
    else:
        client.invoke_model(**asked)["body"].read()


HEADERS = {
    "x-amzn-bedrock-input-token-count": "9",
    "x-amzn-bedrock-output-token-count": "4",
}
WIRE = Wire("boto3", "bedrock", CASES, chunks, framed, ask, HEADERS)
