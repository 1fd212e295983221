"""Bedrock's Converse: messages, answers and the events of a stream.

Pure functions, on the thread of the call. Invariant: a streamed answer gives the same event as a
whole one.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    in_order,
    joined,
    merge_delta,
    other_fields,
    parse_json,
    tool_call,
    without_none,
)

_TOOL_USE_FIELDS = frozenset({"toolUseId", "name", "input"})
_ANSWER_FIELDS = frozenset(
    {"output", "usage", "stopReason", "ResponseMetadata", "metrics", "serviceTier"}
)
_PARAMETERS = {"maxTokens": "max_tokens", "topP": "top_p", "stopSequences": "stop"}


def converse_request(body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and config of a request."""
    history = [_message(message) for message in body.get("messages") or ()]
    if body.get("system"):
        history.insert(0, _message({"role": "system", "content": body["system"]}))
    settings = body.get("inferenceConfig") or {}
    parameters = {_PARAMETERS.get(name, name): value for name, value in settings.items()}
    tools = (body.get("toolConfig") or {}).get("tools")
    config = without_none({"hyperparameters": parameters or None, "tools": tools})
    return {"chat_history": history}, config


def _message(message: Any) -> dict[str, Any]:
    blocks = message.get("content") or ()
    fields = _content_fields(blocks)
    if fields.pop("blocks", None):  # such as images: in their places between the texts
        fields["content"] = list(blocks)
    return {"role": message.get("role"), **fields}


def _content_fields(blocks: Any) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    others: list[Any] = []
    lists: dict[str, list[Any]] = {name: [] for name in ("tool_calls", "signatures", "citations")}
    for block in blocks:
        if "text" in block:
            texts.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            call = tool_call(use.get("toolUseId"), use.get("name"), use.get("input"))
            lists["tool_calls"].append({**call, **other_fields(use, _TOOL_USE_FIELDS)})
        elif "reasoningContent" in block:
            _add_reasoning(block["reasoningContent"], thoughts, lists["signatures"])
        elif "citationsContent" in block:
            cited = block["citationsContent"]
            texts.extend(part.get("text") or "" for part in cited.get("content") or ())
            lists["citations"].extend(cited.get("citations") or ())
        else:
            others.append(block)
    fields: dict[str, Any] = {"content": joined(texts) or None}
    optional = {
        "tool_calls": lists["tool_calls"],
        "reasoning": joined(thoughts, "\n"),
        "reasoning_signatures": lists["signatures"],
        "citations": lists["citations"],
        "blocks": others,
    }
    fields.update({name: value for name, value in optional.items() if value})
    return fields


def _add_reasoning(reasoning: Any, thoughts: list[str], signatures: list[Any]) -> None:
    text = reasoning.get("reasoningText") or {}
    if text.get("text"):
        thoughts.append(text["text"])
    signature = text.get("signature") or reasoning.get("redactedContent")
    if signature:
        signatures.append(signature)


def converse_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole answer."""
    message = (result.get("output") or {}).get("message") or {}
    metadata = {
        **converse_usage(result.get("usage")),
        "finish_reason": result.get("stopReason"),
        "service_tier": get_field(result.get("serviceTier"), "type"),
    }
    outputs = {"role": "assistant", **_content_fields(message.get("content") or ())}
    return Answer({**outputs, **other_fields(result, _ANSWER_FIELDS)}, without_none(metadata))


def converse_usage(usage: Any) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` includes the cache, which Bedrock counts beside it.

    Nova's own body names the counts of the cache with ``Count`` at their end.
    """
    usage = usage or {}
    prompt = usage.get("inputTokens")
    read = usage.get("cacheReadInputTokens", usage.get("cacheReadInputTokenCount"))
    written = usage.get("cacheWriteInputTokens", usage.get("cacheWriteInputTokenCount"))
    if prompt is not None:
        prompt += (read or 0) + (written or 0)
    return without_none(
        {
            "prompt_tokens": prompt,
            "completion_tokens": usage.get("outputTokens"),
            "total_tokens": usage.get("totalTokens"),
            "cache_read_tokens": read,
            "cache_write_tokens": written,
        }
    )


class ConverseAssembler:
    """A message from the events of ConverseStream, each with its kind as the only key."""

    __slots__ = ("_blocks", "_fields", "_metadata")

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._metadata: dict[str, Any] = {"stream_end": "cut"}

    def add(self, event: Any) -> None:
        """Keep one event."""
        for kind, payload in event.items():
            index = get_field(payload, "contentBlockIndex") or 0
            if kind == "contentBlockStart":
                self._start(index, payload.get("start") or {})
            elif kind == "contentBlockDelta":
                self._add_delta(self._blocks.setdefault(index, {}), payload.get("delta") or {})
            elif kind == "messageStop":
                self._metadata["finish_reason"] = payload.get("stopReason")
                self._metadata.pop("stream_end", None)
                self._fields.update(other_fields(payload, _ANSWER_FIELDS))
            elif kind == "metadata":
                self._metadata.update(converse_usage(payload.get("usage")))
                self._metadata["service_tier"] = get_field(payload.get("serviceTier"), "type")
                self._fields.update(other_fields(payload, _ANSWER_FIELDS))
            elif kind.endswith("Exception"):
                message = get_field(payload, "message")
                self._metadata["response_error"] = f"{kind}: {message}" if message else kind

    def _start(self, index: int, start: dict[str, Any]) -> None:
        self._blocks[index] = {kind: dict(fields) for kind, fields in start.items()}
        if "toolUse" in start:
            self._blocks[index]["toolUse"]["input"] = ""

    def _add_delta(self, block: dict[str, Any], delta: dict[str, Any]) -> None:
        for kind, piece in delta.items():
            if kind == "toolUse":
                use = block.setdefault("toolUse", {"input": ""})
                use["input"] += piece.get("input") or ""
            elif kind == "toolResult":
                block.setdefault("toolResult", {}).setdefault("content", []).extend(piece)
            elif kind == "citation":
                block.setdefault("citations", []).append(piece)
            elif kind == "reasoningContent":
                redacted = piece.get("redactedContent")
                new = {"redactedContent": redacted} if redacted else {"reasoningText": piece}
                merge_delta(block.setdefault("reasoningContent", {}), new)
            else:
                merge_delta(block, {kind: piece})

    def answer(self) -> Answer:
        """The message as far as it has come."""
        blocks = [_whole(block) for block in in_order(self._blocks) if block]
        outputs = {"role": "assistant", **_content_fields(blocks), **self._fields}
        return Answer(outputs, without_none(self._metadata))


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block as a whole answer has it; a tool's input is a text when it was broken off."""
    if "citations" in block:
        content = {"content": [{"text": block.get("text") or ""}], "citations": block["citations"]}
        return {"citationsContent": content}
    use = block.get("toolUse")
    if use is not None and isinstance(use.get("input"), str):
        return {"toolUse": {**use, "input": parse_json(use["input"] or "{}")}}
    return block
