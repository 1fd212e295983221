"""Figures from partial sums and the values themselves.

Pure, no thread owns it. Invariant: parts may be added in any order, and the percentiles are those
of all values together, as exact as the values are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain

import attrs

from sessiontrace.store.dashboard.models import LEVELS, Figures, Percentiles

__all__ = ["Part", "Values", "figures_of", "merged"]

_FEW = 2_000

Values = Sequence[int]
"""Values in µs, in ascending order."""


@attrs.frozen
class Part:
    """A part of some figures: sums in the order of ``Figures``, and the values."""

    sums: Sequence[int]
    latencies: Values = ()
    first_chunks: Values = ()


def merged(parts: Sequence[Part]) -> Part:
    """Several parts as one."""
    if len(parts) == 1:
        return parts[0]
    return Part(
        _summed(parts),
        sorted(chain.from_iterable(part.latencies for part in parts)),
        sorted(chain.from_iterable(part.first_chunks for part in parts)),
    )


def figures_of(parts: Sequence[Part]) -> Figures:
    """The figures of all parts together."""
    if not parts:
        return Figures()
    sessions, failed, steps, errors, calls, tokens, cost_nano, unpriced = _summed(parts)
    return Figures(
        sessions=sessions, failed=failed, steps=steps, errors=errors, calls=calls,
        tokens=tokens, cost_nano=cost_nano, unpriced=unpriced,
        latency=_percentiles([part.latencies for part in parts]),
        first_chunk=_percentiles([part.first_chunks for part in parts]),
    )  # fmt: skip


def _summed(parts: Sequence[Part]) -> list[int]:
    return [sum(column) for column in zip(*(part.sums for part in parts), strict=True)]


def _percentiles(several: Sequence[Values]) -> Percentiles | None:
    runs = [values for values in several if values]
    size = sum(map(len, runs))
    if not size:
        return None
    ranks = [int(level * size) for level in LEVELS]
    if len(runs) == 1:
        p50, p95, p99 = (runs[0][rank] / 1000 for rank in ranks)
    elif size <= _FEW:
        ordered = sorted(chain.from_iterable(runs))
        p50, p95, p99 = (ordered[rank] / 1000 for rank in ranks)
    else:
        p50, p95, p99 = (_ranked(runs, rank) / 1000 for rank in ranks)
    return p50, p95, p99


def _ranked(runs: Sequence[Values], rank: int) -> int:
    """The value at a place in the order of all values of the runs, each in order itself.

    Halves the range of values in which it is, and sorts only what is left at the end.
    """
    low, high = min(run[0] for run in runs), max(run[-1] for run in runs)
    windows = [(run, 0, len(run)) for run in runs]
    below = 0  # values before the windows
    left = sum(map(len, runs))
    while left > _FEW and low < high:
        middle = (low + high) // 2
        cuts = [bisect_right(run, middle, begin, end) for run, begin, end in windows]
        before = sum(cuts) - sum(begin for _, begin, _ in windows)
        bounded = zip(windows, cuts, strict=True)
        if below + before > rank:
            high, left = middle, before
            windows = [(run, begin, cut) for (run, begin, _), cut in bounded if cut > begin]
        else:
            low, left, below = middle + 1, left - before, below + before
            windows = [(run, cut, end) for (run, _, end), cut in bounded if end > cut]
    if low == high:
        return low
    values = sorted(chain.from_iterable(run[begin:end] for run, begin, end in windows))
    return values[rank - below]
