"""The cost of a batch's model calls, added before the batch is encoded.

Runs in the sender's thread, between the lane's other work. Invariant: a batch is priced before an
exporter, a transport or a dead letter sees its records, so that all of them agree; while it is
priced it stays with its batcher, so that nothing is lost when the lane is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sessiontrace.model.record import EVENT, UPDATE, Record, Records
from sessiontrace.runtime.throttle import Throttle

__all__ = ["Price", "add_costs"]

_PRICED = frozenset({EVENT, UPDATE})

Price = Callable[[Record], Record]
"""Returns a record with the cost of its call, or the same object."""


def add_costs(records: Records, price: Price | None) -> Iterator[None]:
    """Replace the records that have a cost to add, in place; yields after each of them."""
    if price is None:
        return
    throttle = Throttle()
    for index, kind in enumerate(records.kinds):
        if kind in _PRICED:
            throttle()
            record = records[index]
            if (priced := price(record)) is not record:
                records[index] = priced
                yield
