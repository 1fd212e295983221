"""The chat completions API, which OpenAI made and many others speak: requests, answers, chunks.

Pure reading of values, on the thread of the call. Invariant: one event shape, whichever of the
speakers answered, streamed or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.instrumentation.calls import Answer
from sessiontrace.instrumentation.fields import field, given, tool_call, without_none

__all__ = ["ChatGather", "TextGather", "chat_answer", "chat_request", "text_answer", "usage_of"]

_HYPERPARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "n",
        "stream",
        "logprobs",
        "response_format",
        "reasoning_effort",
        "tool_choice",
        "parallel_tool_calls",
        "service_tier",
        "verbosity",
        "modalities",
    }
)


def chat_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body."""
    return {"chat_history": body.get("messages", [])}, given(body, _HYPERPARAMETERS)


def chat_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole chat completion."""
    choices = field(result, "choices") or []
    finishes = [reason for choice in choices if (reason := field(choice, "finish_reason"))]
    metadata = _common(result, finishes)
    shown = [_message(field(choice, "message")) for choice in choices]
    return Answer(_one_or_all(shown), metadata)


def _message(message: Any) -> dict[str, Any]:
    shown = {"role": field(message, "role") or "assistant", "content": field(message, "content")}
    calls = field(message, "tool_calls")
    if calls:
        shown["tool_calls"] = [_call_of(call) for call in calls]
    legacy = field(message, "function_call")
    if legacy is not None:
        shown["tool_calls"] = [tool_call(None, field(legacy, "name"), field(legacy, "arguments"))]
    for name in ("refusal", "reasoning", "reasoning_content"):
        value = field(message, name)
        if value:
            shown["reasoning" if name == "reasoning_content" else name] = value
    return shown


def _call_of(call: Any) -> dict[str, Any]:
    function = field(call, "function")
    if function is None:  # a custom tool: its input is free text
        function = field(call, "custom")
        return tool_call(field(call, "id"), field(function, "name"), field(function, "input"))
    return tool_call(field(call, "id"), field(function, "name"), field(function, "arguments"))


def _one_or_all(shown: list[dict[str, Any]]) -> dict[str, Any]:
    return shown[0] if len(shown) == 1 else {"choices": shown}


def _common(result: Any, finishes: list[Any]) -> dict[str, Any]:
    usage = field(result, "usage")
    metadata = {} if usage is None else usage_of(usage)
    metadata["response_id"] = field(result, "id")
    metadata["response_model"] = field(result, "model")
    if finishes:
        metadata["finish_reason"] = finishes[0] if len(set(finishes)) == 1 else finishes
    return without_none(metadata)


def usage_of(usage: Any) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` include those read from and written to the cache."""
    prompt = field(usage, "prompt_tokens")
    details = field(usage, "prompt_tokens_details")
    completion_details = field(usage, "completion_tokens_details")
    metadata = {
        "prompt_tokens": prompt,
        "completion_tokens": field(usage, "completion_tokens"),
        "total_tokens": field(usage, "total_tokens"),
    }
    if details is not None:
        metadata["cache_read_tokens"] = field(details, "cached_tokens")
        metadata["cache_write_tokens"] = field(details, "cache_write_tokens")
    if completion_details is not None:
        metadata["reasoning_tokens"] = field(completion_details, "reasoning_tokens")
    return without_none(metadata)


class ChatGather:
    """A chat completion from its chunks."""

    __slots__ = ("_choices", "_last", "_usage")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None
        self._last: Any = None

    def add(self, chunk: Any) -> None:
        """One chunk: only its deltas are kept."""
        self._last = chunk
        usage = field(chunk, "usage")
        if usage is None:
            usage = field(field(chunk, "x_groq"), "usage")
        if usage is not None:
            self._usage = usage
        for choice in field(chunk, "choices") or ():
            index = field(choice, "index") or 0
            held = self._choices.get(index)
            if held is None:
                held = self._choices[index] = _Choice()
            held.add(choice)

    def answer(self) -> Answer:
        """The completion as far as it came."""
        held = [choice for _, choice in sorted(self._choices.items())]
        finishes = [choice.finish for choice in held if choice.finish]
        metadata = _common(self._last, finishes)
        if self._usage is not None:
            metadata.update(usage_of(self._usage))
        shown = [choice.message() for choice in held] or [{"role": "assistant", "content": None}]
        return Answer(_one_or_all(shown), metadata)


class _Choice:
    __slots__ = ("calls", "content", "finish", "reasoning", "refusal", "role")

    def __init__(self) -> None:
        self.role = "assistant"
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, list[Any]] = {}
        self.finish: Any = None

    def add(self, choice: Any) -> None:
        finish = field(choice, "finish_reason")
        if finish is not None:
            self.finish = finish
        delta = field(choice, "delta")
        content = field(delta, "content")
        if content:
            self.content.append(content)
            return
        for name, pieces in (
            ("reasoning_content", self.reasoning),
            ("reasoning", self.reasoning),
            ("refusal", self.refusal),
        ):
            piece = field(delta, name)
            if piece:
                pieces.append(piece)
        for call in field(delta, "tool_calls") or ():
            self._add_call(call)

    def _add_call(self, call: Any) -> None:
        index = field(call, "index") or 0
        held = self.calls.setdefault(index, [None, None, ""])
        function = field(call, "function") or field(call, "custom")
        held[0] = field(call, "id") or held[0]
        held[1] = field(function, "name") or held[1]
        held[2] += field(function, "arguments") or field(function, "input") or ""

    def message(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "role": self.role,
            "content": "".join(self.content) if self.content else None,
        }
        if self.calls:
            shown["tool_calls"] = [tool_call(*held) for _, held in sorted(self.calls.items())]
        if self.reasoning:
            shown["reasoning"] = "".join(self.reasoning)
        if self.refusal:
            shown["refusal"] = "".join(self.refusal)
        return shown


def text_answer(result: Any) -> Answer:
    """A whole (legacy) text completion."""
    choices = field(result, "choices") or []
    finishes = [reason for choice in choices if (reason := field(choice, "finish_reason"))]
    shown = [{"role": "assistant", "content": field(choice, "text")} for choice in choices]
    return Answer(_one_or_all(shown), _common(result, finishes))


class TextGather(ChatGather):
    """A text completion from its chunks."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """One chunk, read as if its text were a delta's content."""
        choices = [
            {
                "index": field(choice, "index"),
                "finish_reason": field(choice, "finish_reason"),
                "delta": {"content": field(choice, "text")},
            }
            for choice in field(chunk, "choices") or ()
        ]
        names = ("id", "model", "usage")
        super().add({"choices": choices, **{name: field(chunk, name) for name in names}})
