"""This process's own spool: the way of a record from ``append`` onto the disk.

``append`` runs in the user's threads, ``maintain`` in the worker's thread, readers in the sender's
thread. Invariant: when ``append`` has returned True the operating system has the record (in memory
mode: this process), and every destination it is routed to gets it or counts it as evicted.

The states of a spool, and what each does with a call:

=========  ==================================  ============================  ===============
state      ``append``                          ``close``                     ``maintain``
=========  ==================================  ============================  ===============
UNOPENED   opens directory and first segment   nothing to write out          does nothing
OPENING    deferred                            deferred                      does nothing
READY      writes a frame: the fast path       last round of maintenance     a round
APPENDING  deferred                            deferred                      does nothing
CLOSED     ``on_closed``, else drops it        nothing                       does nothing
=========  ==================================  ============================  ===============

The lock is held as long as OPENING or APPENDING last. So only the thread that is within ``append``
can see them: from a signal handler, or from a ``__del__`` that the garbage collector calls. What
such a call asks for is deferred until the append under way has ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from os import getpid
from pathlib import Path
from zlib import crc32

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.fork_detector import own_process
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal
from sessiontrace.runtime.wake import WakeSignal
from sessiontrace.spool import frame, spool_directory
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.frame import MAX_BODY, Consumer, Position, write_frame
from sessiontrace.spool.maintenance import SpoolMaintenance
from sessiontrace.spool.quota import EvictableSpool
from sessiontrace.spool.reader import Reader
from sessiontrace.spool.segment_allocator import SegmentAllocator
from sessiontrace.spool.segment_list import (
    APPENDING,
    CLOSED,
    OPENING,
    READY,
    UNOPENED,
    SegmentList,
)

__all__ = ["Spool"]

_LATEST = 4 << 20  # bytes of a segment to search for a record

_abandoned: list[Spool] = []  # in a forked child: never collected, so that nothing of it is closed


class Spool:
    """The spool of one tracer in one process. Touches nothing on disk until the first append.

    ``root``: the directory of all spools, None for memory only. ``io``: "map", "write" or None
    for what suits the file system. ``durability``: "process" or "sync". ``quota``: bytes over the
    whole root. ``on_open`` is called after the first append, and again after the next while it
    returns False; ``on_fork`` gets what is appended in a forked child, ``on_closed`` what comes
    after the end (default: it is dropped and counted). ``on_roll`` is called when there
    is maintenance to do, within an append. ``new_records`` wakes the sender. None of them may
    block. ``recovered`` returns the spools of ended processes that this process delivers from: the
    quota is over them, too.
    """

    __slots__ = (
        "_allocator",
        "_close_requested",
        "_counters",
        "_deferred",
        "_finished",
        "_has_deferred",
        "_maintenance",
        "_on_closed",
        "_on_fork",
        "_on_open",
        "_own_process",
        "_pid",
        "_sync",
        "id",
        "new_records",
        "readers",
        "segments",
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
        on_open: Callable[[], bool | None],
        on_fork: Callable[[bytes, bytes], bool],
        on_closed: Callable[[bytes, bytes], bool] | None = None,
        on_roll: Callable[[], None] | None = None,
        recovered: Callable[[], Sequence[EvictableSpool]] = tuple,
    ) -> None:
        self.id: str = spool_directory.new_spool_id()
        self._allocator = SegmentAllocator(root, self.id, io, files, counters)
        self.segments: SegmentList = SegmentList(
            self.id,
            consumers=consumers,
            service=service,
            quota=quota,
            allocator=self._allocator,
            files=files,
            counters=counters,
            on_roll=on_roll,
        )
        self._maintenance = SpoolMaintenance(
            self.segments, self._allocator, consumers, quota, files, counters, recovered
        )
        self.readers: dict[str, Reader] = self.segments.readers
        self.new_records: WakeSignal = WakeSignal(self.end)
        self._has_deferred = False
        self._close_requested = False
        self._finished = False
        self._deferred: deque[tuple[bytes, bytes]] = deque()
        self._counters = counters
        self._on_open: Callable[[], bool | None] | None = on_open
        self._on_closed = on_closed
        self._on_fork = on_fork
        self._sync = durability == "sync"
        self._pid = getpid()
        self._own_process = own_process()

    @property
    def directory(self) -> Path | None:
        """Where the segments are; None before opening, and where there is no usable root."""
        return self._allocator.directory

    @property
    def mode(self) -> str:
        """How records are kept now: "map", "write", "memory", or "unopened"."""
        return self.segments.active.mode if self.segments.opened else "unopened"

    # The fast path is inlined on purpose: it runs for every event in the user's thread, where one
    # call more costs a quarter of what the checksum does. It handles a record of a kind and route
    # that the active segment already counts, and that fits into the segment's mapping. Everything
    # else takes `_append_slow`.

    def append(self, head: bytes, body: bytes) -> bool:
        """Take a record; False when it was not taken, and is counted as dropped.

        From any thread, a signal handler and ``__del__`` too; never raises, and in map mode never
        waits for I/O. ``head`` is ``frame.head(kind, route)``, ``body`` one JSON object without a
        line feed.
        """
        try:
            if not self._own_process[0]:
                return self._on_fork(head, body)
            segments = self.segments
            with segments.lock:
                if segments.state:  # not READY
                    accepted = self._append_unready(head, body)
                else:
                    segments.state = APPENDING
                    try:
                        segment = segments.active
                        counter = segment.counters.get(head)
                        view = segment.view
                        if counter is None or view is None:
                            accepted = self._append_slow(head, body)
                        else:
                            crc = crc32(body, counter.crc)
                            end = write_frame(
                                view, segment.committed, segment.size, crc, head, body
                            )
                            if end < 0:
                                accepted = self._append_slow(head, body)
                            else:
                                segment.committed = end
                                counter.count += 1
                                if counter.changes_sessions:
                                    segments.open_sessions.update(counter.kind, counter.route, body)
                                accepted = True
                    finally:
                        segments.state = READY
                    if self._has_deferred:
                        self._run_deferred()
            if self.new_records.armed:
                self._notify()
            if self._sync:
                self._maintenance.sync_now()
            return accepted
        except Exception as error:
            raise_if_from_signal(error)
            self._counters.drop("spool_error")
            log_once("spool:append", "an event could not be spooled: %s", type(error).__name__)
            return False

    def _append_slow(self, head: bytes, body: bytes) -> bool:
        """Any record into the active segment, or into a new one. The lock is held."""
        if len(body) > MAX_BODY:
            self._counters.drop("too_large")
            return False
        segments = self.segments
        length = len(head) + len(body) + 9
        if segments.active.committed + length > segments.active.size:
            segments.roll(length)
        while True:
            segment = segments.active
            counter = segment.counter(head)
            before = segment.committed
            try:
                segment.append_bytes(frame.encode(segment.seed, head, body))
            except OSError as error:  # only a file fails; the next segment is in memory
                self._allocator.fail(error)
                segments.roll(length)
            finally:  # a signal may raise right after
                if segment.committed > before:
                    counter.count += 1
                    if counter.changes_sessions:
                        segments.open_sessions.update(counter.kind, counter.route, body)
            if segment.committed > before:
                return True

    def _append_unready(self, head: bytes, body: bytes) -> bool:
        """Drop, defer, or open first; see the table of states. The lock is held."""
        segments = self.segments
        if segments.state == CLOSED:
            if self._on_closed is not None:
                return self._on_closed(head, body)
            self._counters.drop("closed")
            return False
        if segments.state != UNOPENED:
            self._deferred.append((head, body))
            self._has_deferred = True
            return True
        segments.state = OPENING
        try:
            self._allocator.open()
            segments.roll(len(head) + len(body) + 16)
            self.new_records.armed = True  # so that this append calls `on_open`
            accepted = self._append_slow(head, body)
        finally:
            segments.state = READY if segments.opened else UNOPENED
        if self._has_deferred:
            self._run_deferred()
        return accepted

    def _run_deferred(self) -> None:
        """Append, and close, as a signal handler or a finalizer asked for within an append."""
        self._has_deferred = False
        while self._deferred:
            waiting = []  # popped in turn: a signal may come in between and take the others
            try:
                while True:
                    waiting.append(self._deferred.popleft())
            except IndexError:
                pass
            try:
                while waiting:
                    self.append(*waiting[0])
                    waiting.pop(0)
            finally:  # a signal may raise in between
                self._deferred.extendleft(reversed(waiting))
                self._has_deferred = bool(waiting)
        if self._close_requested:
            self._close_requested = False
            self.close()

    def _notify(self) -> None:
        """Wake the sender; the record is taken even when that fails."""
        on_open, self._on_open = self._on_open, None
        awake = False
        try:
            self.new_records.notify()
            awake = on_open is None or on_open() is not False
        except Exception as error:
            raise_if_from_signal(error)
            log_once(
                "spool:announce", "an event is spooled, but waking the sender failed: %r", error
            )
        finally:
            if not awake:  # no thread could be started, or a signal came: the next record tries
                self._on_open = on_open
                self.new_records.armed = True

    def holds(self, body: bytes) -> bool:
        """Whether this record is among the last: a signal may have hidden the answer."""
        with self.segments.lock:
            if any(waiting == body for _, waiting in self._deferred.copy()):
                return True
            latest = [(segment, segment.committed) for segment in list(self.segments)[-2:]]
            return any(
                body in segment.read(max(segment.first, end - _LATEST), end)
                for segment, end in latest
            )

    def end(self) -> Position:
        """Just past the last record: what is settled beyond it was flushed."""
        return self.segments.end()

    def accepted(self) -> dict[bytes, int]:
        """Records taken so far, by route."""
        return self.segments.accepted()

    def open_starts(self) -> list[tuple[bytes, bytes]]:
        """Route and ``start`` of every session that is open now, oldest first."""
        with self.segments.lock:
            return self.segments.open_sessions.starts()

    def reader(self, name: str) -> Reader:
        """The reader of the destination of this name, always the same one."""
        return self.readers[name]

    def maintain(self) -> None:
        """The worker's round: spare, sync, cursors, deletion, quota, and a disk that came back."""
        if getpid() == self._pid:
            self._maintenance.run_once()

    def save_cursors(self, timeout: float = 0.0) -> None:
        """Write down now what is settled: a program killed after a flush causes no duplicates.

        Waits for so many seconds (a tenth at least) for a worker that is busy with the disk.
        """
        if self.segments.opened and getpid() == self._pid:
            self._maintenance.save_cursors(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Take no more records, write everything out, and release the directory's lock.

        Removes the directory when every destination has settled everything and no session is open.
        Waits at most ``timeout`` seconds for a worker that is stuck in the disk.
        """
        if getpid() != self._pid:
            return
        segments = self.segments
        with segments.lock:
            if segments.state in {OPENING, APPENDING}:
                self._close_requested = self._has_deferred = True
                return
            segments.state = CLOSED
            finished, self._finished = self._finished, True
        if segments.opened and not finished:
            self._maintenance.close(timeout)

    def refuse(self) -> None:
        """Take no more records from now on; readers and maintenance go on until ``close``."""
        with self.segments.lock:
            if self.segments.state in {READY, UNOPENED}:
                self.segments.state = CLOSED

    def abandon(self) -> None:
        """In a forked child: leave everything to the parent, and keep it alive untouched."""
        self._allocator.release()
        _abandoned.append(self)
