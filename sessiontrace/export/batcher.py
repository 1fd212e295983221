"""Cutting batches: records of one source gathered until a batch is worth sending.

Used by a lane in the sender's thread. Invariant: a batch holds records of one source only, in the
order they were spooled, and what was read from the source is either here or in a batch delivery.

Records of a batch that was refused whole come back to the head of the next one: with others beside
them the backend's answer shows whether the fault is theirs. Until others join them, they are
``alone``: they are due at ``retry_at``, or as soon as another batch is accepted (``vouch``).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sessiontrace.export.protocol import Limits
from sessiontrace.model.record import Records
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.source import Source

__all__ = ["Batcher"]

_READ_RECORDS = 128  # at a time: keeps a slice of work under half a millisecond
_QUIET_AGE_S = 0.1


@attrs.define(eq=False)
class Batcher:
    """One source's records on their way into the next batch.

    ``max_bytes`` may be lowered by the lane when the backend turns out to take less. ``size`` and
    the limits leave out the ``returned`` first records, which came back.
    """

    source: Source
    limits: Limits
    max_bytes: int
    records: Records = attrs.field(factory=Records)
    ends: Positions = attrs.field(factory=Positions)
    size: int = 0
    retry_at: float = 0.0
    vouched: bool = False
    returned: int = 0
    _since: float = 0.0
    _last_cut: float = float("-inf")

    @property
    def full(self) -> bool:
        """Whether a batch cannot become larger."""
        return self._room <= 0 or self.size >= self.max_bytes

    @property
    def alone(self) -> bool:
        """Whether all that is gathered came back."""
        return 0 < self.returned == len(self.records)

    @property
    def _room(self) -> int:
        return self.limits.max_records + self.returned - len(self.records)

    def read(self, now: float) -> bool:
        """Read one slice; False when the batch is full or the source has nothing more now."""
        if self.full:
            return False
        chunk = self.source.read(min(self._room, _READ_RECORDS), self.max_bytes - self.size)
        if chunk is None:
            return False
        if len(self.records) == self.returned:
            self._since = now
        before = len(self.records)
        self.records.extend(chunk.records)
        self.ends.extend(chunk.ends)
        self.size += sum(map(len, self.records.bodies[before:]))
        return True

    def seconds_until_due(self, now: float) -> float:
        """Seconds until what is gathered should be sent; 0 when a batch can be cut now."""
        if self.alone:
            return 0.0 if self.vouched else max(0.0, self.retry_at - now)
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
        self.returned, self.vouched = 0, False
        self._last_cut = now
        return batch

    def put_back(self, records: Records, ends: Sequence[Position], retry_at: float) -> None:
        """Take back the records of a batch that was refused whole, before what is gathered."""
        self.returned, self.retry_at = len(records), retry_at
        records.extend(self.records)
        positions = Positions()
        positions.extend(ends)
        positions.extend(self.ends)
        self.records, self.ends = records, positions

    def vouch(self) -> None:
        """The backend accepted something: it does not refuse everything."""
        self.vouched = self.alone
