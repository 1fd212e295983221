"""Anthropic's messages API: requests, answers and stream events.

Pure functions, on the thread of the call. Invariant: the usage in a stream is cumulative, so a
later count replaces an earlier one and is never added to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    NOT_OBJECTS,
    get_field,
    in_order,
    joined,
    merge_delta,
    other_fields,
    parse_json,
    pick,
    plain,
    read,
    reader,
    require_object,
    tool_call,
    value_in,
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
    {"type", "text", "thinking", "signature", "citations", "id", "name", "input", "parsed_output"}
)


def message_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body; the system prompt becomes a message."""
    history: Any = body.get("messages", [])
    if (system := value_in(body, "system")) is not None and isinstance(history, (list, tuple)):
        history = [{"role": "system", "content": system}, *history]
    return {"chat_history": history}, pick(body, _HYPERPARAMETERS)


def message_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole message."""
    if type(result) in NOT_OBJECTS:
        require_object(result)
    get, others = read(result, _MESSAGE_FIELDS)
    metadata = _usage(_counts(get("usage")))
    metadata["response_id"] = get("id")
    metadata["response_model"] = get("model")
    metadata["finish_reason"] = get("stop_reason")
    metadata["stop_sequence"] = get("stop_sequence")
    outputs = _outputs(get("role"), get("content") or ())
    if others:
        outputs.update(others)
    return Answer(outputs, without_none(metadata))


def _counts(usage: Any) -> dict[str, Any]:
    """The counts of a usage object, by Anthropic's names."""
    get = reader(usage)
    counts = {
        "input_tokens": get("input_tokens"),
        "output_tokens": get("output_tokens"),
        "cache_read_input_tokens": get("cache_read_input_tokens"),
        "cache_creation_input_tokens": get("cache_creation_input_tokens"),
    }
    if (details := get("output_tokens_details")) is not None:
        counts["thinking_tokens"] = get_field(details, "thinking_tokens")
    if (created := get("cache_creation")) is not None:
        for lifetime in ("5m", "1h"):
            counts[lifetime] = get_field(created, f"ephemeral_{lifetime}_input_tokens")
    if (tools := get("server_tool_use")) is not None:
        counts["web_searches"] = get_field(tools, "web_search_requests")
    counts["tier"] = "fast" if get("speed") == "fast" else get("service_tier")
    if (iterations := get("iterations")) is not None:
        counts["iterations"] = iterations
    return counts


def _with_compactions(counts: Mapping[str, Any]) -> dict[str, Any]:
    """The counts and those of compactions, which the message's own usage leaves out.

    Each is a request of the server's own to the same model:
    platform.claude.com/docs/en/build-with-claude/compaction.
    """
    sums = dict(counts)
    for iteration in counts["iterations"]:
        if get_field(iteration, "type") == "compaction":
            for name in _USAGE:
                if count := get_field(iteration, name):
                    sums[name] = (sums[name] or 0) + count
    return sums


def _usage(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` includes the cache, which Anthropic counts separately."""
    if "iterations" in counts:
        counts = _with_compactions(counts)
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
        "service_tier": counts.get("tier"),
    }


def _outputs(role: Any, blocks: Iterable[Any]) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    signatures: list[Any] = []
    citations: list[Any] = []
    unread: list[Any] = []
    for block in blocks:
        get, others = read(block, _BLOCK_FIELDS)
        kind = str(get("type"))
        if kind == "text":
            texts.append(get("text") or "")
            if cited := get("citations"):
                citations.extend(plain(cited))
        elif kind == "thinking":
            thoughts.append(get("thinking") or "")
            if signature := get("signature"):
                signatures.append(signature)
        elif kind == "tool_use":
            calls.append({**tool_call(get("id"), get("name"), get("input")), **others})
        if kind not in _FIELD_OF or (others and kind != "tool_use"):
            unread.append(plain(block))
    outputs: dict[str, Any] = {"role": role or "assistant", "content": joined(texts) or None}
    for name, values in (
        ("tool_calls", calls),
        ("reasoning", joined(thoughts, "\n")),
        ("reasoning_signatures", signatures),
        ("citations", citations),
        ("blocks", unread),
    ):
        if values:
            outputs[name] = values  # noqa: PERF403  a comprehension would cost a frame
    return outputs


_EVENT_FIELDS = frozenset({"type", "delta", "usage"})
_FIELD_OF = {"text": "text", "thinking": "thinking", "tool_use": "input"}


class MessageAssembler:
    """A message from the events of its stream."""

    __slots__ = ("_blocks", "_ending", "_error", "_message", "_stopped", "_usage")

    def __init__(self) -> None:
        self._message: Any = None
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] = dict.fromkeys(_USAGE)
        self._ending: dict[str, Any] = {}
        self._stopped = False
        self._error: Any = None

    def add(self, event: Any) -> None:
        """Keep what the event adds to a block, to the message or to its usage."""
        # Most events are a piece of text. Those take a shortcut through the attributes of the SDK's
        # models; every other form raises here, or fails the test.
        try:
            fields = event.__dict__
            delta = fields["delta"]
            text = delta.__dict__["text"]
            if (
                text.__class__ is str
                and fields["type"] == "content_block_delta"
                and not delta.__pydantic_extra__
            ):
                self._blocks[fields["index"]].pieces.append(text)
                return
        except (AttributeError, KeyError):
            pass
        get = reader(event)
        kind = get("type")
        if kind == "content_block_delta":
            block = self._blocks.get(get("index"))
            if block is None:  # its start is missing
                block = self._blocks[get("index")] = _Block(None)
            block.add(get("delta"))
        elif kind == "content_block_start":
            self._blocks[get("index")] = _Block(get("content_block"))
        elif kind == "message_start":
            self._message = get("message")
            self._update_usage(get_field(self._message, "usage"))
        elif kind == "message_delta":
            self._ending.update(other_fields(get("delta"), frozenset()))
            self._ending.update(other_fields(event, _EVENT_FIELDS))
            self._update_usage(get("usage"))
        elif kind == "message_stop":
            self._stopped = True
        elif kind == "error":  # which the SDK raises, and a reader of the body gets
            self._error = get("error")

    def _update_usage(self, usage: Any) -> None:
        """Replace the counts that ``usage`` has, because usage is cumulative."""
        counts = {**self._usage, **without_none(_counts(usage))}
        _usage(counts)  # raises for a value that is not a count; the answer stays
        self._usage = counts

    def answer(self) -> Answer:
        """The message as far as it has come."""
        get = reader(self._message)
        ending = self._ending
        metadata = _usage(self._usage)
        metadata["response_id"] = get("id")
        metadata["response_model"] = get("model")
        metadata["finish_reason"] = ending.get("stop_reason")
        metadata["stop_sequence"] = ending.get("stop_sequence")
        if not self._stopped:
            metadata["stream_end"] = "cut"
        if self._error is not None:
            metadata["response_error"] = str(get_field(self._error, "message") or self._error)
        blocks = [block.block() for block in in_order(self._blocks)]
        outputs = _outputs(get("role"), blocks)
        outputs.update(other_fields(self._message, _MESSAGE_FIELDS))
        outputs.update(other_fields(ending, _MESSAGE_FIELDS))
        return Answer(outputs, without_none(metadata))


_DELTA_FIELDS = frozenset({"type", "text", "partial_json", "thinking"})


class _Block:
    """One block of a streamed message: its start, the pieces of its text, and other deltas."""

    __slots__ = ("_others", "_start", "pieces")

    def __init__(self, start: Any) -> None:
        self._start = start
        self.pieces: list[str] = []
        self._others: dict[str, Any] = {}

    def add(self, delta: Any) -> None:
        get = reader(delta)
        piece = get("text")
        if piece is None:
            piece = get("partial_json")
        if piece is None:
            piece = get("thinking")
        if piece is not None:
            self.pieces.append(piece)
        fields = other_fields(delta, _DELTA_FIELDS)
        if (citation := fields.pop("citation", None)) is not None:
            fields["citations"] = [citation]
        merge_delta(self._others, fields)

    def block(self) -> Any:
        pieces = joined(self.pieces)
        if not pieces and not self._others and self._start is not None:
            return self._start
        fields = {} if self._start is None else other_fields(self._start, frozenset())
        kind = str(fields.setdefault("type", "text"))
        if self._others:
            merge_delta(fields, self._others)
        field = "input" if "input" in fields else _FIELD_OF.get(kind, "text")
        if field == "input":
            if pieces:
                fields["input"] = parse_json(pieces)
        elif pieces:
            fields[field] = joined([fields.get(field) or "", pieces])
        return fields
