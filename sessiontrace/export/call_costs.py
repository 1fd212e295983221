"""The cost of a batch's model calls, added before the batch is encoded.

Runs in the sender's thread, between the lane's other work. Invariant: a batch is priced before an
exporter, a transport or a dead letter sees its records, so that all of them agree; while it is
priced it stays with its batcher, so that nothing is lost when the lane is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sessiontrace.model.record import Record, Records
from sessiontrace.runtime.throttle import Throttle

__all__ = ["Pricing", "add_costs"]

_LOOKS = 64  # at records without a cost, between two looks at the clock


class Pricing(Protocol):
    """What knows the costs of calls."""

    def candidates(
        self, kinds: Sequence[bytes], bodies: Sequence[bytes], start: int, stop: int
    ) -> Iterator[int]:
        """The records from ``start`` to ``stop`` that may have a cost to add, by a quick look."""
        ...

    def record(self, record: Record) -> Record:
        """The record with the cost of its call, or the same object."""
        ...


def add_costs(records: Records, pricing: Pricing | None) -> Iterator[None]:
    """Replace the records that have a cost to add, in place; yields after each of them."""
    if pricing is None:
        return
    throttle = Throttle()
    for start in range(0, len(records), _LOOKS):
        throttle()
        stop = min(start + _LOOKS, len(records))
        for index in pricing.candidates(records.kinds, records.bodies, start, stop):
            throttle()
            record = records[index]
            if (priced := pricing.record(record)) is not record:
                records[index] = priced
                yield
