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
    merge_delta,
    other_fields,
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


_MESSAGE_FIELDS = frozenset(
    {"id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "usage"}
)
_BLOCK_FIELDS = frozenset(
    {"type", "text", "thinking", "signature", "citations", "id", "name", "input"}
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
    metadata["stop_sequence"] = get("stop_sequence")
    outputs = _outputs(get("role"), get("content") or ())
    outputs.update(other_fields(result, _MESSAGE_FIELDS))
    return Answer(outputs, without_none(metadata))


def _counts(usage: Any) -> dict[str, Any]:
    """The counts of a usage object, by Anthropic's names."""
    get = reader(usage)
    counts = {name: get(name) for name in _USAGE}
    if (details := get("output_tokens_details")) is not None:
        counts["thinking_tokens"] = get_field(details, "thinking_tokens")
    if (created := get("cache_creation")) is not None:
        for lifetime in ("5m", "1h"):
            counts[lifetime] = get_field(created, f"ephemeral_{lifetime}_input_tokens")
    if (tools := get("server_tool_use")) is not None:
        counts["web_searches"] = get_field(tools, "web_search_requests")
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
        "cache_write_5m_tokens": counts.get("5m"),
        "cache_write_1h_tokens": counts.get("1h"),
        "web_search_requests": counts.get("web_searches"),
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
    lists: dict[str, list[Any]] = {"reasoning_signatures": [], "citations": [], "blocks": []}
    for block in blocks:
        get = reader(block)
        kind = get("type")
        if kind == "text":
            texts.append(get("text") or "")
            lists["citations"].extend(get("citations") or ())
        elif kind == "thinking":
            thoughts.append(get("thinking") or "")
            if signature := get("signature"):
                lists["reasoning_signatures"].append(signature)
        elif kind == "tool_use":
            call = tool_call(get("id"), get("name"), get("input"))
            calls.append({**call, **other_fields(block, _BLOCK_FIELDS)})
        else:
            lists["blocks"].append(block)
    outputs: dict[str, Any] = {
        "role": role or "assistant",
        "content": "".join(texts) if texts else None,
    }
    if calls:
        outputs["tool_calls"] = calls
    if thoughts:
        outputs["reasoning"] = "\n".join(thoughts)
    outputs.update({name: values for name, values in lists.items() if values})
    return outputs


_EVENT_FIELDS = frozenset({"type", "delta", "usage"})


class MessageAssembler:
    """A message from the events of its stream."""

    __slots__ = ("_blocks", "_ending", "_message", "_others", "_pieces", "_stopped", "_usage")

    def __init__(self) -> None:
        self._message: Any = None
        self._blocks: dict[int, Any] = {}
        self._pieces: dict[int, list[str]] = {}
        self._usage: dict[str, Any] = dict.fromkeys(_USAGE)
        self._others: dict[int, dict[str, Any]] = {}
        self._ending: dict[str, Any] = {}
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
            else:
                self._add_other(get("index"), get("delta"))
        elif kind == "content_block_start":
            self._blocks[get("index")] = get("content_block")
        elif kind == "message_start":
            self._message = get("message")
            self._update_usage(get_field(self._message, "usage"))
        elif kind == "message_delta":
            self._ending.update(other_fields(get("delta"), frozenset()))
            self._ending.update(other_fields(event, _EVENT_FIELDS))
            self._update_usage(get("usage"))
        elif kind == "message_stop":
            self._stopped = True

    def _add_other(self, index: int, delta: Any) -> None:
        """A delta of another kind: citations, a signature, or what a new block type is made of."""
        fields = other_fields(delta, frozenset({"type"}))
        if (citation := fields.pop("citation", None)) is not None:
            fields["citations"] = [citation]
        merge_delta(self._others.setdefault(index, {}), fields)

    def _update_usage(self, usage: Any) -> None:
        """Replace the counts that ``usage`` has, because usage is cumulative."""
        self._usage.update(without_none(_counts(usage)))

    def answer(self) -> Answer:
        """The message as far as it has come."""
        indices = sorted({*self._blocks, *self._pieces, *self._others})
        get = reader(self._message)
        ending = self._ending
        metadata = _usage(self._usage)
        metadata["response_id"] = get("id")
        metadata["response_model"] = get("model")
        metadata["finish_reason"] = ending.get("stop_reason")
        metadata["stop_sequence"] = ending.get("stop_sequence")
        if not self._stopped:
            metadata["stream_end"] = "cut"
        outputs = _outputs(get("role"), [self._block(index) for index in indices])
        outputs.update(other_fields(self._message, _MESSAGE_FIELDS))
        outputs.update(other_fields(ending, _MESSAGE_FIELDS))
        return Answer(outputs, without_none(metadata))

    def _block(self, index: int) -> Any:
        block = self._blocks.get(index)
        kind = get_field(block, "type") or "text"
        pieces = "".join(self._pieces.get(index, ()))
        others = self._others.get(index)
        if not pieces and not others:
            return block
        fields = {} if block is None else other_fields(block, frozenset())
        fields["type"] = kind
        if others:
            merge_delta(fields, others)
        if kind.endswith("tool_use"):
            if pieces:
                fields["input"] = _parse_json(pieces)
        elif pieces:
            field = kind if kind in ("text", "thinking") else "text"
            fields[field] = (fields.get(field) or "") + pieces
        return fields
