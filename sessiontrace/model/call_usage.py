"""What a model call used and cost, read from the fields of its record.

Pure functions over decoded fields, no thread owns them. ``prompt_tokens`` includes tokens read from
and written to the provider's cache, and ``completion_tokens`` includes reasoning; counts are in the
metadata, else in the metrics. Invariant: whatever the fields hold, these return counts, an amount
or None, and never raise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "CALL_COSTS",
    "CALL_COUNTS",
    "CallUsage",
    "call_cost",
    "call_tokens",
    "call_usage",
    "has_cost",
    "is_cached",
    "is_usage",
]

Places = list[dict[str, Any]]

_MOST = 1 << 32  # of tokens or money in one step: sums of them stay far within 64 bits
_WHOLE = ("cost", "total_cost")
_PARTS = (("prompt_cost",), ("completion_cost", "output_cost"))
CALL_COSTS = _COSTS = frozenset((*_WHOLE, *(name for names in _PARTS for name in names)))
"""All names of amounts."""
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
    counts = _counts(event)
    if not counts:
        return _NOTHING
    prompt, read, written, exclusive = _input(counts)
    count = counts.get
    return CallUsage(
        prompt=prompt,
        completion=count("completion", 0),
        total=count("total", 0),
        cache_read=read,
        cache_write=written,
        cache_write_1h=min(count("written_1h", 0), written),
        prompt_audio=count("prompt_audio", 0),
        prompt_images=count("prompt_images", 0),
        completion_audio=count("completion_audio", 0),
        completion_images=count("completion_images", 0),
        web_searches=count("web_searches", 0),
        exclusive=exclusive,
    )


def _input(counts: dict[str, int]) -> tuple[int, int, int, bool]:
    """The whole prompt, what of it was read from and written to the cache, and ``exclusive``."""
    prompt, read = counts.get("prompt", 0), counts.get("read", 0)
    written = counts.get("written", 0)
    if not written:
        written = counts.get("written_5m", 0) + counts.get("written_1h", 0)
    exclusive = read + written > prompt
    return prompt + read + written if exclusive else prompt, read, written, exclusive


_NOTHING = CallUsage()
_NAMES: dict[str, tuple[str, str | None]] = {
    "prompt_tokens": ("prompt", None),
    "input_tokens": ("prompt", "prompt_tokens"),
    "completion_tokens": ("completion", None),
    "output_tokens": ("completion", "completion_tokens"),
    "total_tokens": ("total", None),
    "cache_read_tokens": ("read", None),
    "cache_write_tokens": ("written", None),
    "cache_write_5m_tokens": ("written_5m", None),
    "cache_write_1h_tokens": ("written_1h", None),
    "prompt_audio_tokens": ("prompt_audio", None),
    "prompt_image_tokens": ("prompt_images", None),
    "completion_audio_tokens": ("completion_audio", None),
    "completion_image_tokens": ("completion_images", None),
    "web_search_requests": ("web_searches", None),
}
"""The names of the counts, each with what it counts, and the name that goes before it."""
CALL_COUNTS = _COUNTS = frozenset(_NAMES)
"""All names that ``call_usage`` reads."""


def _counts(event: dict[str, Any]) -> dict[str, int]:
    """What the record counts: the first place counts, and of two names in it the first one."""
    counts: dict[str, int] = {}
    for place in _PLACES:
        values = event.get(place)
        if not isinstance(values, dict) or not (names := _COUNTS.intersection(values)):
            continue
        of_place: dict[str, int] = {}
        for name in names:
            value = values[name]
            if (type(value) is int or type(value) is float) and 0 <= value < _MOST:
                count, first = _NAMES[name]
                if first is None or not _is_amount(values.get(first)):
                    of_place[count] = int(value)
        counts = {**of_place, **counts} if counts else of_place
    return counts


def call_tokens(event: dict[str, Any]) -> int:
    """Tokens of a call, input and output together; 0 where unknown."""
    counts = _counts(event)
    if not counts:
        return 0
    return counts.get("total") or _input(counts)[0] + counts.get("completion", 0)


def call_cost(event: dict[str, Any]) -> float | None:
    """The cost of a call: its total, else the sum of its parts; None where neither is known."""
    places = [
        values
        for place in _PLACES
        if isinstance(values := event.get(place), dict) and not _COSTS.isdisjoint(values)
    ]
    if not places:
        return None
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
        if values.get("cost") is not None or any(
            values.get(name) is not None for name in _COSTS.intersection(values)
        ):
            return True
    return False


def is_usage(name: str) -> bool:
    """Whether an entry of this name is a count or an amount of a call's usage."""
    return name.endswith("_tokens") or name in _COUNTS or name in _COSTS


def is_cached(event: dict[str, Any]) -> bool:
    """Whether the answer came from a cache of the program's own, which costs nothing."""
    metadata = event.get("metadata")
    return isinstance(metadata, dict) and metadata.get("cached") is True


def _number(places: Places, names: tuple[str, ...]) -> float | None:
    for values in places:
        for name in names:
            if name in values and _is_amount(value := values[name]):
                amount: float = value
                return amount
    return None


def _is_amount(value: Any) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value < _MOST
