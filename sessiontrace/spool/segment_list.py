"""The segment list: what appends, readers and maintenance of one process's spool share.

Every method takes the lock, except where its docstring says that the caller holds it. Invariant:
numbers rise along the list, the active segment is the last one that is not a copy, and a segment
that leaves the list is counted: as accepted, and as evicted by every reader that has not read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from os import getpid

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.spool import frame
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.frame import Consumer, Header, Position
from sessiontrace.spool.open_sessions import OpenSessions
from sessiontrace.spool.reader import Reader
from sessiontrace.spool.segment import LARGEST, MEMORY, SMALLEST, Segment
from sessiontrace.spool.segment_allocator import SegmentAllocator

__all__ = [
    "APPENDING",
    "CLOSED",
    "OPENING",
    "READY",
    "UNOPENED",
    "SegmentList",
]

_MEMORY_MAX = 64 << 20
_HEADER_ROOM = 512
_LONGEST_SERVICE = 1_000  # characters: recovery reads a header of 256 KiB at most


# What the spool is doing: the table in `spool.spool` explains each state. Numbers, since an append
# sets and tests the state; READY is 0, so that the test of the fast path is a truth value.
READY = 0
UNOPENED = 1
OPENING = 2
APPENDING = 3
CLOSED = 4


class SegmentList:
    """The segments in their order, the spare one, the open sessions and the readers.

    Iterating goes over a copy, so the list may change meanwhile. ``quota``: bytes over the whole
    root. ``on_roll`` is called with the lock held when a segment is full; it must not block.
    """

    __slots__ = (
        "_allocator",
        "_consumers",
        "_counters",
        "_files",
        "_largest",
        "_memory_max",
        "_number",
        "_pid",
        "_retired",
        "_segments",
        "_service",
        "_size",
        "active",
        "id",
        "lock",
        "on_roll",
        "open_sessions",
        "opened",
        "readers",
        "spare",
        "state",
    )

    def __init__(
        self,
        spool_id: str,
        *,
        consumers: Sequence[Consumer],
        service: str,
        quota: int,
        allocator: SegmentAllocator,
        files: Files,
        counters: Counters,
        on_roll: Callable[[], None] | None = None,
    ) -> None:
        self.id: str = spool_id
        self.lock: ReentrantLock = ReentrantLock()
        self.state: int = UNOPENED  # changed with the lock held
        self.opened: bool = False  # there is an active segment; stays so after the end
        self.active: Segment
        self.spare: Segment | None = None
        self.open_sessions: OpenSessions = OpenSessions(counters)
        self.on_roll: Callable[[], None] | None = on_roll
        self._segments: list[Segment] = []
        self._consumers = tuple(consumers)
        self._service = service[:_LONGEST_SERVICE].encode(errors="replace").decode()
        self._pid = getpid()
        self._allocator = allocator
        self._files = files
        self._counters = counters
        self._number = 0
        self._size = SMALLEST
        self._memory_max = min(quota, _MEMORY_MAX)
        self._largest = min(LARGEST, max(SMALLEST, quota // 4))
        self._retired: dict[bytes, int] = {}
        self.readers: dict[str, Reader] = {
            consumer.name: self._reader(consumer.name) for consumer in consumers
        }

    def __iter__(self) -> Iterator[Segment]:
        return iter(list(self._segments))

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, index: int) -> Segment:
        return self._segments[index]

    def end(self) -> Position:
        """Just past the last record; ``Position(0, 0)`` before the first."""
        with self.lock:
            if not self.opened:
                return Position(0, 0)
            return Position(self.active.number, self.active.committed)

    def accepted(self) -> dict[bytes, int]:
        """Records taken so far, by route."""
        with self.lock:
            counts = dict(self._retired)
            for segment in self._segments:
                _add(counts, segment.counts())
            return counts

    def after(self, number: int) -> Segment | None:
        """The next segment a reader should read. The lock is held."""
        return next((s for s in self._segments if s.number > number and not s.copy), None)

    def mark_unreadable(self, segment: Segment) -> None:
        """A segment's file cannot be read: count what it held."""
        self._counters.note("segment_lost")
        log_once("spool:lost", "a spool segment cannot be read any more; its records are lost")
        self.forget(segment, evicted=True)

    def note_damage(self, lost: int) -> None:
        """Frames were skipped whose checksum is wrong: another program changed the file."""
        self._counters.note("corrupt_record", lost)
        log_once(
            "spool:corrupt", "about %d records in the spool are damaged and were skipped", lost
        )

    def forget(self, segment: Segment, *, evicted: bool) -> None:
        """Take a segment off the list; the caller deletes its file."""
        with self.lock:
            if segment.gone:
                return
            if segment is self.active and self.state != CLOSED:
                self.roll(0)
            segment.gone = True
            self._segments.remove(segment)
            _add(self._retired, segment.counts())
            if evicted:
                for reader in self.readers.values():
                    reader.count_evicted(segment)

    def roll(self, need: int) -> None:
        """Seal the active segment and begin one with room for ``need`` bytes. The lock is held."""
        room = need + self.open_sessions.size
        segment = self._take_spare(room) or self._make(room)
        try:
            segment.append_bytes(self.open_sessions.frames(segment.seed))
        except OSError as error:
            self._allocator.fail(error)
            segment.delete()
            segment = self._make(room)  # in memory now
            segment.append_bytes(self.open_sessions.frames(segment.seed))
        segment.first = segment.committed
        if self.opened:
            self.active.sealed = True
        self._segments.append(segment)
        self.active = segment
        self.opened = True
        if self.on_roll is not None:
            self.on_roll()

    def seal_all(self) -> None:
        """At close: no segment takes another record, and the spare is not needed."""
        with self.lock:
            for segment in self._segments:
                segment.sealed = True
        self.drop_spare()

    def drop_spare(self) -> None:
        """Delete the spare segment, if there is one."""
        with self.lock:
            spare, self.spare = self.spare, None
        if spare is not None:
            spare.delete()

    def insert(self, copy: Segment) -> None:
        """Add the copy of a broken segment, in the place that its number says."""
        with self.lock:
            self._segments.append(copy)
            self._segments.sort(key=lambda segment: segment.number)

    def prepare(self, segment: Segment) -> Segment:
        """Write the header of a new segment. OSError when the disk refuses."""
        header = Header(self.id, segment.number, self._service, self._pid, self._consumers)
        segment.append_bytes(frame.encode_header(header))
        segment.start = segment.first = segment.committed
        return segment

    def next_number(self) -> int:
        """A number no segment has had."""
        with self.lock:
            self._number += 1
            return self._number

    def next_size(self) -> int:
        """The size of the next planned segment: each twice the last, up to the largest."""
        self._size = min(2 * self._size, self._largest)
        return max(self._size, 2 * self.open_sessions.size)

    def _reader(self, name: str) -> Reader:
        route = name.encode()

        def total() -> int:
            counts = self.accepted()
            return sum(count for to, count in counts.items() if frame.routed(to, route))

        return Reader(self, name, total=total)

    def _take_spare(self, room: int) -> Segment | None:
        """The spare, if it has the room; one that has not is passed over, empty."""
        spare, self.spare = self.spare, None
        if spare is not None and spare.size - spare.committed < room:
            spare.sealed = True
            self._segments.append(spare)
            return None
        return spare

    def _make(self, room: int) -> Segment:
        """A segment made by the appender itself: the first one, or when no spare was ready."""
        size = self.next_size() if self._allocator.failing and self.opened else SMALLEST
        while size < room + _HEADER_ROOM + 256 * len(self._consumers) + 6 * len(self._service):
            size *= 2
        if self.opened and not self._allocator.failing:
            self._counters.note("segment_without_spare")
        number = self.next_number()
        segment = self._allocator.segment(number, size)
        if segment.mode != MEMORY:
            try:
                return self.prepare(segment)
            except OSError as error:
                self._allocator.fail(error)
                segment.delete()
                segment = Segment.in_memory(self._files, self.id, number, size)
        return self._bounded(segment)

    def _bounded(self, segment: Segment) -> Segment:
        """A memory segment, for which the oldest ones give way when there are too many."""
        self._counters.note("memory_segment")
        in_memory = [s for s in self._segments if s.mode == MEMORY]
        used = segment.size + sum(s.size for s in in_memory)
        for oldest in in_memory[:-1]:  # the last of them is perhaps still active
            if used <= self._memory_max:
                break
            used -= oldest.size
            self._counters.note("evicted_segment")
            log_once("spool:evicted", "too much waits in memory; the oldest records are evicted")
            self.forget(oldest, evicted=True)
            oldest.delete()
        return self.prepare(segment)


def _add(total: dict[bytes, int], counts: dict[bytes, int]) -> None:
    for route, count in counts.items():
        total[route] = total.get(route, 0) + count
