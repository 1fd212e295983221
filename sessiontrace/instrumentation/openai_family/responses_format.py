"""OpenAI's responses API: requests, answers and stream events.

Pure functions, on the thread of the call. Invariant: a streamed response gives the same event as a
whole one, because the last event of its stream carries the response whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    """Outputs and metadata of a whole response."""
    get = reader(result)
    metadata = _usage(get("usage"))
    metadata["response_id"] = get("id")
    metadata["response_model"] = get("model")
    metadata["finish_reason"] = get_field(get("incomplete_details"), "reason") or _text_or_none(
        get("status")
    )
    return Answer(_outputs(get("output") or ()), without_none(metadata))


def _text_or_none(value: Any) -> Any:
    return None if value is None else str(value)


def _usage(usage: Any) -> dict[str, Any]:
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


def _outputs(items: Any) -> dict[str, Any]:
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    reasoning: list[str] = []
    others: list[Any] = []
    for item in items:
        get = reader(item)
        kind = get("type")
        if kind == "message":
            for part in get("content") or ():
                text = get_field(part, "text") or get_field(part, "refusal")
                if text:
                    texts.append(text)
        elif kind == "function_call":
            calls.append(tool_call(get("call_id"), get("name"), get("arguments")))
        elif kind == "custom_tool_call":
            calls.append(tool_call(get("call_id"), get("name"), get("input")))
        elif kind == "reasoning":
            reasoning.extend(
                text for part in get("summary") or () if (text := get_field(part, "text"))
            )
        else:
            others.append(item)
    outputs: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if calls:
        outputs["tool_calls"] = calls
    if reasoning:
        outputs["reasoning"] = "\n".join(reasoning)
    if others:
        outputs["items"] = others
    return outputs


class ResponseAssembler:
    """A response from the events of its stream."""

    __slots__ = ("_calls", "_error", "_response", "_texts", "_whole")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: list[Any] = []
        self._response: Any = None
        self._whole = False
        self._error: Any = None

    def add(self, event: Any) -> None:
        """Keep texts, finished tool calls, and the response from the first and last event."""
        get = reader(event)
        kind = get("type")
        if kind == "response.output_text.delta":
            self._texts.append(get("delta") or "")
        elif kind == "response.output_item.done":
            item = get("item")
            if get_field(item, "type") != "message":
                self._calls.append(item)
        elif kind in _FINAL_EVENTS:
            self._response = get("response")
            self._whole = True
        elif kind == "response.created":
            self._response = get("response")
        elif kind == "error":
            self._error = get("message")

    def answer(self) -> Answer:
        """The response as far as it has come."""
        if self._whole:
            answer = response_answer(self._response)
            message = get_field(get_field(self._response, "error"), "message")
            if message:
                answer.metadata["response_error"] = message
            return answer
        metadata = without_none(
            {
                "response_id": get_field(self._response, "id"),
                "response_model": get_field(self._response, "model"),
                "response_error": self._error,
                "stream_end": "cut",
            }
        )
        text = {"type": "message", "content": [{"text": "".join(self._texts)}]}
        return Answer(_outputs([text, *self._calls]), metadata)
