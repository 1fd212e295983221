"""A source over another source that may settle records in another order than it reads them.

The session buffer and the tail sampler build on it, in the sender's thread. Invariant: the cursor
of the source behind never moves past a record that is still here or under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from sessiontrace.model.record import END, OPEN, START, Record, Records, event_id_of
from sessiontrace.runtime.throttle import Throttle
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.source import Chunk, Source

__all__ = ["MOST_BEHIND", "BufferedSession", "OutOfOrderSource"]

MOST_BEHIND = 50_000
"""Records that may be read past the oldest one that is held: each is a place to remember, and its
segment stays on the disk."""

_AT_ONCE = 32  # records crossed off between two looks at the clock


@attrs.define(eq=False)
class BufferedSession:
    """Records of one session that are held together; ``open`` are its starts without an end."""

    since: float
    records: Records = attrs.field(factory=Records)
    numbers: list[int] = attrs.field(factory=list)
    open: set[bytes] = attrs.field(factory=set)
    size: int = 0

    def add(self, record: Record, number: int) -> None:
        """One more, behind the others."""
        self.records.append(record)
        self.numbers.append(number)
        self.size += len(record.body)

    def closes(self, record: Record) -> bool:
        """Note what a record opens or ends; whether nothing is open any more by its end."""
        if record.kind in (START, OPEN):
            self.open.add(event_id_of(record.body))
        elif record.kind == END:
            self.open.discard(event_id_of(record.body))
            return not self.open
        return False


class OutOfOrderSource:
    """Keeps the order of acknowledgements; subclasses define ``read``, which numbers records."""

    def __init__(self, source: Source) -> None:
        self._source = source
        # Of all records read and not passed, in order; the collector forgets plain tuples.
        self._ends: deque[tuple[int, int]] = deque()
        self._first = 0  # the number of the record that `_ends` begins with
        self._done: dict[int, bool] = {}  # settled out of order: number, and whether it counts
        self._ahead = 0  # those of them that count
        self._handed_out: deque[tuple[int, int, bool]] = deque()  # ticket, number, counts
        self._ticket = 0
        self._pace = Throttle()  # a session may be ten thousand records

    # -- a source, as the lane knows it -----------------------------------------------------

    @property
    def adopted(self) -> bool:
        """Whether it was another process's."""
        return self._source.adopted

    @property
    def replay(self) -> bool:
        """Whether records may have been delivered before."""
        return self._source.replay

    @property
    def evicted(self) -> int:
        """Records lost to the quota."""
        return self._source.evicted

    def pending(self) -> int:
        """Records not settled, held ones included."""
        return max(0, self._source.pending() - self._ahead)

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """What may go now; without records: ask again; None: nothing now."""
        raise NotImplementedError

    def acknowledge(self, position: Position) -> None:
        """Everything given out up to this ticket is settled."""
        while self._handed_out and self._handed_out[0][0] <= position.offset:
            _, number, counts = self._handed_out.popleft()
            self._finish(number, counts)
            if not number % _AT_ONCE:
                self._pace()
        self._pass()

    def finished(self) -> bool:
        """Whether nothing will ever come any more."""
        return self._source.finished()

    # -- what a lane must know about buffering ---------------------------------------------------

    def release_all(self) -> None:
        """Let go of everything that is in the source now: a flush, or the end."""
        if isinstance(self._source, OutOfOrderSource):
            self._source.release_all()

    def seconds_until_due(self) -> float | None:
        """Seconds until something that is held must go; None when nothing is held."""
        return (
            self._source.seconds_until_due() if isinstance(self._source, OutOfOrderSource) else None
        )

    # -- for subclasses ---------------------------------------------------------------------

    def _since(self, number: int) -> int:
        """How many records were read since the one of this number."""
        return self._first + len(self._ends) - number

    def _number(self, end: Position) -> int:
        """The number of the record that was read next."""
        self._ends.append((end[0], end[1]))
        return self._first + len(self._ends) - 1

    def _give(self, records: Records, numbers: Iterable[int]) -> Chunk:
        """Hand records out, with tickets."""
        first = self._ticket + 1
        for kind, number in zip(records.kinds, numbers, strict=True):
            self._ticket += 1
            self._handed_out.append((self._ticket, number, kind != OPEN))
        tickets = list(range(first, self._ticket + 1))
        return Chunk(records, Positions([0] * len(tickets), tickets))

    def _finish(self, number: int, counts: bool) -> None:
        """A record is through; one that does not count is a repeat."""
        self._done[number] = counts
        self._ahead += counts

    def _pass(self) -> None:
        """Move the cursor over what is through at the front."""
        passed: tuple[int, int] | None = None
        ahead = self._ahead
        while self._ends and self._first in self._done:
            ahead -= self._done.pop(self._first)
            passed = self._ends.popleft()
            self._first += 1
            if not self._first % _AT_ONCE:
                self._pace()
        if passed is not None:
            self._ahead = ahead  # first, so that a concurrent reader over-reports pending
            self._source.acknowledge(Position(*passed))
