"""The cost of a batch's model calls, added before the batch is encoded.

Runs in the sender's thread, between the lane's other work. Invariant: a batch is priced before an
exporter, a transport or a dead letter sees its records, so that all of them agree; while it is
priced it stays with its batcher, so that nothing is lost when the lane is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sessiontrace.model.record import EVENT, UPDATE, Record, Records
from sessiontrace.runtime.throttle import Throttle

__all__ = ["Pricing", "add_costs"]

_PRICED = frozenset({EVENT, UPDATE})
_LOOKS = 64  # at records without a cost, between two looks at the clock


class Pricing(Protocol):
    """What knows the costs of calls."""

    def concerns(self, kind: bytes, body: bytes) -> bool:
        """Whether a record may have a cost to add; a quick look at its bytes."""
        ...

    def record(self, record: Record) -> Record:
        """The record with the cost of its call, or the same object."""
        ...


def add_costs(records: Records, pricing: Pricing | None) -> Iterator[None]:
    """Replace the records that have a cost to add, in place; yields after each of them."""
    if pricing is None:
        return
    throttle = Throttle()
    for index, kind in enumerate(records.kinds):
        if index % _LOOKS == 0:
            throttle()
        if kind in _PRICED and pricing.concerns(kind, records.bodies[index]):
            throttle()
            record = records[index]
            if (priced := pricing.record(record)) is not record:
                records[index] = priced
                yield
