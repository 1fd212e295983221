"""This process's own spool: the way of a record from ``append`` onto the disk.

``append`` runs in the user's threads, ``keep`` in the keeper's, readers in the sender's. Invariant:
when ``append`` has returned True the record is in the kernel's hands (or, in memory mode, in this
process's), and every destination it is routed to gets it or counts it as evicted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from os import getpid
from pathlib import Path
from zlib import crc32

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.fork_detector import own_process
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.wake import WakeSignal
from sessiontrace.spool import frame, spool_directory
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.frame import MAX_BODY, Consumer, Header, Position, write_frame
from sessiontrace.spool.maintenance import SpoolMaintenance
from sessiontrace.spool.open_sessions import OpenSessions
from sessiontrace.spool.reader import Reader
from sessiontrace.spool.segment import LARGEST, MEMORY, SMALLEST, Segment
from sessiontrace.spool.segment_allocator import SegmentAllocator

__all__ = ["Spool"]

_MEMORY_MOST = 64 << 20
_HEADER_ROOM = 512
_LINE_FEED = 10

_abandoned: list[Spool] = []


class Spool:
    """The spool of one tracer in one process. Touches nothing on disk until the first append.

    ``root``: the directory of all spools, None for memory only. ``io``: "map", "write" or None
    for what suits the file system. ``durability``: "process" or "sync". ``quota``: bytes over the
    whole root. ``on_open`` is called once, after the first append; ``on_fork`` gets what is
    appended in a forked child. ``on_wake`` must not block.
    """

    __slots__ = (
        "_active",
        "_close_wanted",
        "_closed",
        "_consumers",
        "_counters",
        "_deferred",
        "_detour",
        "_has_deferred",
        "_home",
        "_largest",
        "_memory_most",
        "_number",
        "_on_fork",
        "_on_open",
        "_opened",
        "_opening",
        "_own",
        "_pid",
        "_retired",
        "_service",
        "_size",
        "_sync",
        "_upkeep",
        "files",
        "id",
        "lock",
        "new_records",
        "on_wake",
        "opens",
        "readers",
        "segments",
        "spare",
    )

    def __init__(
        self,
        root: Path | None,
        *,
        consumers: Sequence[Consumer],
        service: str,
        quota: int,
        io: str | None,
        durability: str,
        counters: Counters,
        files: Files = OS_FILES,
        on_open: Callable[[], None],
        on_fork: Callable[[bytes, bytes], bool],
    ) -> None:
        self.id = spool_directory.new_spool_id()
        self.files = files
        self.lock = threading.RLock()
        self.on_wake: Callable[[], None] | None = None
        self.new_records = WakeSignal(self.end)
        self.segments: list[Segment] = []
        self.spare: Segment | None = None
        self.opens = OpenSessions(counters)
        self._active: Segment
        self._closed = self._opened = self._opening = self._close_wanted = False
        self._detour = True  # unopened, appending or closed: not the straight way
        self._has_deferred = False  # within an append another one, or a close, was asked for
        self._deferred: deque[tuple[bytes, bytes]] = deque()
        self._consumers = tuple(consumers)
        self._service = service
        self._counters = counters
        self._on_open: Callable[[], None] | None = on_open
        self._on_fork = on_fork
        self._sync = durability == "sync"
        self._pid = getpid()
        self._own = own_process()
        self._number = 0
        self._size = SMALLEST
        self._memory_most = min(quota, _MEMORY_MOST)
        self._largest = min(LARGEST, max(SMALLEST, quota // 4))
        self._retired: dict[bytes, int] = {}
        self._home = SegmentAllocator(root, self.id, io, files, counters)
        self.readers = {owed.name: self._reader(owed.name) for owed in self._consumers}
        self._upkeep = SpoolMaintenance(self, self._home, self._consumers, quota, counters)

    @property
    def directory(self) -> Path | None:
        """Where the segments are; None before opening, and where there is no usable root."""
        return self._home.directory

    @property
    def mode(self) -> str:
        """How records are kept now: "map", "write", "memory", or "unopened"."""
        return self._active.mode if self._opened else "unopened"

    def append(self, head: bytes, body: bytes) -> bool:
        """Take a record; False when it was not taken, and is counted as dropped.

        From any thread, a signal handler and ``__del__`` too; never raises, and in map mode never
        waits for I/O. ``head`` is ``frame.head(kind, route)``, ``body`` one JSON object without a
        line feed.
        """
        # The usual way stands here in one frame: a call more would cost a quarter of the checksum.
        try:
            if not self._own[0]:
                return self._on_fork(head, body)
            with self.lock:
                if self._detour:
                    taken = self._defer_or_open(head, body)
                else:
                    self._detour = True
                    try:
                        segment = self._active
                        tally = segment.tallies.get(head)
                        view = segment.view
                        if tally is None or tally.turning or view is None:
                            taken = self._lay(head, body)
                        else:
                            crc = crc32(body, tally.crc)
                            end = write_frame(
                                view, segment.committed, segment.size, crc, head, body
                            )
                            if end < 0:
                                taken = self._lay(head, body)
                            else:
                                segment.committed = end
                                tally.count += 1
                                taken = True
                    finally:
                        self._detour = False
                    if self._has_deferred:
                        self._drain_deferred()
            if self.new_records.armed:
                self._notify()
            if self._sync:
                self._upkeep.sync_now()
            return taken
        except Exception as error:
            self._counters.drop("spool_error")
            log_once("spool:append", "an event could not be spooled: %s", type(error).__name__)
            return False

    def end(self) -> Position:
        """Just past the last record: what is settled beyond it was flushed."""
        with self.lock:
            if not self._opened:
                return Position(0, 0)
            return Position(self._active.number, self._active.committed)

    def accepted(self) -> dict[bytes, int]:
        """Records taken so far, by route."""
        with self.lock:
            found = dict(self._retired)
            for segment in self.segments:
                _add(found, segment.counts())
            return found

    def reader(self, name: str) -> Reader:
        """The reader of the destination of this name, always the same one."""
        return self.readers[name]

    def keep(self) -> None:
        """The keeper's round: spare, sync, cursors, deletion, quota, and a disk that came back."""
        if getpid() == self._pid:
            self._upkeep.round()

    def save_cursors(self, timeout: float = 0.0) -> None:
        """Write down now what is settled: who is killed after a flush causes no duplicates.

        Waits for so many seconds (a tenth at least) for a keeper that is busy with the disk.
        """
        if self._opened and getpid() == self._pid:
            self._upkeep.save_cursors(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Take no more, write everything out, and let go of the directory.

        It is removed when every destination has settled everything and no session is open. Waits
        at most ``timeout`` seconds for a keeper that is stuck in the disk.
        """
        if getpid() != self._pid:
            return
        with self.lock:
            if self._closed:
                return
            if self._opening or (self._opened and self._detour):
                # A signal handler within append: as soon as that is done.
                self._close_wanted = self._has_deferred = True
                return
            self._closed = self._detour = True
        if self._opened:
            self._upkeep.close(timeout)

    def abandon(self) -> None:
        """In a forked child: leave everything to the parent, and keep it alive untouched."""
        self._home.release()
        _abandoned.append(self)

    def after(self, number: int) -> Segment | None:
        """The next segment a reader should read. The lock is held."""
        return next((s for s in self.segments if s.number > number and not s.copy), None)

    def mark_unreadable(self, segment: Segment) -> None:
        """A segment's file cannot be read: count what it held."""
        self._counters.note("segment_lost")
        self.forget(segment, evicted=True)

    def forget(self, segment: Segment, *, evicted: bool) -> None:
        """Take a segment off the list; its file is the caller's to delete."""
        with self.lock:
            if segment.gone:
                return
            if segment is self._active and not self._closed:
                self.roll(0)
            segment.gone = True
            self.segments.remove(segment)
            _add(self._retired, segment.counts())
            if evicted:
                for reader in self.readers.values():
                    reader.count_evicted(segment)

    def roll(self, need: int) -> None:
        """Seal the active segment and begin one with room for ``need`` bytes. The lock is held."""
        wanted = need + self.opens.size
        segment = self._take_spare(wanted) or self._make(wanted)
        try:
            segment.put(self.opens.frames(segment.seed))
        except OSError as error:
            self._home.fail(error)
            segment.delete()
            segment = self._make(wanted)  # in memory now
            segment.put(self.opens.frames(segment.seed))
        segment.first = segment.committed
        if self._opened:
            self._active.sealed = True
        self.segments.append(segment)
        self._active = segment
        if self.on_wake is not None:
            self.on_wake()

    def prepare(self, segment: Segment) -> Segment:
        """Write the header of a new segment. OSError when the disk refuses."""
        line = frame.encode_header(
            Header(self.id, segment.number, self._service, self._pid, self._consumers)
        )
        segment.put(line)
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
        return max(self._size, 2 * self.opens.size)

    def is_active(self, segment: Segment) -> bool:
        return segment is self._active

    @property
    def busy(self) -> bool:
        """Whether nothing may be moved now: unopened, closed, or within an append."""
        return self._detour

    def _reader(self, name: str) -> Reader:
        route = name.encode()

        def total() -> int:
            return sum(n for to, n in self.accepted().items() if frame.routed(to, route))

        return Reader(self, name, total=total)

    def _lay(self, head: bytes, body: bytes) -> bool:
        """Any record into the active segment, or into a new one. The lock is held, and marked."""
        if len(body) > MAX_BODY:
            self._counters.drop("too_large")
            return False
        length = len(head) + len(body) + 9
        if self._active.committed + length > self._active.size:
            self.roll(length)
        while True:
            segment = self._active
            tally = segment.tally(head)
            try:
                segment.put(frame.encode(segment.seed, head, body))
                break
            except OSError as error:  # only a file fails; what follows it is memory
                self._home.fail(error)
                self.roll(length)
        tally.count += 1
        if tally.turning:
            self.opens.turn(tally.kind, tally.route, body)
        return True

    def _defer_or_open(self, head: bytes, body: bytes) -> bool:
        if self._closed:
            self._counters.drop("closed")
            return False
        if self._opened or self._opening:
            self._deferred.append((head, body))
            self._has_deferred = True
            return True
        self._opening = True
        try:
            self._home.open()
            self.roll(len(head) + len(body) + 16)
            self._opened = self.new_records.armed = True  # so that ``append`` calls ``on_open``
            taken = self._lay(head, body)
        finally:
            self._opening = False
            self._detour = not self._opened
        if self._has_deferred:
            self._drain_deferred()
        return taken

    def _drain_deferred(self) -> None:
        """What came in while a record was laid: from ``__del__``, or from a signal handler."""
        self._has_deferred = False
        while self._deferred:
            waiting = []  # taken one by one: a signal may come in between and take the others
            try:
                while True:
                    waiting.append(self._deferred.popleft())
            except IndexError:
                pass
            for head, body in waiting:
                self.append(head, body)
        if self._close_wanted:
            self._close_wanted = False
            self.close()

    def _notify(self) -> None:
        """Wake the sender; the record is taken even when that fails."""
        on_open, self._on_open = self._on_open, None
        try:
            self.new_records.notify()
            if on_open is not None:
                on_open()
        except Exception as error:
            log_once(
                "spool:announce", "an event is spooled, but waking the sender failed: %r", error
            )

    def _take_spare(self, wanted: int) -> Segment | None:
        """The spare, if it has the room; one that has not is passed over, empty."""
        spare, self.spare = self.spare, None
        if spare is not None and spare.size - spare.committed < wanted:
            spare.sealed = True
            self.segments.append(spare)
            return None
        return spare

    def _make(self, wanted: int) -> Segment:
        """A segment made by the appender itself: the first one, or when no spare was ready."""
        size = self.next_size() if self._home.failing and self._opened else SMALLEST
        while size < wanted + _HEADER_ROOM + 256 * len(self._consumers) + len(self._service):
            size *= 2
        if self._opened and not self._home.failing:
            self._counters.note("segment_without_spare")
        number = self.next_number()
        segment = self._home.segment(number, size)
        if segment.mode != MEMORY:
            try:
                return self.prepare(segment)
            except OSError as error:
                self._home.fail(error)
                segment.delete()
                segment = Segment.in_memory(self.files, self.id, number, size)
        return self._bounded(segment)

    def _bounded(self, segment: Segment) -> Segment:
        """A memory segment, for which the oldest ones give way when there are too many."""
        self._counters.note("memory_segment")
        kept = [s for s in self.segments if s.mode == MEMORY]
        taken = segment.size + sum(s.size for s in kept)
        for oldest in kept[:-1]:  # the last of them is perhaps still active
            if taken <= self._memory_most:
                break
            taken -= oldest.size
            self._counters.note("evicted_segment")
            self.forget(oldest, evicted=True)
            oldest.delete()
        return self.prepare(segment)


def _add(total: dict[bytes, int], more: dict[bytes, int]) -> None:
    for route, count in more.items():
        total[route] = total.get(route, 0) + count
