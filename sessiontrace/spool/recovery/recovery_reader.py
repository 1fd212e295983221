"""The reader of a spool that another process left: checked frames, resumed at a cursor.

Used in the sender's thread, as ``Reader``. Invariant: after the last frame it hands out an end for
each session that the dead process left open, and then it is finished once all of that is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sessiontrace.model.record import OPEN, Record, Records
from sessiontrace.spool import frame
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.reader import Parsed, Reader, SegmentSource
from sessiontrace.spool.segment import Segment
from sessiontrace.spool.source import Chunk

__all__ = ["RecoveryReader"]


class RecoveryReader(Reader):
    """What one destination has still to get from a recovered spool.

    ``total`` is the number of records beyond the cursor, ``route`` the name that the spool's routes
    use for the destination, which may be another than ours. ``resume`` is the cursor. ``ends`` are
    the ends of open sessions, at positions in the segment number ``ends_at``. ``owed``: how many
    records each segment holds beyond the cursor. ``on_acknowledge`` is called after each
    acknowledgement, without the lock.
    """

    evicted: int
    adopted = True
    replay = True  # some records may have been delivered before

    def __init__(
        self,
        source: SegmentSource,
        name: str,
        *,
        total: int,
        route: str,
        resume: Position,
        ends: Sequence[Record],
        ends_at: int,
        owed: Mapping[int, int],
        on_acknowledge: Callable[[], None],
    ) -> None:
        super().__init__(source, name, total=lambda: total)
        self._route = route.encode()
        self._on_acknowledge = on_acknowledge
        self._settled = self._resume = resume
        self._number = resume.segment - 1 if resume.segment else 0
        self._skipped = True
        self._ends = [(Position(ends_at, index + 1), end) for index, end in enumerate(ends)]
        self._owed = owed
        self._read_out = False

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """The next records, at last the ends of open sessions; None when there are no more."""
        chunk = super().read(max_records, max_bytes)
        return self._read_ends(max_records) if chunk is None else chunk

    def acknowledge(self, position: Position) -> None:
        """Everything handed out before ``position`` is settled; an older position does nothing."""
        super().acknowledge(position)
        self._on_acknowledge()

    def finished(self) -> bool:
        """Whether the spool is read to its end and settled."""
        return self._read_out and not self._in_flight

    def evict_ends(self) -> None:
        """The last segment goes, and with it what says which sessions have no end."""
        unread = [end for end, _ in self._ends if end > self._resume]
        self._ends = []
        self.evicted += min(len(unread), self.pending())

    def _owed_in(self, segment: Segment) -> int:
        return self._owed.get(segment.number, 0)

    def _first_offset(self, segment: Segment, with_repeats: bool) -> int:
        offset = super()._first_offset(segment, with_repeats)
        if self._resume.segment == segment.number and not with_repeats:
            return max(offset, self._resume.offset)
        return offset

    def _parse_all(self, segment: Segment, start: int, raw: bytes, max_records: int) -> Parsed:
        return self._parse_some(segment, start, raw, max_records)  # none is trusted unchecked

    def _parse_some(self, segment: Segment, start: int, raw: bytes, max_records: int) -> Parsed:
        """Frames that another process wrote: checked, and those before the cursor left out."""
        records, ends, repeats = Records(), Positions(), 0
        lines = raw.split(b"\n")
        lines.pop()
        for line in lines:
            if len(records) >= max_records:
                break
            start += len(line) + 1
            record = frame.decode(line, segment.seed)
            if record is None or not frame.routed(record.route, self._route):
                continue
            end = Position(segment.number, start)
            if record.kind == OPEN:  # only where ``_enter`` began at the repeats
                repeats += 1
            elif end <= self._resume:
                continue
            records.append(record)
            ends.append(max(end, self._resume))
        return records, ends, repeats, start

    def _read_ends(self, max_records: int) -> Chunk | None:
        """After the last frame of a dead process's spool: the ends of its open sessions."""
        with self._source.lock:
            ready = [(end, record) for end, record in self._ends if end > self._resume]
            ready = ready[:max_records]
            if not ready:
                self._read_out = True
                return None
            self._resume = ready[-1][0]
            ends = Positions()
            ends.extend(end for end, _ in ready)
            self._in_flight.add(ends)
        return Chunk(Records.of(record for _, record in ready), ends)
