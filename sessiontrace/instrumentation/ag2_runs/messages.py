"""AG2's events as messages of a conversation, as events of ours show them.

Pure functions, inside the turns. Invariant: a result of a tool is one message, though AG2's history
has it alone and among the results of its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    plain,
    tool_call,
    without_none,
)

__all__ = ["answer_of", "history_of", "inputs_of", "metadata_of", "result_of"]

_COUNTS = {
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
    "reasoning_tokens": "thinking_tokens",
}


def inputs_of(event: Any) -> dict[str, Any]:
    """What a turn begins with."""
    return {"chat_history": list(_messages(event))}


def history_of(events: Iterable[Any], context: Any) -> list[dict[str, Any]]:
    """What a model gets."""
    prompt = get_field(context, "prompt") or ()
    history = [{"role": "system", "content": str(text)} for text in prompt]
    for event in events:
        history.extend(_messages(event))
    return history


def answer_of(response: Any) -> dict[str, Any]:
    """What a model answered."""
    calls = [_call(call) for call in get_field(get_field(response, "tool_calls"), "calls") or ()]
    answer = {"role": "assistant", "content": response.content}
    return {**answer, "tool_calls": calls} if calls else answer


def metadata_of(response: Any) -> dict[str, Any]:
    """The tokens of an answer, and what else is known of it."""
    usage = get_field(response, "usage")
    counts = {name: get_field(usage, field) for name, field in _COUNTS.items()}
    return without_none(
        {
            **{name: int(count) for name, count in counts.items() if count},
            "finish_reason": get_field(response, "finish_reason"),
            "response_model": get_field(response, "model"),
        }
    )


def result_of(event: Any) -> Any:
    """What a tool returned: the text of its only part, or its parts."""
    parts = [_part(part) for part in get_field(event.result, "parts") or ()]
    return parts[0] if len(parts) == 1 else parts


def _messages(event: Any) -> Iterator[dict[str, Any]]:
    kind = type(event).__name__
    if hasattr(event, "results"):
        for result in event.results:
            yield {"role": "tool", "tool_call_id": result.parent_id, "content": result_of(result)}
    elif kind.endswith("ModelRequest"):
        parts = [_part(part) for part in event.parts]
        yield {"role": "user", "content": parts[0] if len(parts) == 1 else parts}
    elif kind == "ModelResponse":
        yield answer_of(event)


def _part(part: Any) -> Any:
    for name in ("content", "data", "url"):
        value = get_field(part, name)
        if value is not None and not isinstance(value, bytes):
            return plain(value)
    return {"type": type(part).__name__}


def _call(call: Any) -> dict[str, Any]:
    return tool_call(get_field(call, "id"), get_field(call, "name"), get_field(call, "arguments"))
