"""Delivery counts and reports: the frozen values that flush, shutdown and stats return.

Pure values. Invariant (the counts add up): ``offered == accepted + sum(dropped)``, and for
each destination ``routed == acked + rejected + evicted + sampled + pending``.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sessiontrace.export.stats import DeliveryStats

__all__ = ["DeliveryStats", "Report", "Stats"]


@attrs.frozen
class Stats:
    """A snapshot of the delivery counts.

    ``accepted``: records taken into the spool. ``dropped``: records lost before that, by reason.
    ``noted``: events that are not a loss (corrupt records, restarted workers), by name.
    ``spool_mode``: "map", "write", "memory" or "unopened"; ``spool``: its directory, or None.
    ``destinations``: a ``DeliveryStats`` by name.
    """

    accepted: int = 0
    dropped: Mapping[str, int] = attrs.field(factory=dict)
    noted: Mapping[str, int] = attrs.field(factory=dict)
    spool_mode: str = "unopened"
    spool: str | None = None
    destinations: Mapping[str, DeliveryStats] = attrs.field(factory=dict)

    @property
    def offered(self) -> int:
        """All records that capture produced: accepted and dropped."""
        return self.accepted + sum(self.dropped.values())

    @property
    def lost(self) -> Mapping[str, int]:
        """Records that will never arrive, by reason; records that sampling left out do not count.

        Reasons of ``dropped`` as they are; "NAME rejected" and "NAME evicted" for a destination.
        """
        counts = {reason: count for reason, count in self.dropped.items() if reason != "sampled"}
        for name, delivery in self.destinations.items():
            counts[f"{name} rejected"] = delivery.rejected + delivery.adopted_rejected
            counts[f"{name} evicted"] = delivery.evicted
        return {what: count for what, count in counts.items() if count}


@attrs.frozen
class Report:
    """What a flush or shutdown achieved.

    ``complete``: everything accepted before the call is settled at every destination. ``seconds``:
    how long it took. ``stats``: the delivery counts at its end. True when complete.
    """

    complete: bool
    seconds: float
    stats: Stats

    def __bool__(self) -> bool:
        return self.complete

    def __str__(self) -> str:
        stats = self.stats
        lines = [
            f"{'complete' if self.complete else 'NOT complete'} in {self.seconds:.2f} s: "
            f"{stats.accepted} records accepted, {sum(stats.dropped.values())} dropped"
        ]
        lines.extend(f"  dropped {count}: {reason}" for reason, count in stats.dropped.items())
        for name, delivery in stats.destinations.items():
            lines.append(
                f"  {name}: {delivery.acked} delivered, {delivery.pending} pending, "
                f"{delivery.rejected} rejected, {delivery.evicted} evicted"
                + (f", {delivery.sampled} sampled out" if delivery.sampled else "")
                + (f" ({delivery.state}: {delivery.last_error})" if delivery.last_error else "")
            )
        return "\n".join(lines)
