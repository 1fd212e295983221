"""Delivery counts of one destination, and what a lane is built from.

Only the sender's thread writes the counters; any thread reads them. Invariant: ``acked``,
``rejected`` and ``sampled`` move together with what is pending, so that with ``evicted`` they
always add up to what was routed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from sessiontrace.export.call_costs import Pricing
from sessiontrace.export.protocol import Exporter, Transport
from sessiontrace.model.sampling import Sample
from sessiontrace.spool.source import Source

__all__ = ["DeliveryCounters", "DeliveryStats", "LaneSpec"]


@attrs.frozen
class LaneSpec:
    """One destination: its name, its exporter, how to make its transport, and its own reader.

    ``transport`` is called in the sender's loop, again after each restart of that loop. ``hold``:
    the backend wants a session's records together, and not before its end. ``sample``: which
    sessions of our own are sent at all, where that is decided at their end. ``pricing``: adds to a
    record what the call cost; called once a record, in the sender's thread.
    """

    name: str
    exporter: Exporter
    transport: Callable[[], Transport]
    reader: Source
    hold: bool = False
    sample: Sample | None = None
    pricing: Pricing | None = None


@attrs.frozen
class DeliveryStats:
    """A destination's delivery counts at one moment.

    ``acked`` (taken by the backend), ``rejected`` (refused for good, now dead letters), ``evicted``
    (lost to the quota, or damaged in the spool), ``sampled`` (not sent, as ``sample=`` asked for)
    and ``pending`` count records of this process; the ``adopted_`` ones count records that other
    processes left behind. ``omitted``: scores that the backend took as attributes of spans only,
    because it has no place for log events. ``bytes``: bodies taken; ``requests``: attempts of any
    outcome; ``retries``: attempts that will be repeated. ``state``: "idle", "sending", "retrying"
    or "blocked"; ``last_error``: why, empty after a success. It never holds a key.
    """

    acked: int = 0
    rejected: int = 0
    evicted: int = 0
    sampled: int = 0
    pending: int = 0
    adopted_acked: int = 0
    adopted_rejected: int = 0
    adopted_pending: int = 0
    omitted: int = 0
    bytes: int = 0
    requests: int = 0
    retries: int = 0
    state: str = "idle"
    last_error: str = ""


@attrs.define(eq=False)
class DeliveryCounters:
    """The running counts behind a ``DeliveryStats``."""

    acked: int = 0
    rejected: int = 0
    sampled: int = 0
    adopted_acked: int = 0
    adopted_rejected: int = 0
    omitted: int = 0
    bytes: int = 0
    requests: int = 0
    retries: int = 0
    state: str = "idle"
    last_error: str = ""

    def count(self, source: Source, acked: int, rejected: int) -> None:
        """Records of ``source`` that were just settled."""
        if source.adopted:
            self.adopted_acked += acked
            self.adopted_rejected += rejected
        else:
            self.acked += acked
            self.rejected += rejected

    def count_sampled(self, count: int) -> None:
        """Records of our own that will not be sent."""
        self.sampled += count

    def settled(self, own: Source) -> int:
        """How many of our own records will not be sent any more."""
        return self.acked + self.rejected + self.sampled + own.evicted

    def snapshot(self, own: Source, adopted: Sequence[Source]) -> DeliveryStats:
        """The delivery counts now."""
        return DeliveryStats(
            evicted=own.evicted,
            pending=own.pending(),
            adopted_pending=sum(source.pending() for source in adopted),
            **attrs.asdict(self),
        )
