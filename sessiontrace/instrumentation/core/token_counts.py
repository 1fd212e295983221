"""Token counts: in the words of any provider, as frameworks hand them on, and of several calls.

Pure functions, on the thread of the call. Invariant: ``prompt_tokens`` includes what was read from
and written to the cache, and ``completion_tokens`` includes reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.instrumentation.core.response_fields import get_field, without_none

__all__ = ["TOKEN_COUNTS", "reported_usage", "summed"]

TOKEN_COUNTS = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "prompt_audio_tokens",
        "prompt_image_tokens",
        "completion_audio_tokens",
        "completion_image_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "web_search_requests",
        "cost",
    }
)

_PROMPT = (
    "prompt_tokens",
    "input_tokens",
    "inputTokens",
    "promptTokens",
    "prompt_token_count",
    "promptTokenCount",
    "prompt_eval_count",
)
_COMPLETION = (
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "completionTokens",
    "candidates_token_count",
    "candidatesTokenCount",
    "eval_count",
)
_TOTAL = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount")
_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details")
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount")


def summed(existing: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, float]:
    """The counts and the cost of ``values``, added to the ``existing`` ones."""
    sums = {}
    for name, count in values.items():
        if name in TOKEN_COUNTS and isinstance(count, (int, float)):
            before = existing.get(name)
            sums[name] = before + count if isinstance(before, (int, float)) else count
    return sums


def reported_usage(usage: Any) -> dict[str, Any]:
    """The counts of one answer; ``usage``: the provider's own object, its JSON, or None."""
    if not usage:
        return {}
    prompt, completion = _first(usage, *_PROMPT), _first(usage, *_COMPLETION)
    read = _first(usage, "cache_read_input_tokens", "cacheReadInputTokens")
    write = _first(usage, "cache_creation_input_tokens", "cacheWriteInputTokens")
    if prompt is not None:  # Anthropic and Bedrock count the cache beside the prompt
        prompt += (read or 0) + (write or 0)
    if completion is not None:  # Gemini counts the thoughts beside the answer
        completion += _first(usage, *_THOUGHTS) or 0
    total = _first(usage, *_TOTAL)
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    if read is None:
        read = get_field(_first(usage, *_DETAILS), "cached_tokens")
    reasoning = get_field(_first(usage, *_COMPLETION_DETAILS), "reasoning_tokens")
    return without_none(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "cache_read_tokens": read,
            "cache_write_tokens": write,
            "reasoning_tokens": _first(usage, *_THOUGHTS) if reasoning is None else reasoning,
        }
    )


def _first(usage: Any, *names: str) -> Any:
    for name in names:
        if (count := get_field(usage, name)) is not None:
            return count
    return None
