"""What a model call used and cost, read from the fields of its record.

Pure functions over decoded fields, no thread owns them. ``prompt_tokens`` includes tokens read from
and written to the provider's cache, and ``completion_tokens`` includes reasoning; counts are in the
metadata, else in the metrics. Invariant: whatever the fields hold, these return counts, an amount
or None, and never raise.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

__all__ = ["CallUsage", "call_cost", "call_tokens", "call_usage", "has_cost", "is_cached"]

Places = list[dict[str, Any]]

_MOST = 1 << 32  # of tokens or money in one step: sums of them stay far within 64 bits
_WHOLE = ("cost", "total_cost")
_PARTS = (("prompt_cost",), ("completion_cost", "output_cost"))
_COSTS = frozenset((*_WHOLE, *(name for names in _PARTS for name in names)))
_PLACES = ("metadata", "metrics")


class CallUsage(NamedTuple):
    """Counts of one call, 0 where unknown.

    ``prompt`` includes ``cache_read`` and ``cache_write``, and that one ``cache_write_1h``; both
    sides include their sound and images.
    ``exclusive``: the record's own ``prompt_tokens`` left the cache out.
    """

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    prompt_audio: int = 0
    prompt_images: int = 0
    completion_audio: int = 0
    completion_images: int = 0
    web_searches: int = 0
    exclusive: bool = False

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.total or self.prompt + self.completion


def call_usage(event: dict[str, Any]) -> CallUsage:
    """The counts of a model call.

    A prompt that is smaller than its own cache can only be a count without the cache: it is
    completed here.
    """
    places = _places(event, _COUNTS)
    return _usage(places) if places else _NOTHING


def _usage(places: Places) -> CallUsage:
    prompt = _count(places, "prompt_tokens", "input_tokens")
    read = _count(places, "cache_read_tokens")
    written_1h = _count(places, "cache_write_1h_tokens")
    lifetimes = _count(places, "cache_write_5m_tokens") + written_1h
    written = _count(places, "cache_write_tokens") or lifetimes
    exclusive = read + written > prompt
    return CallUsage(
        prompt=prompt + read + written if exclusive else prompt,
        completion=_count(places, "completion_tokens", "output_tokens"),
        total=_count(places, "total_tokens"),
        cache_read=read,
        cache_write=written,
        cache_write_1h=min(written_1h, written),
        prompt_audio=_count(places, "prompt_audio_tokens"),
        prompt_images=_count(places, "prompt_image_tokens"),
        completion_audio=_count(places, "completion_audio_tokens"),
        completion_images=_count(places, "completion_image_tokens"),
        web_searches=_count(places, "web_search_requests"),
        exclusive=exclusive,
    )


_NOTHING = CallUsage()
_COUNTS = frozenset(
    {
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "prompt_audio_tokens",
        "prompt_image_tokens",
        "completion_audio_tokens",
        "completion_image_tokens",
        "web_search_requests",
    }
)
"""All names that ``call_usage`` reads."""


def _places(event: dict[str, Any], names: AbstractSet[str]) -> Places:
    """The record's objects that have any of these names, the first one first."""
    return [
        values
        for place in _PLACES
        if isinstance(values := event.get(place), dict) and not names.isdisjoint(values)
    ]


def call_tokens(event: dict[str, Any]) -> int:
    """Tokens of a call, input and output together; 0 where unknown."""
    places = _places(event, _COUNTS)
    if not places:
        return 0
    return _count(places, "total_tokens") or _usage(places).tokens


def call_cost(event: dict[str, Any]) -> float | None:
    """The cost of a call: its total, else the sum of its parts; None where neither is known."""
    if not has_cost(event):
        return None
    places = _places(event, _COSTS)
    whole = _number(places, _WHOLE)
    if whole is not None:
        return whole
    parts = [part for names in _PARTS if (part := _number(places, names)) is not None]
    return sum(parts) if parts else None


def has_cost(event: dict[str, Any]) -> bool:
    """Whether the record has a cost of any form, also one that is not a number."""
    for place in _PLACES:
        values = event.get(place)
        if not isinstance(values, dict) or _COSTS.isdisjoint(values):
            continue
        if any(values.get(name) is not None for name in _COSTS):
            return True
    return False


def is_cached(event: dict[str, Any]) -> bool:
    """Whether the answer came from a cache of the program's own, which costs nothing."""
    metadata = event.get("metadata")
    return isinstance(metadata, dict) and metadata.get("cached") is True


def _count(places: Places, *names: str) -> int:
    return int(_number(places, names) or 0)


def _number(places: Places, names: tuple[str, ...]) -> float | None:
    for values in places:
        for name in names:
            value = values.get(name)
            if (type(value) is int or type(value) is float) and 0 <= value < _MOST:
                return value
    return None
