"""What Gemini, Cohere, Ollama and Bedrock answer, whole and streamed, for their own clients."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

__all__ = ["ROUTES", "TEXT", "aws_frame"]

TEXT = "Hello from the stub"
_WORDS = ("Hello", " from", " the", " stub")


def gemini(body: dict[str, Any]) -> dict[str, Any]:
    """``:generateContent``."""
    return _gemini([{"text": TEXT}], "STOP")


def _gemini(parts: list[Any], reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 7, "totalTokenCount": 19}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "ok-2026"}


def gemini_stream(body: dict[str, Any]) -> Iterator[str]:
    """``:streamGenerateContent``."""
    for number, word in enumerate(_WORDS):
        chunk = _gemini([{"text": word}], "STOP" if number == 3 else None)
        yield f"data: {json.dumps(chunk)}\n\n"


def gemini_embed(body: dict[str, Any]) -> dict[str, Any]:
    """``:batchEmbedContents``."""
    return {"embeddings": [{"values": [0.1, 0.2, 0.3]}]}


def cohere(body: dict[str, Any]) -> Any:
    """``/v2/chat``."""
    usage = {"tokens": {"input_tokens": 12.0, "output_tokens": 7.0}}
    if body.get("stream"):
        return _cohere_stream(usage)
    message = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
    return {"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": usage}


def _cohere_stream(usage: dict[str, Any]) -> Iterator[str]:
    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

    yield event("message-start", id="c1", delta={"message": {"role": "assistant", "content": []}})
    for word in _WORDS:
        delta = {"message": {"content": {"text": word}}}
        yield event("content-delta", index=0, delta=delta)
    yield event("message-end", id="c1", delta={"finish_reason": "COMPLETE", "usage": usage})


def ollama(body: dict[str, Any]) -> Any:
    """``/api/chat``: lines of JSON when streamed, which is its default."""
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 7}
    common = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}
    if body.get("stream", True):
        lines = [
            {**common, "message": {"role": "assistant", "content": word}, "done": False}
            for word in _WORDS
        ]
        lines.append({**common, "message": {"role": "assistant", "content": ""}, **end})
        return iter([json.dumps(line) + "\n" for line in lines])
    return {**common, "message": {"role": "assistant", "content": TEXT}, **end}


def converse(body: dict[str, Any]) -> dict[str, Any]:
    """Bedrock's Converse."""
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": TEXT}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 12, "outputTokens": 7, "totalTokens": 19},
        "metrics": {"latencyMs": 5},
    }


def converse_stream(body: dict[str, Any]) -> Iterator[bytes]:
    """Bedrock's ConverseStream, in the binary framing of AWS."""
    yield aws_frame("messageStart", {"role": "assistant"})
    for word in _WORDS:
        yield aws_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}})
    yield aws_frame("contentBlockStop", {"contentBlockIndex": 0})
    yield aws_frame("messageStop", {"stopReason": "end_turn"})
    usage = {"inputTokens": 12, "outputTokens": 7, "totalTokens": 19}
    yield aws_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 5}})


def aws_frame(kind: str, payload: dict[str, Any]) -> bytes:
    """One event in the binary framing of AWS."""
    headers = b""
    for name, value in (
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ):
        text = value.encode()
        headers += (
            bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text
        )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return start + struct.pack(">I", zlib.crc32(start))


def invoke(body: dict[str, Any]) -> dict[str, Any]:
    """Bedrock's InvokeModel with a model of Anthropic's."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 7},
    }


ROUTES = {
    "/v1/models/ok:generateContent": gemini,
    "/v1/models/ok:streamGenerateContent": gemini_stream,
    "/v1/models/ok:batchEmbedContents": gemini_embed,
    "/v2/chat": cohere,
    "/api/chat": ollama,
    "/model/ok/converse": converse,
    "/model/ok/converse-stream": converse_stream,
    "/model/ok/invoke": invoke,
}
