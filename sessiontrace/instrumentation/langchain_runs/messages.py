"""LangChain's messages, generations and usage in the form that events have.

Pure functions, on the thread of the run. Invariant: reading changes nothing, and a field that no
convention names is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    tool_call,
    without_none,
)
from sessiontrace.instrumentation.core.token_counts import reported_usage

__all__ = ["llm_answer", "message", "with_messages"]

_ROLES = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "chat": "user",
}

_EXTRA_FIELDS = ("name", "status", "artifact", "invalid_tool_calls")
_ADDITIONAL_KNOWN = frozenset({"tool_calls", "function_call", "reasoning_content", "refusal"})
_OWN_ID_PREFIXES = ("run-", "run--", "lc_", "lc_run")


def message(value: Any) -> Any:
    """A LangChain message as events show it; anything else as it is."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return {"role": _ROLES.get(value[0], value[0]), "content": value[1]}
    if isinstance(value, (Mapping, str)) or get_field(value, "content") is None:
        return value
    kind = get_field(value, "type")
    if not isinstance(kind, str):
        return value
    role = get_field(value, "role") or _ROLES.get(kind, kind)
    fields: dict[str, Any] = {"role": role, "content": get_field(value, "content")}
    additional = get_field(value, "additional_kwargs")
    additional = additional if isinstance(additional, Mapping) else {}
    if calls := _tool_calls(value, additional):
        fields["tool_calls"] = calls
    if (call_id := get_field(value, "tool_call_id")) is not None:
        fields["tool_call_id"] = call_id
    for name in _EXTRA_FIELDS:
        if name == "status" and get_field(value, name) == "success":
            continue
        if extra := get_field(value, name):
            fields[name] = extra
    fields.update(_additional(additional))
    return fields


def _tool_calls(value: Any, additional: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls = [
        tool_call(get_field(call, "id"), get_field(call, "name"), get_field(call, "args"))
        for call in get_field(value, "tool_calls") or ()
    ]
    legacy = additional.get("function_call")
    if legacy and not calls:
        calls.append(tool_call(None, get_field(legacy, "name"), get_field(legacy, "arguments")))
    return calls


def _additional(additional: Mapping[str, Any]) -> dict[str, Any]:
    """What a provider's package keeps beside the message, without what is a field already."""
    fields = {}
    if reasoning := additional.get("reasoning_content"):
        fields["reasoning"] = reasoning
    if refusal := additional.get("refusal"):
        fields["refusal"] = refusal
    if others := {
        name: value
        for name, value in additional.items()
        if name not in _ADDITIONAL_KNOWN and value is not None
    }:
        fields["additional_kwargs"] = others
    return fields


def with_messages(outputs: Any) -> Any:
    """Inputs or outputs of a run, with the messages in them as events show them."""
    if isinstance(outputs, Mapping):
        messages = outputs.get("messages")
        if isinstance(messages, (list, tuple)):
            return {**outputs, "messages": [message(entry) for entry in messages]}
        return outputs
    if isinstance(outputs, list) and outputs and _is_message(outputs[0]):
        return [message(entry) for entry in outputs]
    return message(outputs) if _is_message(outputs) else outputs


def _is_message(value: Any) -> bool:
    return hasattr(value, "additional_kwargs") and hasattr(value, "response_metadata")


def llm_answer(response: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and metadata of an ``LLMResult`` with the generations of one prompt."""
    generations = response.generations[0] if response.generations else []
    messages = [_generated(generation) for generation in generations]
    outputs = messages[0] if len(messages) == 1 else {"choices": messages}
    output = getattr(response, "llm_output", None)
    return outputs, _metadata(generations, output if isinstance(output, Mapping) else {})


def _generated(generation: Any) -> Any:
    value = getattr(generation, "message", None)
    if value is None:
        return {"role": "assistant", "content": generation.text}
    return message(value)


def _metadata(generations: Iterable[Any], llm_output: Mapping[str, Any]) -> dict[str, Any]:
    """Each choice of one answer carries the usage of all, so the first usage counts, once."""
    usage: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    reasons: list[Any] = []
    for generation in generations:
        value = getattr(generation, "message", None)
        response: dict[str, Any] = {
            **(getattr(generation, "generation_info", None) or {}),
            **(get_field(value, "response_metadata") or {}),
        }
        if reason := _finish_reason(response):
            reasons.append(reason)
        usage = usage or _usage(get_field(value, "usage_metadata"), response)
        merged = merged or _identity(value, response)
    return without_none(
        {
            **(usage or _reported_usage(llm_output)),
            "finish_reason": reasons[0] if len(set(map(str, reasons))) == 1 else reasons or None,
            "response_model": llm_output.get("model_name") or llm_output.get("model"),
            "response_id": llm_output.get("id"),
            **merged,
        }
    )


def _finish_reason(response: Mapping[str, Any]) -> Any:
    for name in ("finish_reason", "stop_reason", "done_reason", "stopReason"):
        if reason := response.get(name):
            return reason
    return None


def _identity(value: Any, response: Mapping[str, Any]) -> dict[str, Any]:
    """Model and id of the answer, as the provider gave them; LangChain's run id is neither."""
    own_id = get_field(value, "id")
    if isinstance(own_id, str) and own_id.startswith(_OWN_ID_PREFIXES):
        own_id = None
    return without_none(
        {
            "response_model": response.get("model_name") or response.get("model") or None,
            "response_id": response.get("id") or own_id,
        }
    )


def _usage(usage: Any, response: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a message; an answer from LangChain's cache used no tokens."""
    if not usage:
        return _reported_usage(response)
    if get_field(usage, "total_cost") == 0:
        return {"cached": True}
    read = get_field(usage, "input_token_details")
    written = get_field(usage, "output_token_details")
    return without_none(
        {
            "prompt_tokens": get_field(usage, "input_tokens"),
            "completion_tokens": get_field(usage, "output_tokens"),
            "total_tokens": get_field(usage, "total_tokens"),
            "cache_read_tokens": get_field(read, "cache_read"),
            "cache_write_tokens": _cache_writes(read),
            "cache_write_1h_tokens": get_field(read, "ephemeral_1h_input_tokens"),
            "reasoning_tokens": get_field(written, "reasoning"),
            "prompt_audio_tokens": get_field(read, "audio") or None,
            "completion_audio_tokens": get_field(written, "audio") or None,
        }
    )


def _cache_writes(details: Any) -> Any:
    """The tokens written to the cache; langchain-anthropic counts them by lifetime, too."""
    if total := get_field(details, "cache_creation"):
        return total
    lifetimes = [
        get_field(details, f"ephemeral_{lifetime}_input_tokens") for lifetime in ("5m", "1h")
    ]
    counts = [count for count in lifetimes if count is not None]
    return sum(counts) if counts else get_field(details, "cache_creation")


def _reported_usage(response: Mapping[str, Any]) -> dict[str, Any]:
    """The counts in the provider's own words, which packages without ``usage_metadata`` keep."""
    usage = response.get("token_usage") or response.get("usage") or response.get("tokenUsage")
    return reported_usage(usage)
