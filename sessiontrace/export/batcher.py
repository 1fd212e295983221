"""Cutting batches: records of one source gathered until a batch is worth sending.

Used by a lane in the sender's thread. Invariant: a batch holds records of one source only, in the
order they were spooled, and what was read from the source is either here or in a batch delivery.
"""

from __future__ import annotations

import attrs

from sessiontrace.export.protocol import Limits
from sessiontrace.model.record import Records
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.source import Source

__all__ = ["Batcher"]

_READ_RECORDS = 128  # at a time: keeps a slice of work under half a millisecond
_QUIET_AGE_S = 0.1


@attrs.define(eq=False)
class Batcher:
    """One source's records on their way into the next batch.

    ``max_bytes`` may be lowered by the lane when the backend turns out to take less.
    """

    source: Source
    limits: Limits
    max_bytes: int
    records: Records = attrs.field(factory=Records)
    ends: Positions = attrs.field(factory=Positions)
    size: int = 0
    _since: float = 0.0
    _last_cut: float = float("-inf")

    @property
    def full(self) -> bool:
        """Whether a batch cannot become larger."""
        return len(self.records) >= self.limits.max_records or self.size >= self.max_bytes

    def read(self, now: float) -> bool:
        """Read one slice; False when the batch is full or the source has nothing more now."""
        if self.full:
            return False
        room = self.limits.max_records - len(self.records)
        chunk = self.source.read(min(room, _READ_RECORDS), self.max_bytes - self.size)
        if chunk is None:
            return False
        if not self.records:
            self._since = now
        before = len(self.records)
        self.records.extend(chunk.records)
        self.ends.extend(chunk.ends)
        self.size += sum(map(len, self.records.bodies[before:]))
        return True

    def seconds_until_due(self, now: float) -> float:
        """Seconds until what is gathered should be sent; 0 when a batch can be cut now."""
        if self.full or self.source.adopted:
            return 0.0
        # The first records after a quiet time go soon: someone may be looking at the page.
        quiet = self._since - self._last_cut > self.limits.max_age_s
        age = min(_QUIET_AGE_S, self.limits.max_age_s) if quiet else self.limits.max_age_s
        return max(0.0, self._since + age - now)

    def cut(self, now: float) -> tuple[Records, Positions]:
        """Everything gathered; the next batch starts empty."""
        batch = self.records, self.ends
        self.records, self.ends, self.size = Records(), Positions(), 0
        self._last_cut = now
        return batch
