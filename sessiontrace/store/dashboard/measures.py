"""What a session keeps of its model calls, by model, so that a dashboard reads no event.

Pure, no thread owns it. Invariant: an event that is subtracted as it was added leaves nothing
behind, and the order of arrival does not matter while a session keeps all of its values.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import NamedTuple

import attrs

__all__ = ["MOST_VALUES", "Call", "CallMeasures", "first_chunks_of", "micros", "replace_call"]

MOST_VALUES = 1_000
"""So many latencies, and so many times to first chunks, a session keeps of each model."""


_EXACT = 10_000  # µs


def micros(ms: float | None) -> int | None:
    """A time in µs, to four digits: many calls then have equal times, which are fast to count."""
    if ms is None:
        return None
    value = round(ms * 1000)
    if value < _EXACT:
        return value
    unit: int = 10 ** (len(str(value)) - 4)
    return (value + unit // 2) // unit * unit


class Call(NamedTuple):
    """What one model call adds. ``latency`` and ``first_chunk``: µs, None where unknown."""

    model: str
    failed: int
    tokens: int
    cost_nano: int
    unpriced: int
    latency: int | None
    first_chunk: int | None


@attrs.define
class CallMeasures:
    """Sums over the calls of one model in one session, and their times (µs) in order."""

    calls: int = 0
    errors: int = 0
    tokens: int = 0
    cost_nano: int = 0
    unpriced: int = 0
    latencies: list[int] = attrs.field(factory=list)
    first_chunks: list[int] = attrs.field(factory=list)

    def add(self, call: Call) -> None:
        self._count(call, 1)
        for values, value in self._times(call):
            if value is not None and len(values) < MOST_VALUES:
                insort(values, value)

    def subtract(self, call: Call) -> None:
        self._count(call, -1)
        for values, value in self._times(call):
            if value is None:
                continue
            at = bisect_left(values, value)
            if at < len(values) and values[at] == value:
                del values[at]

    def _count(self, call: Call, sign: int) -> None:
        self.calls += sign
        self.errors += sign * call.failed
        self.tokens += sign * call.tokens
        self.cost_nano += sign * call.cost_nano
        self.unpriced += sign * call.unpriced

    def _times(self, call: Call) -> tuple[tuple[list[int], int | None], ...]:
        return (self.latencies, call.latency), (self.first_chunks, call.first_chunk)


def replace_call(measures: dict[str, CallMeasures], before: Call | None, call: Call | None) -> bool:
    """Add a call, and take away what it was ``before``; whether that changes anything."""
    if before == call:
        return False
    if before is not None and (own := measures.get(before.model)) is not None:
        own.subtract(before)
        if not own.calls:
            del measures[before.model]
    if call is not None:
        own = measures.get(call.model)
        if own is None:
            own = measures[call.model] = CallMeasures()
        own.add(call)
    return True


def first_chunks_of(measures: Mapping[str, CallMeasures]) -> list[int]:
    """The times to the first chunks of all models, in order."""
    return sorted([value for own in measures.values() for value in own.first_chunks])
