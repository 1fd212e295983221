"""The sources of one lane, each with its batcher, in turn.

Used by the lane in the sender's thread. Invariant: every source is read in its order, and no source
waits for another one to run dry.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from sessiontrace.export.batch_delivery import BatchDelivery
from sessiontrace.export.batcher import Batcher
from sessiontrace.export.call_costs import Pricing, add_costs
from sessiontrace.export.protocol import Exporter
from sessiontrace.export.reordering import OutOfOrderSource
from sessiontrace.spool.source import Source

__all__ = ["SourceRotation"]

_SMALLEST_BATCH = 64 << 10


class SourceRotation:
    """This process's own source, and those of recovered spools until they are finished.

    ``quiet_since``: when the last record was read. ``now`` is the lane's clock. ``pricing`` adds
    the cost of calls.
    """

    def __init__(
        self,
        own: Source,
        exporter: Exporter,
        now: Callable[[], float],
        pricing: Pricing | None = None,
    ) -> None:
        self.quiet_since: float = now()
        self._pricing = pricing
        self._exporter = exporter
        self._now = now
        self._own = Batcher(own, exporter.limits, exporter.limits.max_bytes)
        self._batchers: deque[Batcher] = deque([self._own])

    @property
    def own(self) -> Source:
        """This process's spool."""
        return self._own.source

    @property
    def adopted(self) -> Sequence[Source]:
        """The sources of recovered spools still under way; callable from any thread."""
        batchers = self._batchers.copy()  # in one step: the sender's thread takes turns meanwhile
        return [batcher.source for batcher in batchers if batcher is not self._own]

    @property
    def holding(self) -> bool:
        """Whether a refused batch waits for others that show whose fault it is."""
        return any(batcher.alone for batcher in self._batchers)

    def add(self, source: Source) -> None:
        """Take turns with one more source."""
        self._batchers.append(Batcher(source, self._exporter.limits, self._own.max_bytes))

    async def next_delivery(self, hurry: bool, finish: Callable[[], None]) -> BatchDelivery | None:
        """The next batch that is worth sending; ``finish`` is called for a source that is through.

        ``hurry``: without waiting for a batch to fill.
        """
        if hurry:
            for batcher in self._batchers:
                if isinstance(batcher.source, OutOfOrderSource):
                    batcher.source.release_all()
        for _ in range(len(self._batchers)):
            batcher = self._batchers[0]
            self._batchers.rotate(-1)
            while batcher.read(self._now()):
                self.quiet_since = self._now()
                await asyncio.sleep(0)
            if batcher.records and self._due(batcher, hurry):
                for _ in add_costs(batcher.records, self._pricing):
                    await asyncio.sleep(0)
                return self._cut(batcher)
            if batcher is not self._own and not batcher.records and batcher.source.finished():
                self._batchers.remove(batcher)
                finish()
        return None

    def _due(self, batcher: Batcher, hurry: bool) -> bool:
        return (hurry and not batcher.alone) or not batcher.seconds_until_due(self._now())

    def _cut(self, batcher: Batcher) -> BatchDelivery:
        vouched = batcher.alone and batcher.vouched
        joined = batcher.returned > 0
        records, ends = batcher.cut(self._now())
        return BatchDelivery(
            self._exporter, batcher.source, records, ends, joined=joined, vouched=vouched
        )

    def seconds_until_due(self) -> float | None:
        """Seconds until something that is gathered should be sent; None without any."""
        now = self._now()
        due = [batcher.seconds_until_due(now) for batcher in self._batchers if batcher.records]
        return min(due, default=None)

    def last_look(self) -> float | None:
        """Read the own source again before a sleep: seconds that the sleep may last."""
        source = self._own.source
        release = source.seconds_until_due() if isinstance(source, OutOfOrderSource) else None
        if self._own.read(self._now()):
            return 0.0
        return min((wait for wait in (release, self.seconds_until_due()) if wait is not None),
                   default=None)  # fmt: skip

    # -- what a delivery came to --------------------------------------------------------------

    def hold(self, delivery: BatchDelivery, retry_at: float) -> None:
        """Keep a batch that was refused whole until others join it, or until ``retry_at``."""
        self._batcher_of(delivery).put_back(*delivery.unacknowledged(), retry_at)

    def join(self, delivery: BatchDelivery) -> bool:
        """Cut a batch that was refused whole anew, if there is anything else to send by now.

        What follows it joins it, and the batches of other sources take their turns before it.
        """
        for batcher in self._batchers:
            batcher.read(self._now())
        if not any(batcher.records for batcher in self._batchers):
            return False
        # What was read just now comes of age first.
        self.hold(delivery, self._now() + self._exporter.limits.max_age_s)
        return True

    def vouch(self) -> None:
        """The backend accepted something: what is held was refused for its own fault."""
        for batcher in self._batchers:
            batcher.vouch()

    def limit(self, refused_bytes: int) -> None:
        """The backend refused a body of this size for its size: cut smaller batches."""
        for batcher in self._batchers:
            batcher.max_bytes = max(_SMALLEST_BATCH, min(batcher.max_bytes, refused_bytes // 2))

    def _batcher_of(self, delivery: BatchDelivery) -> Batcher:
        return next(
            batcher for batcher in self._batchers if batcher.source is delivery.source
        )  # a source stays until all of it is settled
