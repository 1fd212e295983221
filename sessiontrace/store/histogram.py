"""Counts of sessions over time and by duration, for the two charts above the list.

No thread owns it. Invariant: the buckets of one chart together count every matching session once.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["DURATIONS_MS", "Histogram", "width_of"]

DURATIONS_MS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
"""Bounds between the buckets of durations; a session of 10 ms is in the second bucket."""

_WIDTHS_MS = (
    1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 43_200_000, 86_400_000,
    604_800_000, 2_592_000_000,
)  # fmt: skip


@attrs.frozen
class Histogram:
    """Counts over time from ``start`` (Unix ms) in steps of ``width`` ms, and over durations.

    ``failed`` counts the sessions with an error. ``durations`` has one more entry than
    ``DURATIONS_MS`` has bounds.
    """

    start: int
    width: int
    sessions: Sequence[int]
    failed: Sequence[int]
    durations: Sequence[int]


def width_of(span: int, most: int) -> int:
    """The round width, in ms, with which ``span`` ms need at most ``most`` buckets."""
    for width in _WIDTHS_MS:
        if span // width + 2 <= most:
            return width
    return _WIDTHS_MS[-1] * (span // (_WIDTHS_MS[-1] * max(1, most - 2)) + 1)
