"""A source of records: what delivery reads from, one destination's view of one spool.

``Reader`` is the source over segments; the session buffer and the tail sampler are sources over
another source. Read in the sender's thread; the counts may be read in any. Invariant: ``read``
hands each record out once, and ``acknowledge`` moves forward only.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from sessiontrace.model.record import Records
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions

__all__ = ["Chunk", "Source"]


@attrs.frozen
class Chunk:
    """Records in the order they were spooled; ``ends[i]`` is the position just after the i-th.

    A source that changes the order puts tickets of its own in place of the positions.
    """

    records: Records
    ends: Positions


class Source(Protocol):
    """What a lane reads from: one destination's view of one spool."""

    @property
    def adopted(self) -> bool:
        """Whether it belongs to a process that is gone."""
        ...

    @property
    def replay(self) -> bool:
        """Whether some of it may have been delivered before."""
        ...

    @property
    def evicted(self) -> int:
        """Records lost to the quota, unsettled; readable from any thread."""
        ...

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """The next unread records, at least one; None when there are none now."""
        ...

    def acknowledge(self, position: Position) -> None:
        """Everything before ``position`` is settled."""
        ...

    def finished(self) -> bool:
        """Whether nothing will ever come any more."""
        ...

    def pending(self) -> int:
        """Records not settled and not evicted; callable from any thread."""
        ...
