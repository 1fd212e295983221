"""Delivery counts and reports: the frozen values that flush, shutdown and stats return.

Pure values. Invariant (the counts add up): ``offered == accepted + waiting + sum(dropped)``, and
for each destination ``routed == acked + rejected + evicted + sampled + pending``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from sessiontrace.export.stats import DeliveryStats

__all__ = ["DeliveryStats", "Report", "Stats", "total"]

_HEADS = (
    "destination", "delivered", "pending", "rejected", "evicted", "sampled out", "state",
    "last error",
)  # fmt: skip


@attrs.frozen
class Stats:
    """A snapshot of the delivery counts.

    ``accepted``: records taken into the spool. ``dropped``: records lost before that, by reason.
    ``noted``: events that are not a loss (corrupt records, restarted workers), by name.
    ``spool_mode``: "map", "write", "memory" or "unopened"; ``spool``: its directory, or None.
    ``destinations``: a ``DeliveryStats`` by name. ``waiting``: records that wait for an
    asynchronous redactor, before the spool.
    ``waiting_spools``: spools of ended programs that delivery takes over once it is through with
    older ones.
    """

    accepted: int = 0
    dropped: Mapping[str, int] = attrs.field(factory=dict)
    noted: Mapping[str, int] = attrs.field(factory=dict)
    spool_mode: str = "unopened"
    spool: str | None = None
    destinations: Mapping[str, DeliveryStats] = attrs.field(factory=dict)
    waiting_spools: int = 0
    waiting: int = 0

    @property
    def offered(self) -> int:
        """All records that capture produced: accepted, waiting and dropped."""
        return self.accepted + self.waiting + sum(self.dropped.values())

    def _repr_html_(self) -> str | None:
        """The counts in a notebook."""
        return _table(f"{self.accepted:,} records accepted", self)

    @property
    def lost(self) -> Mapping[str, int]:
        """Records that will never arrive, by reason; records that sampling left out do not count.

        Reasons of ``dropped`` as they are; "NAME rejected" and "NAME evicted" for a destination;
        "media ..." for images, sounds and files that a local store does not keep.
        """
        counts = {reason: count for reason, count in self.dropped.items() if reason != "sampled"}
        counts.update(self._media_refused())
        for name, delivery in self.destinations.items():
            counts[f"{name} rejected"] = delivery.rejected + delivery.adopted_rejected
            counts[f"{name} evicted"] = delivery.evicted
        return {what: count for what, count in counts.items() if count}

    def _media_refused(self) -> dict[str, int]:
        return {name: count for name, count in self.noted.items() if name.startswith("media ")}


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

    def _repr_html_(self) -> str | None:
        """The report in a notebook."""
        outcome = "complete" if self.complete else "NOT complete"
        accepted = f"{self.stats.accepted:,} records accepted"
        return _table(f"{outcome} in {self.seconds:.2f} s: {accepted}", self.stats)

    def __str__(self) -> str:
        stats = self.stats
        lines = [
            f"{'complete' if self.complete else 'NOT complete'} in {self.seconds:.2f} s: "
            f"{stats.accepted} records accepted, {sum(stats.dropped.values())} dropped"
        ]
        if stats.waiting:
            lines.append(f"  waiting {stats.waiting}: for the asynchronous redactor")
        lines.extend(f"  dropped {count}: {reason}" for reason, count in stats.dropped.items())
        for name, delivery in stats.destinations.items():
            lines.append(
                f"  {name}: {delivery.acked} delivered, {delivery.pending} pending, "
                f"{delivery.rejected} rejected, {delivery.evicted} evicted"
                + (f", {delivery.sampled} sampled out" if delivery.sampled else "")
                + (f", {delivery.omitted} scores as attributes only" if delivery.omitted else "")
                + (f" ({delivery.state}: {delivery.last_error})" if delivery.last_error else "")
            )
        return "\n".join(lines)


def _table(title: str, stats: Stats) -> str | None:
    """A line for each destination, then what was dropped or waits."""
    from sessiontrace.text.html_tree import html_or_none, table_html

    rows: list[tuple[object, ...]] = [
        (name, delivery.acked, delivery.pending, delivery.rejected, delivery.evicted,
         delivery.sampled, delivery.state, delivery.last_error)
        for name, delivery in stats.destinations.items()
    ]  # fmt: skip
    rows += [("waiting for the asynchronous redactor", "", stats.waiting)] if stats.waiting else []
    rows += [(f"dropped: {reason}", "", "", count) for reason, count in stats.dropped.items()]
    return html_or_none(lambda: table_html(title, _HEADS, rows))


def total(parts: Sequence[Stats], waiting: int = 0) -> Stats:
    """The counts of several pipelines together; modes and states are those of the last one."""
    last = parts[-1]
    if len(parts) == 1:
        return last if last.waiting == waiting else attrs.evolve(last, waiting=waiting)
    destinations: dict[str, DeliveryStats] = {}
    for part in parts:
        for name, delivery in part.destinations.items():
            earlier = destinations.get(name)
            destinations[name] = delivery if earlier is None else _added(earlier, delivery)
    return Stats(
        accepted=sum(part.accepted for part in parts),
        dropped=_summed([part.dropped for part in parts]),
        noted=_summed([part.noted for part in parts]),
        spool_mode=last.spool_mode,
        spool=last.spool,
        destinations=destinations,
        waiting=waiting,
    )


def _added(earlier: DeliveryStats, later: DeliveryStats) -> DeliveryStats:
    counts = {
        field.name: getattr(earlier, field.name) + getattr(later, field.name)
        for field in attrs.fields(DeliveryStats)
        if isinstance(field.default, int)
    }
    return attrs.evolve(later, **counts)


def _summed(tables: Sequence[Mapping[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            counts[name] = counts.get(name, 0) + count
    return counts
