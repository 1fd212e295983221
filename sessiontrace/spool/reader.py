"""The reader: one destination's way through this process's own spool.

Used in the sender's thread; maintenance takes segments away under the spool's lock meanwhile.
Invariant: each record routed to the destination is handed out once, or counted as evicted; and
the settled position never passes a record that was handed out and not settled. A frame is handed
out only after its checksum was verified; what fails it is skipped, counted and settled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sessiontrace.model.record import OPEN, Records
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.spool import frame
from sessiontrace.spool.frame import EVERYWHERE, Position
from sessiontrace.spool.in_flight import InFlight
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.segment import Segment
from sessiontrace.spool.source import Chunk

__all__ = ["Parsed", "Reader", "SegmentSource"]

Parsed = tuple[Records, Positions, int, int]
"""Records of a window with their ends, how many are repeats, and the offset after the window."""

_WINDOW = 1 << 16
"""Bytes parsed at a time: they fit the processor's cache, and keep the interpreter under 0.1 ms."""


class SegmentSource(Protocol):
    """A spool as its readers see it: the next segment, and a place to report a lost one."""

    id: str
    lock: ReentrantLock

    def after(self, number: int) -> Segment | None:
        """The next segment after this number; called with the lock held."""
        ...

    def mark_unreadable(self, segment: Segment) -> None:
        """A segment cannot be read any more: count what each destination loses by it."""
        ...

    def note_damage(self, lost: int) -> None:
        """Frames were skipped whose checksum is wrong: about ``lost`` records."""
        ...


class Reader:
    """What one destination has still to get from one spool; a ``Source`` of records.

    ``total`` returns how many records the spool has taken for this destination.
    """

    adopted = False
    replay = False

    def __init__(self, source: SegmentSource, name: str, *, total: Callable[[], int]) -> None:
        self.spool_id: str = source.id
        self.name = name
        self.evicted: int = 0
        self.settled_count: int = 0
        self._source = source
        self._route = name.encode()
        self._total = total
        self._in_flight = InFlight()
        self._settled = Position(0, 0)
        self._segment: Segment | None = None  # the one being read, its number, and how far
        self._number = 0
        self._offset = 0
        self._handed_out = 0  # own records of the current segment handed out, or skipped as damaged
        self._damaged = 0  # records of the window being parsed that fail their checksum
        self._damage_estimated = False  # of the current segment: its end shows the true number
        self._skipped = False  # a segment was evicted unread: repeated starts may be news to us

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """The next records for this destination, all of one segment; None when there are no more.

        At most ``max_records``, and about ``max_bytes`` of frames but always one record.
        """
        limit = min(max_bytes, _WINDOW)
        while (unread := self._next()) is not None:
            segment, start, stop, plain = unread
            raw = _whole_lines(segment, start, stop, limit)
            if not raw:
                self._source.mark_unreadable(segment)
                continue
            parse = self._parse_all if plain else self._parse_some
            records, ends, repeats, after = parse(segment, start, raw, max_records)
            if self._advance(segment, ends, repeats, after) and records:
                return Chunk(records, ends)
        return None

    def acknowledge(self, position: Position) -> None:
        """Everything handed out before ``position`` is settled; an older position does nothing."""
        with self._source.lock:
            self.settled_count += self._in_flight.acknowledge(position)
            self._settled = max(self._settled, position)
            self._settle_read_over()

    def position(self) -> Position:
        """Everything before it is settled."""
        return self._settled

    def finished(self) -> bool:
        """Whether nothing will ever come any more: never so of a spool in use."""
        return False

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
        current = self._number == segment.number
        if self._number > segment.number or (current and self._has_read_all(segment)):
            return
        lost = self._owed_in(segment) - (self._handed_out if current else 0)
        self.evicted += min(lost, self.pending())  # a cursor may have been within the segment
        self._skipped = True

    def abandon_in_flight(self, live: set[int]) -> None:
        """At close: what is in flight and no longer in any segment will never come back."""
        with self._source.lock:
            self.evicted += self._in_flight.abandon(live)

    def _owed_in(self, segment: Segment) -> int:
        """How many records of a segment this destination had to get."""
        return segment.count_for(self._route)

    def _has_read_all(self, segment: Segment) -> bool:
        return self._segment is None or self._offset >= segment.committed

    def _next(self) -> tuple[Segment, int, int, bool] | None:
        """Segment, start and end of what is unread, and whether every frame of it is for us."""
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
                    self._count_damage(segment)
                    if not segment.sealed:
                        return None
                following = self._source.after(self._number)
                if following is None:
                    return None
                self._enter(following)

    def _count_damage(self, segment: Segment) -> None:
        """A segment is read over: what it holds for us and was not handed out is damaged."""
        if self._damage_estimated:
            self._damage_estimated = False
            total = segment.count_for(self._route)
            self.evicted += total - self._handed_out
            self._handed_out = total

    def _enter(self, segment: Segment) -> None:
        self._damage_estimated = False
        self._segment, self._number, self._handed_out = segment, segment.number, 0
        self._offset = self._first_offset(segment, self._skipped and segment.number > 1)
        self._skipped = False
        self._settle_read_over()

    def _first_offset(self, segment: Segment, with_repeats: bool) -> int:
        """Where to begin in a segment: at its own records, or at the repeated starts before."""
        return segment.start if with_repeats else segment.first

    def _settle_read_over(self) -> None:
        """With nothing in flight, whatever was read over is settled too."""
        if not self._in_flight and self._segment is not None:
            self._settled = max(self._settled, Position(self._number, self._offset))

    def _advance(self, segment: Segment, ends: Positions, repeats: int, after: int) -> bool:
        damaged, self._damaged = self._damaged, 0
        with self._source.lock:
            if segment.gone:  # evicted while we read it, and counted as unread
                return False
            self._offset = after
            self._handed_out += len(ends) - repeats + damaged
            if damaged:
                self.evicted += damaged
                self._damage_estimated = True
            if ends:
                self._in_flight.add(ends, repeats)
            else:
                self._settle_read_over()
            return True

    def _parse_all(self, segment: Segment, start: int, raw: bytes, max_records: int) -> Parsed:
        """Frames of our own, every one for us: the fast way.

        Each checksum is verified: another program may have changed the file since.
        """
        heads, bodies, ends, unsound, size = frame.split_frames(raw, segment.seed, max_records)
        for line_start, line_end in unsound:
            self._note_damage(segment, start + line_start, raw[line_start:line_end])
        split_heads = {head: head.split() for head in set(heads)}  # few: kinds, and sets of names
        kinds = [split_heads[head][0] for head in heads]
        routes = [split_heads[head][1] for head in heads]
        offsets = [start + end for end in ends]
        positions = Positions([segment.number] * len(offsets), offsets)
        return Records(kinds, routes, bodies), positions, 0, start + size

    def _parse_some(self, segment: Segment, start: int, raw: bytes, max_records: int) -> Parsed:
        """Frames of our own that are not all for us, or begin with repeated starts."""
        records, ends, repeats = Records(), Positions(), 0
        lines = raw.split(b"\n")
        lines.pop()
        for line in lines:
            if len(records) >= max_records:
                break
            start += len(line) + 1
            record = frame.decode(line, segment.seed)
            if record is None:
                self._note_damage(segment, start, line)
            elif frame.routed(record.route, self._route):
                repeats += record.kind == OPEN
                records.append(record)
                ends.append(Position(segment.number, start))
        return records, ends, repeats, start

    def _note_damage(self, segment: Segment, offset: int, line: bytes) -> None:
        """A line is not what was written: reading goes on after it."""
        lost = frame.damage(line)
        self._damaged += lost
        if offset >= segment.noted_damage:  # another destination's reader has not met it yet
            segment.noted_damage = offset + 1
            self._source.note_damage(lost)


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
