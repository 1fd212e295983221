"""OpenAI's responses API: requests, answers and stream events.

Pure functions, on the thread of the call. Invariant: a streamed response gives the same event as a
whole one. The last event of its stream carries the response whole; a stream that is cut gives the
items as far as they have come, in the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
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
        "max_output_tokens",
        "max_tool_calls",
        "reasoning",
        "text",
        "tool_choice",
        "parallel_tool_calls",
        "service_tier",
        "truncation",
        "stream",
        "store",
        "background",
        "previous_response_id",
    }
)

_FINAL_EVENTS = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)


def response_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body."""
    model_input = body.get("input")
    history: Any = model_input or []
    if isinstance(model_input, str):
        history = [{"role": "user", "content": model_input}]
    instructions = body.get("instructions")
    if isinstance(instructions, str) and isinstance(history, list):
        history = [{"role": "system", "content": instructions}, *history]
    inputs = {"chat_history": history, **pick(body, {"prompt"})}
    return inputs, pick(body, _HYPERPARAMETERS)


def response_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole response, and the error of one that failed."""
    return _answer(result, get_field(result, "output") or ())


def _answer(result: Any, items: Any) -> Answer:
    get = reader(result)
    metadata = usage_of_response(get("usage"))
    metadata["response_id"] = get("id")
    metadata["response_model"] = get("model")
    metadata["finish_reason"] = get_field(get("incomplete_details"), "reason") or _text_or_none(
        get("status")
    )
    failure = get("error")
    if failure is not None or get("status") == "failed":
        code = metadata["error_code"] = get_field(failure, "code")
        message = get_field(failure, "message") or code
        metadata["response_error"] = str(message or "the response failed")
    return Answer(_outputs(items), without_none(metadata))


def _text_or_none(value: Any) -> Any:
    return None if value is None else str(value)


def usage_of_response(usage: Any) -> dict[str, Any]:
    """Token counts, None where there is none."""
    if usage is None:
        return {}
    get = reader(usage)
    inputs = reader(get("input_tokens_details"))
    return {
        "prompt_tokens": get("input_tokens"),
        "completion_tokens": get("output_tokens"),
        "total_tokens": get("total_tokens"),
        "cache_read_tokens": inputs("cached_tokens"),
        "cache_write_tokens": inputs("cache_write_tokens"),
        "reasoning_tokens": get_field(get("output_tokens_details"), "reasoning_tokens"),
    }


_PART_FIELDS = {"output_text": "text", "text": "text", "refusal": "refusal"}
_MESSAGE_KNOWN = frozenset({"type", "text", "refusal", "annotations", "logprobs"})


def _outputs(items: Any) -> dict[str, Any]:
    """The items as one message; those that no field of a message is for stay as they are."""
    parts: dict[str, list[Any]] = {
        name: [] for name in ("text", "refusal", "annotations", "parts", "reasoning", "signatures")
    }
    calls: list[dict[str, Any]] = []
    others: list[Any] = []
    for item in items:
        get = reader(item)
        kind = get("type")
        if kind == "message":
            for part in get("content") or ():
                _add_part(parts, part)
        elif kind == "function_call":
            calls.append(tool_call(get("call_id"), get("name"), get("arguments")))
        elif kind == "custom_tool_call":
            calls.append(tool_call(get("call_id"), get("name"), get("input")))
        elif kind == "reasoning":
            for part in (*(get("summary") or ()), *(get("content") or ())):
                if text := get_field(part, "text"):
                    parts["reasoning"].append(text)
            if signature := get("encrypted_content"):
                parts["signatures"].append(signature)
        else:
            others.append(item)
    outputs: dict[str, Any] = {"role": "assistant", "content": "".join(parts["text"]) or None}
    fields = {
        "tool_calls": calls,
        "reasoning": "\n".join(parts["reasoning"]),
        "reasoning_signatures": parts["signatures"],
        "refusal": "".join(parts["refusal"]),
        "annotations": parts["annotations"],
        "parts": parts["parts"],
        "items": others,
    }
    outputs.update({name: value for name, value in fields.items() if value})
    return outputs


def _add_part(parts: dict[str, list[Any]], part: Any) -> None:
    """One content part of a message."""
    get = reader(part)
    field = _PART_FIELDS.get(get("type") or "text")
    if field is None or other_fields(part, _MESSAGE_KNOWN):
        parts["parts"].append(part)
    if field is not None:
        parts[field].append(get(field) or "")
        parts["annotations"].extend(get("annotations") or ())


# What a delta adds to, by the item's type.
_DELTA_FIELDS = {
    "function_call": "arguments",
    "mcp_call": "arguments",
    "custom_tool_call": "input",
    "code_interpreter_call": "code",
}
_MESSAGE_DELTAS = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
}
_REASONING_DELTAS = frozenset(
    {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
)


class ResponseAssembler:
    """A response from the events of its stream."""

    __slots__ = ("_done", "_error", "_extra", "_items", "_pieces", "_response", "_whole")

    def __init__(self) -> None:
        self._items: dict[int, Any] = {}  # as they were added, by their place in the output
        self._done: dict[int, Any] = {}
        self._pieces: dict[int, dict[tuple[str, int], list[str]]] = {}
        self._extra: dict[int, list[Any]] = {}  # annotations
        self._response: Any = None
        self._whole = False
        self._error: Any = None

    def add(self, event: Any) -> None:
        """Keep items, their deltas, and the response from the first and last event."""
        get = reader(event)
        kind = get("type")
        index = get("output_index") or 0
        if kind.endswith(".delta"):
            if delta := get("delta"):
                part = get("summary_index") or get("content_index") or 0
                pieces = self._pieces.setdefault(index, {}).setdefault((kind, part), [])
                pieces.append(delta if isinstance(delta, str) else str(delta))
        elif kind == "response.output_item.added":
            self._items[index] = get("item")
        elif kind == "response.output_item.done":
            if get("output_index") is None:  # a provider that does not number its items
                index = len(self._done)
            self._done[index] = get("item")
            self._pieces.pop(index, None)
        elif kind == "response.output_text.annotation.added":
            self._extra.setdefault(index, []).append(get("annotation"))
        elif kind in _FINAL_EVENTS:
            self._response = get("response")
            self._whole = True
        elif kind == "response.created":
            self._response = get("response")
        elif kind == "error":
            self._error = get("message") or get("code") or get_field(get("error"), "message")

    def answer(self) -> Answer:
        """The response as far as it has come."""
        if self._whole:
            items = get_field(self._response, "output")
            return _answer(self._response, items or self._arrived())
        metadata = without_none(
            {
                "response_id": get_field(self._response, "id"),
                "response_model": get_field(self._response, "model"),
                "response_error": self._error,
                "stream_end": "cut",
            }
        )
        return Answer(_outputs(self._arrived()), metadata)

    def _arrived(self) -> list[Any]:
        indices = sorted({*self._items, *self._done, *self._pieces})
        return [self._done.get(index) or self._unfinished(index) for index in indices]

    def _unfinished(self, index: int) -> Any:
        """An item that was cut off, from what was said when it was added and from its deltas."""
        item = self._items.get(index)
        pieces = {key: "".join(texts) for key, texts in self._pieces.get(index, {}).items()}
        kind = get_field(item, "type")
        ordered = sorted(pieces.items(), key=lambda entry: entry[0][1])
        if kind == "message" or (kind is None and any(key[0] in _MESSAGE_DELTAS for key in pieces)):
            content: list[dict[str, Any]] = [
                {"type": part, _PART_FIELDS[part]: text}
                for (name, _), text in ordered
                if (part := _MESSAGE_DELTAS.get(name))
            ]
            if content and (annotations := self._extra.get(index)):
                content[0]["annotations"] = annotations
            return {"type": "message", "content": content}
        if kind == "reasoning" or any(key[0] in _REASONING_DELTAS for key in pieces):
            return {"type": "reasoning", "summary": [{"text": text} for _, text in ordered]}
        fields = other_fields(item, frozenset()) if item is not None else {}
        for (name, _), text in ordered:
            fields[_DELTA_FIELDS.get(kind, name.split(".")[-2])] = text
        return fields
