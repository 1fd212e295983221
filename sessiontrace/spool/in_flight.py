"""What a reader has handed out and its destination has not settled yet.

Used with the lock of the reader's source held. Invariant: chunks are settled in the order they were
handed out, and a record counts as settled once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions

__all__ = ["InFlight"]


class _Handout:
    """The positions of one chunk; the first ``repeats`` are ``open`` frames, which do not count."""

    __slots__ = ("ends", "repeats", "settled")

    def __init__(self, ends: Positions, repeats: int) -> None:
        self.ends = ends
        self.repeats = repeats
        self.settled = 0

    def acknowledge(self, position: Position) -> int:
        """How many more of the chunk's own records lie before ``position``."""
        before = max(self.settled, self.repeats)
        self.settled = max(self.settled, bisect_right(self.ends, position))
        return max(self.settled, self.repeats) - before

    @property
    def is_settled(self) -> bool:
        return self.settled >= len(self.ends)


class InFlight:
    """Chunks that were handed out, oldest first. False when there are none."""

    __slots__ = ("_handouts",)

    def __init__(self) -> None:
        self._handouts: deque[_Handout] = deque()

    def __bool__(self) -> bool:
        return bool(self._handouts)

    def add(self, ends: Positions, repeats: int = 0) -> None:
        """A chunk was handed out; its first ``repeats`` records are repeats."""
        self._handouts.append(_Handout(ends, repeats))

    def acknowledge(self, position: Position) -> int:
        """Settle everything before ``position``; how many records that settles now."""
        count = 0
        while self._handouts:
            oldest = self._handouts[0]
            count += oldest.acknowledge(position)
            if not oldest.is_settled:
                break
            self._handouts.popleft()
        return count

    def abandon(self, live: set[int]) -> int:
        """Give up what came from none of the ``live`` segments; how many records that loses."""
        lost = 0
        for handout in self._handouts:
            if handout.ends[0].segment not in live:
                lost += len(handout.ends) - max(handout.settled, handout.repeats)
                handout.settled = len(handout.ends)
        return lost
