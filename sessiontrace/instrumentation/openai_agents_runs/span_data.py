"""The data of OpenAI Agents' spans as the fields of events.

Pure functions, in the task of the run. Invariant: reading changes nothing, and counts that the SDK
fills with zeros are no counts.
"""

from __future__ import annotations

import json
from typing import Any

from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.core.token_counts import reported_usage
from sessiontrace.instrumentation.openai_family.chat_format import chat_answer
from sessiontrace.instrumentation.openai_family.responses_format import response_answer

__all__ = ["error_message", "model_answer", "model_inputs", "model_settings", "tool_inputs"]

_HYPERPARAMETERS = frozenset(
    {"temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty", "tool_choice"}
)
_FAKE_ID = "__fake_id__"


def tool_inputs(text: Any) -> Any:
    """The arguments of a tool: decoded where they are a JSON object."""
    if isinstance(text, str):
        try:
            value = json.loads(text)
        except ValueError:
            return {"input": text}
        return value if isinstance(value, dict) else {"input": value}
    return text


def model_inputs(data: Any) -> list[Any] | None:
    """The messages that went to the model; None where the span does not have them."""
    history = data.input
    if not history:
        return None
    if isinstance(history, str):
        history = [{"role": "user", "content": history}]
    instructions = get_field(get_field(data, "response"), "instructions")
    if isinstance(instructions, str):
        return [{"role": "system", "content": instructions}, *history]
    return list(history)


def model_answer(data: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and metadata; outputs are None where the model did not answer."""
    if data.type == "response":
        if data.response is None:
            return None, {}
        return response_answer(data.response)
    outputs = data.output or []
    counts = _counts(data.usage)
    if not outputs:
        return None, counts
    if len(outputs) == 1 and isinstance(get_field(outputs[0], "output"), list):  # streamed
        answer, metadata = response_answer(outputs[0])
        return answer, {**_without_zeros(metadata), **counts}
    answer, _ = chat_answer({"choices": [{"message": entry} for entry in outputs]})
    return answer, counts


def _counts(usage: Any) -> dict[str, Any]:
    return _without_zeros(reported_usage(usage))


def _without_zeros(metadata: dict[str, Any]) -> dict[str, Any]:
    """The SDK makes an id and zeros where the provider sent none."""
    if metadata.get("response_id") == _FAKE_ID:
        metadata = {name: value for name, value in metadata.items() if name != "response_id"}
    if not metadata.get("prompt_tokens") and not metadata.get("completion_tokens"):
        return {name: value for name, value in metadata.items() if not name.endswith("_tokens")}
    return metadata


def model_settings(data: Any) -> dict[str, Any]:
    """Model and hyperparameters, as far as the span has them."""
    if data.type == "response":
        return without_none({"model": get_field(data.response, "model"), "provider": "openai"})
    settings = data.model_config or {}
    return without_none(
        {"model": data.model, "hyperparameters": pick(settings, _HYPERPARAMETERS) or None}
    )


def error_message(error: Any) -> str:
    """The message of a span's error, with the model's or tool's own words."""
    text = get_field(error, "message") or "error"
    details = get_field(error, "data")
    own = details.get("error") if isinstance(details, dict) else None
    return f"{text}: {own}" if own else str(text)
