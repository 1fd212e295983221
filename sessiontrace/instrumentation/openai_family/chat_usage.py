"""The token counts of chat completions, by the names of OpenAI and of providers like it.

Pure functions, on the thread of the call. Invariant: ``prompt_tokens`` includes the cache, and
``completion_tokens`` includes reasoning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.instrumentation.core.response_fields import get_field, reader

_PROMPT_DETAILS = (
    ("cache_read_tokens", "cached_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("prompt_audio_tokens", "audio_tokens"),
)
_COMPLETION_DETAILS = (
    ("reasoning_tokens", "reasoning_tokens"),
    ("completion_audio_tokens", "audio_tokens"),
)
_RARE = frozenset({"prompt_audio_tokens", "completion_audio_tokens"})  # left out where they are 0


def usage_of(usage: Any) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` includes tokens read from and written to the cache.

    ``completion_tokens`` includes reasoning.
    """
    if usage is None:
        return {}
    get = reader(usage)
    metadata: dict[str, Any] = {}
    if (count := get("prompt_tokens")) is not None:
        metadata["prompt_tokens"] = count
    if (count := get("completion_tokens")) is not None:
        metadata["completion_tokens"] = count
    if (count := get("total_tokens")) is not None:
        metadata["total_tokens"] = count
    if (details := get("prompt_tokens_details")) is not None:
        _add_details(details, _PROMPT_DETAILS, metadata)
    if (details := get("completion_tokens_details")) is not None:
        _add_details(details, _COMPLETION_DETAILS, metadata)
    if not (
        get("cost")
        is get("prompt_cache_hit_tokens")
        is get("cached_tokens")
        is get("reasoning_tokens")
        is None
    ):
        _add_elsewhere(get, metadata)
    if reasoning := metadata.get("reasoning_tokens"):
        _include(reasoning, metadata)
    return metadata


# Outside of the details, by the names of DeepSeek, Moonshot and Perplexity.
_ELSEWHERE = (
    ("cache_read_tokens", "prompt_cache_hit_tokens"),
    ("cache_read_tokens", "cached_tokens"),
    ("reasoning_tokens", "reasoning_tokens"),
)


def _add_details(
    details: Any, names: tuple[tuple[str, str], ...], metadata: dict[str, Any]
) -> None:
    """Add the counts of one kind of tokens, by our names and theirs."""
    get = reader(details)
    for name, theirs in names:
        count = get(theirs)
        if count or (count is not None and name not in _RARE):
            metadata[name] = count


def _add_elsewhere(get: Callable[[str], Any], metadata: dict[str, Any]) -> None:
    """Add what providers say beside OpenAI's counts; OpenRouter and Perplexity say the cost."""
    for name, theirs in _ELSEWHERE:
        if name not in metadata and (count := get(theirs)) is not None:
            metadata[name] = count
    if (cost := get("cost")) is not None:  # in US dollars
        cost = cost if isinstance(cost, (int, float)) else get_field(cost, "total_cost")
        metadata.update({} if cost is None else {"cost": cost})


def _include(reasoning: int, metadata: dict[str, Any]) -> None:
    """Count reasoning in the completion where the provider counts it beside, as xAI does.

    Then only the three together are the total: docs.x.ai/docs/guides/reasoning.
    """
    prompt, completion = metadata.get("prompt_tokens"), metadata.get("completion_tokens")
    if prompt is None or completion is None:
        return
    if prompt + completion + reasoning == metadata.get("total_tokens"):
        metadata["completion_tokens"] = completion + reasoning
