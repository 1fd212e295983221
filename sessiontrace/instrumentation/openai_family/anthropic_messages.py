"""Anthropic's messages API: requests, answers and stream events.

Pure reading of values, on the thread of the call. Invariant: the usage in a stream is cumulative,
so what comes later replaces what came before and is never added to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    pick,
    reader,
    tool_call,
    without_none,
)

_HYPERPARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "stop_sequences",
        "stream",
        "thinking",
        "tool_choice",
        "service_tier",
        "output_config",
    }
)

_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


def message_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body; the system prompt becomes a message."""
    history: Any = body.get("messages", [])
    system = pick(body, {"system"}).get("system")
    if system is not None and isinstance(history, (list, tuple)):
        history = [{"role": "system", "content": system}, *history]
    return {"chat_history": history}, pick(body, _HYPERPARAMETERS)


def message_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole message."""
    get = reader(result)
    metadata = _usage(_counts(get("usage")))
    metadata["response_id"] = get("id")
    metadata["response_model"] = get("model")
    metadata["finish_reason"] = get("stop_reason")
    return Answer(_outputs(get("role"), get("content") or ()), without_none(metadata))


def _counts(usage: Any) -> dict[str, Any]:
    """What a usage object tells, by Anthropic's names."""
    get = reader(usage)
    found = {name: get(name) for name in _USAGE}
    if (details := get("output_tokens_details")) is not None:
        found["thinking_tokens"] = get_field(details, "thinking_tokens")
    return found


def _usage(found: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts; Anthropic counts what the cache took part in beside the input, we within."""
    read, written = found["cache_read_input_tokens"], found["cache_creation_input_tokens"]
    prompt, completion = found["input_tokens"], found["output_tokens"]
    if prompt is not None:
        prompt += (read or 0) + (written or 0)
    total = prompt + completion if prompt is not None and completion is not None else None
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": found.get("thinking_tokens"),
    }


def _decoded(text: str) -> Any:
    """Tool input as the whole message has it; broken off in the middle it stays a text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _outputs(role: Any, blocks: Iterable[Any]) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    others: list[Any] = []
    for block in blocks:
        get = reader(block)
        kind = get("type")
        if kind == "text":
            texts.append(get("text") or "")
        elif kind == "thinking":
            thoughts.append(get("thinking") or "")
        elif kind == "tool_use":
            calls.append(tool_call(get("id"), get("name"), get("input")))
        else:
            others.append(block)
    shown: dict[str, Any] = {
        "role": role or "assistant",
        "content": "".join(texts) if texts else None,
    }
    if calls:
        shown["tool_calls"] = calls
    if thoughts:
        shown["reasoning"] = "\n".join(thoughts)
    if others:
        shown["blocks"] = others
    return shown


class MessageAssembler:
    """A message from the events of its stream."""

    __slots__ = ("_blocks", "_message", "_pieces", "_stop", "_stopped", "_usage")

    def __init__(self) -> None:
        self._message: Any = None
        self._blocks: dict[int, Any] = {}
        self._pieces: dict[int, list[str]] = {}
        self._usage: dict[str, Any] = dict.fromkeys(_USAGE)
        self._stop: Any = None
        self._stopped = False

    def add(self, event: Any) -> None:
        """One event: only what its block gained is kept."""
        get = reader(event)
        kind = get("type")
        if kind == "content_block_delta":
            told = reader(get("delta"))
            if piece := told("text") or told("partial_json") or told("thinking"):
                index = get("index")
                pieces = self._pieces.get(index)
                if pieces is None:
                    pieces = self._pieces[index] = []
                pieces.append(piece)
        elif kind == "content_block_start":
            self._blocks[get("index")] = get("content_block")
        elif kind == "message_start":
            self._message = get("message")
            self._take_usage(get_field(self._message, "usage"))
        elif kind == "message_delta":
            self._stop = get_field(get("delta"), "stop_reason") or self._stop
            self._take_usage(get("usage"))
        elif kind == "message_stop":
            self._stopped = True

    def _take_usage(self, usage: Any) -> None:
        """Cumulative: what comes later replaces what came before."""
        self._usage.update(without_none(_counts(usage)))

    def answer(self) -> Answer:
        """The message as far as it came."""
        blocks = [self._block(index) for index in sorted({*self._blocks, *self._pieces})]
        get = reader(self._message)
        metadata = _usage(self._usage)
        metadata["response_id"] = get("id")
        metadata["response_model"] = get("model")
        metadata["finish_reason"] = self._stop
        if not self._stopped:
            metadata["stream_end"] = "cut"
        return Answer(_outputs(get("role"), blocks), without_none(metadata))

    def _block(self, index: int) -> Any:
        block = self._blocks.get(index)
        kind = get_field(block, "type") or "text"
        pieces = "".join(self._pieces.get(index, ()))
        if kind == "tool_use":
            arguments = _decoded(pieces) if pieces else get_field(block, "input")
            return {
                "type": kind,
                "id": get_field(block, "id"),
                "name": get_field(block, "name"),
                "input": arguments,
            }
        if kind in ("text", "thinking"):
            return {"type": kind, kind: (get_field(block, kind) or "") + pieces}
        return block
