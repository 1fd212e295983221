"""The chat completions API, which OpenAI made and many others speak: requests, answers, chunks.

Pure reading of values, on the thread of the call. Invariant: one event shape, whichever of the
speakers answered, streamed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import get_field, pick, reader, tool_call

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
    return {"chat_history": body.get("messages", [])}, pick(body, _HYPERPARAMETERS)


def chat_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole chat completion."""
    get = reader(result)
    shown, finishes = [], []
    for choice in get("choices") or ():
        told = reader(choice)
        shown.append(_message(told("message")))
        finishes.append(told("finish_reason"))
    return Answer(_one_or_all(shown), _common(get, finishes))


def _message(message: Any) -> dict[str, Any]:
    get = reader(message)
    shown = {"role": get("role") or "assistant", "content": get("content")}
    if calls := get("tool_calls"):
        shown["tool_calls"] = [_call_of(call) for call in calls]
    if (legacy := get("function_call")) is not None:
        shown["tool_calls"] = [
            tool_call(None, get_field(legacy, "name"), get_field(legacy, "arguments"))
        ]
    if refusal := get("refusal"):
        shown["refusal"] = refusal
    if thought := get("reasoning") or get("reasoning_content"):
        shown["reasoning"] = thought
    return shown


def _call_of(call: Any) -> dict[str, Any]:
    function = get_field(call, "function")
    if function is None:  # a custom tool: its input is free text
        function = get_field(call, "custom")
        return tool_call(
            get_field(call, "id"), get_field(function, "name"), get_field(function, "input")
        )
    return tool_call(
        get_field(call, "id"), get_field(function, "name"), get_field(function, "arguments")
    )


def _one_or_all(shown: list[dict[str, Any]]) -> dict[str, Any]:
    return shown[0] if len(shown) == 1 else {"choices": shown}


def _common(get: Callable[[str], Any], finishes: list[Any]) -> dict[str, Any]:
    """Metadata of a result by its reader, and why each choice finished (None: it did not)."""
    metadata = usage_of(get("usage"))
    if (response_id := get("id")) is not None:
        metadata["response_id"] = response_id
    if (model := get("model")) is not None:
        metadata["response_model"] = model
    if told := [reason for reason in finishes if reason]:
        metadata["finish_reason"] = told[0] if len(set(told)) == 1 else told
    return metadata


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_CACHED = (("cache_read_tokens", "cached_tokens"), ("cache_write_tokens", "cache_write_tokens"))


def usage_of(usage: Any) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` include those read from and written to the cache."""
    if usage is None:
        return {}
    get = reader(usage)
    metadata = {}
    for name in _COUNTS:
        if (count := get(name)) is not None:
            metadata[name] = count
    if (details := get("prompt_tokens_details")) is not None:
        for name, theirs in _CACHED:
            if (count := get_field(details, theirs)) is not None:
                metadata[name] = count
    details = get("completion_tokens_details")
    if details is not None and (count := get_field(details, "reasoning_tokens")) is not None:
        metadata["reasoning_tokens"] = count
    return metadata


class ChatAssembler:
    """A chat completion from its chunks."""

    __slots__ = ("_choices", "_last", "_usage")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None
        self._last: Any = None

    def add(self, chunk: Any) -> None:
        """One chunk: only its deltas are kept."""
        self._last = chunk
        try:  # an SDK's usual chunk holds one piece of text, and only its own fields tell so
            held = chunk.__dict__
            (choice,) = held["choices"]
            told = choice.__dict__
            delta = told["delta"]
            fields = delta.__dict__
            if (
                (content := fields["content"])
                and held["usage"] is told["finish_reason"] is fields["tool_calls"] is None
                and not delta.__pydantic_extra__
            ):
                self._choices[told["index"]].content.append(content)
                return
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        self._add(chunk)

    def _add(self, chunk: Any) -> None:
        get = reader(chunk)
        usage = get("usage")
        if usage is None and (groq := get("x_groq")) is not None:
            usage = get_field(groq, "usage")
        if usage is not None:
            self._usage = usage
        for choice in get("choices") or ():
            index = get_field(choice, "index") or 0
            held = self._choices.get(index)
            if held is None:
                held = self._choices[index] = _Choice()
            held.add(choice)

    def answer(self) -> Answer:
        """The completion as far as it came."""
        held = [choice for _, choice in sorted(self._choices.items())]
        metadata = _common(reader(self._last), [choice.finish for choice in held])
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
        finish = get_field(choice, "finish_reason")
        if finish is not None:
            self.finish = finish
        get = reader(get_field(choice, "delta"))
        if content := get("content"):
            self.content.append(content)
        if thought := get("reasoning_content") or get("reasoning"):  # some send both, alike
            self.reasoning.append(thought)
        if refusal := get("refusal"):
            self.refusal.append(refusal)
        for call in get("tool_calls") or ():
            self._add_call(call)

    def _add_call(self, call: Any) -> None:
        index = get_field(call, "index") or 0
        held = self.calls.setdefault(index, [None, None, ""])
        function = get_field(call, "function") or get_field(call, "custom")
        held[0] = get_field(call, "id") or held[0]
        held[1] = get_field(function, "name") or held[1]
        held[2] += get_field(function, "arguments") or get_field(function, "input") or ""

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
    get = reader(result)
    choices = get("choices") or ()
    shown = [{"role": "assistant", "content": get_field(choice, "text")} for choice in choices]
    finishes = [get_field(choice, "finish_reason") for choice in choices]
    return Answer(_one_or_all(shown), _common(get, finishes))


class TextAssembler(ChatAssembler):
    """A text completion from its chunks."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """One chunk, read as if its text were a delta's content."""
        choices = [
            {
                "index": get_field(choice, "index"),
                "finish_reason": get_field(choice, "finish_reason"),
                "delta": {"content": get_field(choice, "text")},
            }
            for choice in get_field(chunk, "choices") or ()
        ]
        names = ("id", "model", "usage")
        super().add({"choices": choices, **{name: get_field(chunk, name) for name in names}})
