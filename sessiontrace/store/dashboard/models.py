"""The values of a dashboard: which sessions it counts, and the figures that it shows.

Pure values, no thread owns them. Invariant: the points of a dashboard together count every session
that fits once, in the time of its last activity, with all of its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from sessiontrace.store.histogram import width_of

__all__ = [
    "DIMENSIONS",
    "LEVELS",
    "MODEL",
    "TAG",
    "Breakdown",
    "Dashboard",
    "Figures",
    "Group",
    "Percentiles",
    "Period",
]

MODEL, TAG = "model", "tag"
DIMENSIONS = (MODEL, "name", "user", "source", TAG)
"""What a dashboard breaks down by; keys of the query language."""

LEVELS = (0.5, 0.95, 0.99)

_MOST_POINTS = 64

Percentiles = tuple[float, float, float]
"""The values (ms) at ``LEVELS``: at least that share of the values is not greater."""


@attrs.frozen
class Period:
    """From ``since`` until before ``until``, in steps of ``width`` from ``start`` (Unix ms).

    ``before`` is where the period of equal length before it begins, which a dashboard compares
    with. ``start`` is a round time in the reader's zone, at or before ``since``.
    """

    since: int
    until: int
    start: int
    width: int
    before: int

    @classmethod
    def of(cls, since: int, until: int, now: int, offset_ms: int = 0) -> Period:
        """The period, up to the end of the step that holds ``until`` where that is now or later.

        ``offset_ms``: how much the reader's clock is ahead of UTC.
        """
        until = max(until, since + 1)
        width = width_of(until - since, _MOST_POINTS)
        start = (since + offset_ms) // width * width - offset_ms
        before = max(0, since - (min(until, max(now, since + 1)) - since))
        if until >= now:
            until = start + ((until - start) // width + 1) * width
        return cls(since, until, start, width, before)

    @property
    def count(self) -> int:
        """How many steps it has."""
        return (self.until - 1 - self.start) // self.width + 1


@attrs.frozen(kw_only=True)
class Figures:
    """Counts and sums over sessions, or over model calls of one model.

    ``failed``: sessions with an error of their own or of a step. ``steps``, ``errors`` (failed
    steps), ``calls``, ``tokens``, ``cost_nano`` (10**-9) and ``unpriced`` (calls that used tokens
    at an unknown cost) are sums. ``latency`` is over the durations of the sessions, of one model
    over those of its calls; ``first_chunk`` over the calls that streamed.
    """

    sessions: int = 0
    failed: int = 0
    steps: int = 0
    errors: int = 0
    calls: int = 0
    tokens: int = 0
    cost_nano: int = 0
    unpriced: int = 0
    latency: Percentiles | None = None
    first_chunk: Percentiles | None = None

    def as_json(self) -> dict[str, Any]:
        """Its values; ``cost`` is in the currency, percentiles are lists in the order of LEVELS."""
        values = attrs.asdict(self)
        return {**values, "cost": values.pop("cost_nano") / 1e9}


@attrs.frozen
class Dashboard:
    """The figures of each step of a period, of the whole, and of the period before it."""

    points: Sequence[Figures]
    total: Figures
    before: Figures


@attrs.frozen
class Group:
    """The figures of the sessions with one value; of those without a value, ``value`` is None."""

    value: str | None
    figures: Figures
    before: Figures


@attrs.frozen
class Breakdown:
    """The first groups by one of ``DIMENSIONS``; a session may be in several.

    ``omitted``: how many more there are.
    """

    groups: Sequence[Group]
    omitted: int = 0
