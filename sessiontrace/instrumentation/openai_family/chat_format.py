"""The chat completions API of OpenAI and of many other providers: requests, answers, chunks.

Pure functions, on the thread of the call. Invariant: an event has the same shape whichever provider
answered, streamed or not.
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
    messages, finish_reasons = [], []
    for choice in get("choices") or ():
        get_choice = reader(choice)
        messages.append(_message(get_choice("message")))
        finish_reasons.append(get_choice("finish_reason"))
    return Answer(_outputs(messages), _metadata(get, finish_reasons))


def _message(message: Any) -> dict[str, Any]:
    get = reader(message)
    outputs = {"role": get("role") or "assistant", "content": get("content")}
    if calls := get("tool_calls"):
        outputs["tool_calls"] = [_tool_call(call) for call in calls]
    if (legacy := get("function_call")) is not None:
        outputs["tool_calls"] = [
            tool_call(None, get_field(legacy, "name"), get_field(legacy, "arguments"))
        ]
    if refusal := get("refusal"):
        outputs["refusal"] = refusal
    if reasoning := get("reasoning") or get("reasoning_content"):
        outputs["reasoning"] = reasoning
    return outputs


def _tool_call(call: Any) -> dict[str, Any]:
    function = get_field(call, "function")
    if function is None:  # a custom tool: its input is free text
        function = get_field(call, "custom")
        return tool_call(
            get_field(call, "id"), get_field(function, "name"), get_field(function, "input")
        )
    return tool_call(
        get_field(call, "id"), get_field(function, "name"), get_field(function, "arguments")
    )


def _outputs(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return messages[0] if len(messages) == 1 else {"choices": messages}


def _metadata(get: Callable[[str], Any], finish_reasons: list[Any]) -> dict[str, Any]:
    """Metadata of a result by its reader; the reason of a choice that did not finish is None."""
    metadata = usage_of(get("usage"))
    if (response_id := get("id")) is not None:
        metadata["response_id"] = response_id
    if (model := get("model")) is not None:
        metadata["response_model"] = model
    if reasons := [reason for reason in finish_reasons if reason]:
        metadata["finish_reason"] = reasons[0] if len(set(reasons)) == 1 else reasons
    return metadata


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_CACHED = (("cache_read_tokens", "cached_tokens"), ("cache_write_tokens", "cache_write_tokens"))


def usage_of(usage: Any) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` includes tokens read from and written to the cache."""
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
        """Keep the deltas of one chunk."""
        self._last = chunk
        # Most chunks hold one piece of text and nothing else. Those take a shortcut through the
        # attributes of the SDK's models; every other form raises here, or fails the test.
        try:
            chunk_fields = chunk.__dict__
            (choice,) = chunk_fields["choices"]
            choice_fields = choice.__dict__
            delta = choice_fields["delta"]
            fields = delta.__dict__
            if (
                (content := fields["content"])
                and chunk_fields["usage"]
                is choice_fields["finish_reason"]
                is fields["tool_calls"]
                is None
                and not delta.__pydantic_extra__
            ):
                self._choices[choice_fields["index"]].content.append(content)
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
            assembled = self._choices.get(index)
            if assembled is None:
                assembled = self._choices[index] = _Choice()
            assembled.add(choice)

    def answer(self) -> Answer:
        """The completion as far as it has come."""
        choices = [choice for _, choice in sorted(self._choices.items())]
        metadata = _metadata(reader(self._last), [choice.finish_reason for choice in choices])
        if self._usage is not None:
            metadata.update(usage_of(self._usage))
        messages = [choice.message() for choice in choices]
        return Answer(_outputs(messages or [{"role": "assistant", "content": None}]), metadata)


class _Choice:
    """One choice of a streamed completion, from its deltas."""

    __slots__ = ("calls", "content", "finish_reason", "reasoning", "refusal", "role")

    def __init__(self) -> None:
        self.role = "assistant"
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, list[Any]] = {}
        self.finish_reason: Any = None

    def add(self, choice: Any) -> None:
        finish_reason = get_field(choice, "finish_reason")
        if finish_reason is not None:
            self.finish_reason = finish_reason
        get = reader(get_field(choice, "delta"))
        if content := get("content"):
            self.content.append(content)
        if reasoning := get("reasoning_content") or get("reasoning"):  # some send both, equal
            self.reasoning.append(reasoning)
        if refusal := get("refusal"):
            self.refusal.append(refusal)
        for call in get("tool_calls") or ():
            self._add_call(call)

    def _add_call(self, call: Any) -> None:
        index = get_field(call, "index") or 0
        parts = self.calls.setdefault(index, [None, None, ""])  # id, name, arguments
        function = get_field(call, "function") or get_field(call, "custom")
        parts[0] = get_field(call, "id") or parts[0]
        parts[1] = get_field(function, "name") or parts[1]
        parts[2] += get_field(function, "arguments") or get_field(function, "input") or ""

    def message(self) -> dict[str, Any]:
        outputs: dict[str, Any] = {
            "role": self.role,
            "content": "".join(self.content) if self.content else None,
        }
        if self.calls:
            outputs["tool_calls"] = [tool_call(*parts) for _, parts in sorted(self.calls.items())]
        if self.reasoning:
            outputs["reasoning"] = "".join(self.reasoning)
        if self.refusal:
            outputs["refusal"] = "".join(self.refusal)
        return outputs


def text_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole text completion (the legacy API)."""
    get = reader(result)
    choices = get("choices") or ()
    messages = [{"role": "assistant", "content": get_field(choice, "text")} for choice in choices]
    finish_reasons = [get_field(choice, "finish_reason") for choice in choices]
    return Answer(_outputs(messages), _metadata(get, finish_reasons))


class TextAssembler(ChatAssembler):
    """A text completion from its chunks."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Keep one chunk, as if its text were the content of a delta."""
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
