"""The token counts of chat completions, by the names of OpenAI and of providers like it.

Pure functions, on the thread of the call. Invariant: ``prompt_tokens`` includes the cache, and
``completion_tokens`` includes reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.instrumentation.core.response_fields import all_fields, get_field, reader

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = (
    (
        "prompt_tokens_details",
        (
            ("cache_read_tokens", "cached_tokens"),
            ("cache_write_tokens", "cache_write_tokens"),
            ("prompt_audio_tokens", "audio_tokens"),
        ),
    ),
    (
        "completion_tokens_details",
        (("reasoning_tokens", "reasoning_tokens"), ("completion_audio_tokens", "audio_tokens")),
    ),
)
_RARE = frozenset({"prompt_audio_tokens", "completion_audio_tokens"})  # left out where they are 0


def usage_of(usage: Any) -> dict[str, Any]:
    """Token counts; ``prompt_tokens`` includes tokens read from and written to the cache.

    ``completion_tokens`` includes reasoning.
    """
    if usage is None:
        return {}
    get = reader(usage)
    metadata = {name: count for name in _COUNTS if (count := get(name)) is not None}
    for place, names in _DETAILS:
        if (details := get(place)) is not None:
            get_detail = reader(details)
            for name, theirs in names:
                count = get_detail(theirs)
                if count or (count is not None and name not in _RARE):
                    metadata[name] = count
    if not _OTHER_NAMES.isdisjoint(fields := all_fields(usage)):
        _add_elsewhere(fields, metadata)
    if reasoning := metadata.get("reasoning_tokens"):
        _include(reasoning, metadata)
    return metadata


# Outside of the details, by the names of DeepSeek, Moonshot and Perplexity.
_ELSEWHERE = (
    ("cache_read_tokens", "prompt_cache_hit_tokens"),
    ("cache_read_tokens", "cached_tokens"),
    ("reasoning_tokens", "reasoning_tokens"),
)
_OTHER_NAMES = frozenset({"cost", *(theirs for _, theirs in _ELSEWHERE)})


def _add_elsewhere(fields: Mapping[str, Any], metadata: dict[str, Any]) -> None:
    """Add what providers say beside OpenAI's counts; OpenRouter and Perplexity say the cost."""
    for name, theirs in _ELSEWHERE:
        if name not in metadata and (count := fields.get(theirs)) is not None:
            metadata[name] = count
    if (cost := fields.get("cost")) is not None:  # in US dollars
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
