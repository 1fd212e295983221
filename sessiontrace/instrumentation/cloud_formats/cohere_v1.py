"""Cohere's first chat API: requests, answers and stream events.

Pure functions, on the thread of the call. Invariant: a streamed answer has the fields of a whole
one, because its last event carries it; a stream that is cut gives what has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    pick,
    tool_call,
    without_none,
)

__all__ = ["ChatV1Assembler", "chat_v1_answer", "chat_v1_request"]

_ROLES = {"CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool", "USER": "user"}
_HYPERPARAMETERS = frozenset(
    {"temperature", "max_tokens", "k", "p", "seed", "stop_sequences", "frequency_penalty"}
    | {"presence_penalty", "response_format", "force_single_step"}
)


def chat_v1_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request."""
    fields = pick(body, {"message", "preamble", "chat_history", "tool_results", "documents"})
    history = [_message(message) for message in fields.get("chat_history") or ()]
    if preamble := fields.get("preamble"):
        history.insert(0, {"role": "system", "content": preamble})
    if message := fields.get("message"):
        history.append({"role": "user", "content": message})
    inputs: dict[str, Any] = {"chat_history": history}
    inputs.update(pick(fields, {"tool_results", "documents"}))
    return inputs, pick(body, _HYPERPARAMETERS)


def _message(message: Any) -> dict[str, Any]:
    role = str(get_field(message, "role"))
    content = get_field(message, "message") or get_field(message, "tool_results")
    fields = {"role": _ROLES.get(role, role.lower()), "content": content}
    if calls := get_field(message, "tool_calls"):
        fields["tool_calls"] = [_call(call) for call in calls]
    return fields


def _call(call: Any) -> dict[str, Any]:
    return tool_call(None, get_field(call, "name"), get_field(call, "parameters"))


def chat_v1_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole answer."""
    outputs: dict[str, Any] = {"role": "assistant", "content": get_field(result, "text") or None}
    if calls := get_field(result, "tool_calls"):
        outputs["tool_calls"] = [_call(call) for call in calls]
    for name in ("citations", "documents", "search_queries", "search_results"):
        if value := get_field(result, name):
            outputs[name] = value
    meta = get_field(result, "meta")
    tokens = get_field(meta, "tokens") or get_field(meta, "billed_units")
    counts = [get_field(tokens, name) for name in ("input_tokens", "output_tokens")]
    prompt, completion = (None if count is None else int(count) for count in counts)
    total = prompt + completion if prompt is not None and completion is not None else None
    reason = get_field(result, "finish_reason")
    metadata = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "finish_reason": None if reason is None else str(getattr(reason, "value", reason)),
        "response_id": get_field(result, "response_id") or get_field(result, "generation_id"),
    }
    return Answer(outputs, without_none(metadata))


class ChatV1Assembler:
    """An answer from the events of its stream."""

    __slots__ = ("_citations", "_response", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._citations: list[Any] = []
        self._response: Any = None

    def add(self, event: Any) -> None:
        """Keep a piece of the text, citations, or the whole answer."""
        kind = get_field(event, "event_type")
        if kind == "text-generation":
            self._texts.append(get_field(event, "text") or "")
        elif kind == "citation-generation":
            self._citations.extend(get_field(event, "citations") or ())
        elif kind == "stream-end":
            self._response = get_field(event, "response")

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        if self._response is not None:
            return chat_v1_answer(self._response)
        outputs: dict[str, Any] = {"role": "assistant", "content": "".join(self._texts) or None}
        if self._citations:
            outputs["citations"] = self._citations
        return Answer(outputs, {"stream_end": "cut"})
