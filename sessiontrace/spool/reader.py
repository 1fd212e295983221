"""The reader: one destination's way through one spool, its own process's or an adopted one.

Used by the sender's thread; the keeper moves segments away under the spool's lock meanwhile.
Invariant: each record routed to the destination is handed out once, or counted as evicted; and
the settled position never passes a record that was handed out and not settled.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from sessiontrace.model.record import OPEN, Record, Records
from sessiontrace.spool import frame
from sessiontrace.spool.frame import EVERYWHERE, Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.segment import Segment
from sessiontrace.spool.source import Chunk

__all__ = ["Reader", "SegmentSource"]

_WINDOW = 1 << 16
"""Bytes parsed at a time: they fit the processor's cache, and hold the interpreter under 0.1 ms."""

_CHECKSUM = 9  # with the space behind it


class SegmentSource(Protocol):
    """A spool as its readers see it: the next segment, and a place to report a lost one."""

    id: str
    lock: threading.RLock

    def after(self, number: int) -> Segment | None:
        """The next segment after this number; called with the lock held."""
        ...

    def mark_unreadable(self, segment: Segment) -> None:
        """A segment cannot be read any more: count what each destination loses by it."""
        ...


class _InFlight:
    """Positions of one chunk that are not settled yet."""

    __slots__ = ("done", "ends", "repeats")

    def __init__(self, ends: Positions, repeats: int) -> None:
        self.ends = ends
        self.done = 0
        self.repeats = repeats  # leading ``open`` frames, which nobody counts

    def acknowledge(self, position: Position) -> int:
        """How many more of the chunk's own records lie before ``position``."""
        before = max(self.done, self.repeats)
        self.done = max(self.done, bisect_right(self.ends, position))
        return max(self.done, self.repeats) - before

    @property
    def left(self) -> int:
        return len(self.ends) - max(self.done, self.repeats)


class Reader:
    """What one destination has still to get from one spool.

    ``replay`` tells that some of it may have been delivered before. ``owed_as`` is the name that
    the spool's routes use for the destination, which may be another than ours.
    """

    def __init__(
        self,
        source: SegmentSource,
        name: str,
        *,
        total: Callable[[], int],
        owed_as: str | None = None,
        adopted: bool = False,
        resume: Position = Position(0, 0),  # noqa: B008 - an immutable tuple
        ends: Sequence[Record] = (),
        ends_at: int = 0,
        on_settle: Callable[[], None] | None = None,
    ) -> None:
        self.spool_id = source.id
        self.name = name
        self.adopted = self.replay = adopted
        self.evicted = 0
        self.settled_count = 0
        self._source = source
        self._route = (owed_as or name).encode()
        self._total = total
        self._on_settle = on_settle
        self._in_flight: deque[_InFlight] = deque()
        self._settled = resume
        self._resume = resume
        self._segment: Segment | None = None
        self._number = resume.segment - 1 if resume.segment else 0
        self._offset = 0
        self._taken = 0  # own records handed out of the current segment
        self._missed = adopted  # have we seen everything before the current segment?
        self._ends = [(Position(ends_at, i + 1), end) for i, end in enumerate(ends)]
        self._read_out = False

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """The next records for this destination, all of one segment; None when there are no more.

        At most ``max_records``, and about ``max_bytes`` of frames but always one record.
        """
        limit = min(max_bytes, _WINDOW)
        while (place := self._next()) is not None:
            segment, start, stop, plain = place
            raw = _whole_lines(segment, start, stop, limit)
            if not raw:
                self._source.mark_unreadable(segment)
                continue
            if plain and not self.adopted:
                records, ends, repeats, after = self._parse(segment, start, raw, max_records)
            else:
                records, ends, repeats, after = self._sift(segment, start, raw, max_records)
            if self._take(segment, ends, repeats, after) and records:
                return Chunk(records, ends)
        return self._read_ends(max_records)

    def acknowledge(self, position: Position) -> None:
        """Everything handed out before ``position`` is settled; an older position does nothing."""
        with self._source.lock:
            while self._in_flight:
                oldest = self._in_flight[0]
                self.settled_count += oldest.acknowledge(position)
                if oldest.done < len(oldest.ends):
                    break
                self._in_flight.popleft()
            self._settled = max(self._settled, position)
            self._catch_up()
        if self._on_settle is not None:
            self._on_settle()

    def position(self) -> Position:
        """Everything before it is settled."""
        return self._settled

    def finished(self) -> bool:
        """Whether this is an adopted spool, read to its end and settled."""
        return self.adopted and self._read_out and not self._in_flight

    def pending(self) -> int:
        """Records for this destination that are neither settled nor evicted."""
        with self._source.lock:
            return max(0, self._total() - self.settled_count - self.evicted)

    def is_acknowledged(self, segment: Segment) -> bool:
        """Whether a sealed segment holds nothing unsettled for this destination."""
        number, offset = self._settled
        return number > segment.number or (number == segment.number and offset >= segment.committed)

    def count_evicted(self, segment: Segment) -> None:
        """A segment goes: count what was not handed out. Called with the lock held."""
        here = self._number == segment.number
        if self._number > segment.number or (here and self._read_all(segment)):
            return
        lost = segment.count_for(self._route) - (self._taken if here else 0)
        self.evicted += min(lost, self.pending())  # a cursor may have stood within the segment
        self._missed = True

    def _read_all(self, segment: Segment) -> bool:
        return self._segment is None or self._offset >= segment.committed

    def abandon_in_flight(self, live: set[int]) -> None:
        """At close: what is in flight and no longer in any segment will never come back."""
        with self._source.lock:
            for flight in self._in_flight:
                if flight.ends[0].segment not in live:
                    self.evicted += flight.left
                    flight.done = len(flight.ends)

    def _next(self) -> tuple[Segment, int, int, bool] | None:
        """Segment, start and end of what is unread, and whether all of it is for everybody."""
        with self._source.lock:
            while True:
                segment = self._segment
                if segment is not None and not segment.gone:
                    if self._offset < segment.committed:
                        plain = self._offset >= segment.first and all(
                            counter.route == EVERYWHERE or counter.kind == OPEN
                            for counter in segment.counters.values()
                        )
                        return segment, self._offset, segment.committed, plain
                    if not segment.sealed:
                        return None
                following = self._source.after(self._number)
                if following is None:
                    return None
                self._enter(following)

    def _enter(self, segment: Segment) -> None:
        again = self._missed and segment.number > 1
        self._segment, self._number, self._taken = segment, segment.number, 0
        self._offset = segment.start if again else segment.first
        if self._resume.segment == segment.number and not again:
            self._offset = max(self._offset, self._resume.offset)
        self._missed = False
        self._catch_up()

    def _catch_up(self) -> None:
        """With nothing in flight, whatever was read over is settled too."""
        if not self._in_flight and self._segment is not None:
            self._settled = max(self._settled, Position(self._number, self._offset))

    def _take(self, segment: Segment, ends: Positions, repeats: int, after: int) -> bool:
        with self._source.lock:
            if segment.gone:  # evicted while we read it, and counted as unread
                return False
            self._offset = after
            self._taken += len(ends) - repeats
            if ends:
                self._in_flight.append(_InFlight(ends, repeats))
            else:
                self._catch_up()
            return True

    def _parse(
        self, segment: Segment, start: int, raw: bytes, most: int
    ) -> tuple[Records, Positions, int, int]:
        """Frames of our own, every one for us: no checks, the fast way.

        ``find`` looks at 16 bytes and more at once, ``split`` at one.
        """
        find = raw.find
        heads: list[bytes] = []
        bodies: list[bytes] = []
        ends: list[int] = []
        at = 0
        while len(bodies) < most and (end := find(b"\n", at)) >= 0:
            head_end = find(b" ", find(b" ", at + _CHECKSUM) + 1)
            heads.append(raw[at + _CHECKSUM : head_end])
            bodies.append(raw[head_end + 1 : end])
            at = end + 1
            ends.append(start + at)
        known = {head: head.split() for head in set(heads)}  # few: kinds, and sets of names
        kinds = [known[head][0] for head in heads]
        routes = [known[head][1] for head in heads]
        places = Positions([segment.number] * len(ends), ends)
        return Records(kinds, routes, bodies), places, 0, start + at

    def _sift(
        self, segment: Segment, start: int, raw: bytes, most: int
    ) -> tuple[Records, Positions, int, int]:
        """Frames of others, or not all for us: checked, and those passed over that are not."""
        records, ends = Records(), Positions()
        repeats, route, resume = 0, self._route, self._resume
        lines = raw.split(b"\n")
        lines.pop()
        for line in lines:
            if len(records) >= most:
                break
            start += len(line) + 1
            record = frame.decode(line, segment.seed) if self.adopted else _trusted(line)
            if record is None or not frame.routed(record.route, route):
                continue
            end = Position(segment.number, start)
            if record.kind == OPEN:  # only where ``_enter`` began at the repeats
                repeats += 1
            elif end <= resume:
                continue
            records.append(record)
            ends.append(max(end, resume))
        return records, ends, repeats, start

    def _read_ends(self, most: int) -> Chunk | None:
        """After the last frame of a dead process's spool: the ends of its open sessions."""
        if not self.adopted:
            return None
        with self._source.lock:
            ready = [each for each in self._ends if each[0] > self._resume][:most]
            if not ready:
                self._read_out = True
                return None
            self._resume = ready[-1][0]
            ends = Positions()
            ends.extend(place for place, _ in ready)
            self._in_flight.append(_InFlight(ends, 0))
        return Chunk(Records.of(end for _, end in ready), ends)


def _trusted(line: bytes) -> Record:
    return Record(*line.split(b" ", 3)[1:])


def _whole_lines(segment: Segment, start: int, stop: int, limit: int) -> bytes:
    """At most ``limit`` bytes of lines from ``start``, or one line that is longer.

    Nothing when the file is gone, or ends where it did not end before.
    """
    longer = False
    while True:
        end = min(stop, start + limit)
        try:
            raw = segment.read(start, end)
        except OSError:
            return b""
        cut = (raw.find(b"\n") if longer else raw.rfind(b"\n")) + 1
        if cut or end == stop:
            return raw[:cut]
        limit *= 2
        longer = True
