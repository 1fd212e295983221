"""Anthropic's messages API: requests, answers and stream events.

Pure functions, on the thread of the call. Invariant: the usage in a stream is cumulative, so a
later count replaces an earlier one and is never added to it.
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
    """The counts of a usage object, by Anthropic's names."""
    get = reader(usage)
    counts = {name: get(name) for name in _USAGE}
    if (details := get("output_tokens_details")) is not None:
        counts["thinking_tokens"] = get_field(details, "thinking_tokens")
    return counts


def _usage(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` includes the cache, which Anthropic counts separately."""
    read, written = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
    prompt, completion = counts["input_tokens"], counts["output_tokens"]
    if prompt is not None:
        prompt += (read or 0) + (written or 0)
    total = prompt + completion if prompt is not None and completion is not None else None
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": counts.get("thinking_tokens"),
    }


def _parse_json(text: str) -> Any:
    """Tool input as a whole message has it; a text when it was broken off in the middle."""
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
    outputs: dict[str, Any] = {
        "role": role or "assistant",
        "content": "".join(texts) if texts else None,
    }
    if calls:
        outputs["tool_calls"] = calls
    if thoughts:
        outputs["reasoning"] = "\n".join(thoughts)
    if others:
        outputs["blocks"] = others
    return outputs


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
        """Keep what the event adds to a block, to the message or to its usage."""
        get = reader(event)
        kind = get("type")
        if kind == "content_block_delta":
            get_delta = reader(get("delta"))
            if piece := get_delta("text") or get_delta("partial_json") or get_delta("thinking"):
                index = get("index")
                pieces = self._pieces.get(index)
                if pieces is None:
                    pieces = self._pieces[index] = []
                pieces.append(piece)
        elif kind == "content_block_start":
            self._blocks[get("index")] = get("content_block")
        elif kind == "message_start":
            self._message = get("message")
            self._update_usage(get_field(self._message, "usage"))
        elif kind == "message_delta":
            self._stop = get_field(get("delta"), "stop_reason") or self._stop
            self._update_usage(get("usage"))
        elif kind == "message_stop":
            self._stopped = True

    def _update_usage(self, usage: Any) -> None:
        """Replace the counts that ``usage`` has, because usage is cumulative."""
        self._usage.update(without_none(_counts(usage)))

    def answer(self) -> Answer:
        """The message as far as it has come."""
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
            arguments = _parse_json(pieces) if pieces else get_field(block, "input")
            return {
                "type": kind,
                "id": get_field(block, "id"),
                "name": get_field(block, "name"),
                "input": arguments,
            }
        if kind in ("text", "thinking"):
            return {"type": kind, kind: (get_field(block, kind) or "") + pieces}
        return block
