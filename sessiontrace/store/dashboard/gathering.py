"""Figures from partial sums and the values themselves.

Pure, no thread owns it. Invariant: parts may be added in any order, and the percentiles are those
of all values together, as exact as the values are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain

import attrs

from sessiontrace.store.dashboard.models import LEVELS, Figures, Percentiles

__all__ = ["Part", "Values", "figures_of"]

_FEW = 20_000

Values = Sequence[int] | Mapping[int, int]
"""Values in µs, or how many there are of each."""


@attrs.frozen
class Part:
    """A part of some figures: sums in the order of ``Figures``, and the values."""

    sums: Sequence[int]
    latencies: Values = ()
    first_chunks: Values = ()


def figures_of(parts: Sequence[Part], *, of_calls: bool = False) -> Figures:
    """The figures of all parts together. ``of_calls``: latencies are those of model calls."""
    if not parts:
        return Figures()
    sessions, failed, steps, errors, calls, tokens, cost_nano, unpriced = (
        sum(column) for column in zip(*(part.sums for part in parts), strict=True)
    )
    return Figures(
        sessions=sessions, failed=failed, steps=steps, errors=errors, calls=calls,
        tokens=tokens, cost_nano=cost_nano, unpriced=unpriced,
        latency=_percentiles([part.latencies for part in parts], rounded=of_calls),
        first_chunk=_percentiles([part.first_chunks for part in parts], rounded=True),
    )  # fmt: skip


def _percentiles(several: Sequence[Values], *, rounded: bool) -> Percentiles | None:
    if any(isinstance(values, Mapping) for values in several):
        return _of_counts(several)
    values = list(several[0] if len(several) == 1 else chain.from_iterable(several))
    if rounded and len(values) > _FEW:  # most are equal: it is faster to count than to sort them
        return _of_counts([Counter(values)])
    values.sort()
    if not values:
        return None
    p50, p95, p99 = (values[int(level * len(values))] / 1000 for level in LEVELS)
    return p50, p95, p99


def _of_counts(several: Sequence[Values]) -> Percentiles | None:
    counts: Counter[int] = Counter()
    for values in several:
        counts.update(values)
    ordered = sorted(counts)
    passed = list(accumulate(counts[value] for value in ordered))
    if not passed:
        return None
    p50, p95, p99 = (
        ordered[bisect_right(passed, int(level * passed[-1]))] / 1000 for level in LEVELS
    )
    return p50, p95, p99
