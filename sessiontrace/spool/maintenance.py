"""The keeper's work on its own spool: all that may wait for the disk.

Runs on the keeper's thread, ``close`` once on the thread that shuts down, ``sync_now`` where
durability is "sync". Invariant: a segment's file is deleted only when every destination has passed
it or has counted what it loses.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.spool import frame, quota
from sessiontrace.spool.cursor import write_cursor
from sessiontrace.spool.frame import Consumer, Position
from sessiontrace.spool.segment import MEMORY, WRITE, Segment
from sessiontrace.spool.segment_allocator import SegmentAllocator

if TYPE_CHECKING:
    from sessiontrace.spool.spool import Spool

__all__ = ["SpoolMaintenance"]

_PATIENCE_S = 0.1


class SpoolMaintenance:
    """One spool's keeper side."""

    def __init__(
        self,
        spool: Spool,
        home: SegmentAllocator,
        consumers: Sequence[Consumer],
        most: int,
        counters: Counters,
    ) -> None:
        self._spool = spool
        self._home = home
        self._consumers = consumers
        self._counters = counters
        self._quota = quota.Quota(home.root, spool.id, consumers, most, spool.files, counters)
        self._written: dict[str, Position] = {}
        self._turn = threading.RLock()  # one round, or the closing, at a time

    def round(self) -> None:
        """Everything there is to do now. Never raises OSError."""
        with self._turn:
            with self._spool.lock:
                if self._spool.busy:
                    return
            self._return_to_disk()
            self._make_spare()
            self._sync()
            self._write_cursors()
            self._delete_passed()
            self._hold_quota()

    def close(self, timeout: float) -> None:
        """The last round: leave a complete spool for an adopter, or none."""
        if not self._turn.acquire(timeout=timeout):
            log_once("spool:close", "the disk did not answer; the spool is left for the next start")
            return
        try:
            self._seal_all()
            self._sync()
            self._write_cursors()
            for reader in self._spool.readers.values():
                reader.abandon_in_flight({segment.number for segment in self._spool.segments})
            self._delete_passed()
            left = [s for s in self._spool.segments if s.mode != MEMORY]
            if left or len(self._spool.opens):
                self._home.release()
            else:
                self._home.remove()
        finally:
            self._turn.release()

    def save_cursors(self, timeout: float) -> None:
        """Write the cursors now, from any thread, unless the keeper is stuck in the disk."""
        if self._turn.acquire(timeout=max(_PATIENCE_S, timeout)):
            try:
                self._write_cursors()
            finally:
                self._turn.release()

    def sync_now(self) -> None:
        """Everything committed so far is on the disk when this returns, if the disk works."""
        for segment in list(self._spool.segments):
            if segment.path is not None and segment.committed > segment.synced:
                try:
                    segment.sync()
                    self._home.sync_entries()
                except OSError:
                    if self._spool.on_wake is not None:
                        self._spool.on_wake()

    def _seal_all(self) -> None:
        spool = self._spool
        with spool.lock:
            spare, spool.spare = spool.spare, None
            for segment in spool.segments:
                segment.sealed = True
        if spare is not None:
            spare.delete()
        if any(s.mode == MEMORY and not self._passed(s) for s in spool.segments):
            self._home.open()
            self._save()

    def _return_to_disk(self) -> None:
        """Go on where the directory is, or is again."""
        vanished = self._home.vanished()
        if vanished:
            with self._spool.lock:
                for segment in self._spool.segments:
                    segment.detach()
        if not (vanished or self._home.due()) or not self._home.open():
            return
        with self._spool.lock:
            if self._spool.spare is not None:
                self._spool.spare.delete()
                self._spool.spare = None
            self._spool.roll(0)
        self._save()

    def _save(self) -> None:
        """Write sealed memory segments out, as the disk is there again."""
        for segment in list(self._spool.segments):
            if segment.mode != MEMORY or not segment.sealed or self._home.directory is None:
                continue
            try:
                segment.save(self._home.directory)
            except OSError as error:
                if not segment.gone:
                    self._home.fail(error)
                    return
            if segment.gone:  # evicted while it was written
                segment.delete()

    def _make_spare(self) -> None:
        spool = self._spool
        if spool.spare is not None or self._home.failing:
            return
        made = self._home.on_disk(spool.next_number(), spool.next_size())
        if made is None:
            return
        try:
            spool.prepare(made)
        except OSError as error:
            self._home.fail(error)
            made.delete()
            return
        with spool.lock:  # over a rename: an appender in need would make a whole file instead
            if made.number > spool.end().segment or self._catches_up(made):
                spool.spare = made
                return
        made.delete()

    def _catches_up(self, late: Segment) -> bool:
        """Full segments were followed by others while this one was made: it goes behind those."""
        try:
            late.renumber(self._spool.id, self._spool.next_number())
            self._spool.prepare(late)
        except OSError:
            return False
        return True

    def _sync(self) -> None:
        """One sync for everything that came since the last one."""
        try:
            self._home.sync_entries()
        except OSError:
            self._counters.note("sync_failed")
        for segment in list(self._spool.segments):
            if segment.path is None:
                continue
            sealed = segment.sealed
            try:
                if segment.committed > segment.synced:
                    segment.sync()
            except OSError:
                pass
            if segment.broken and segment.committed > segment.synced:
                self._replace(segment)
                sealed = True
            if sealed:
                segment.trim()

    def _replace(self, segment: Segment) -> None:
        """After a failed sync the kernel may have dropped what it was to write, and a second sync
        would not say so. So the records go to another file, for an adopter; readers of this
        process have them already.
        """
        spool = self._spool
        self._counters.note("sync_failed")
        log_once("spool:sync", "the disk failed to take what was written; written again elsewhere")
        with spool.lock:
            spare, spool.spare = spool.spare, None
            number = spool.next_number()
            spool.roll(0)  # behind the copy, so that the last segment tells which sessions are open
        if spare is not None:
            spare.delete()
        copy = self._copy(segment, number)
        segment.synced = segment.committed
        if copy is not None:
            with spool.lock:
                spool.segments.append(copy)
                spool.segments.sort(key=lambda each: each.number)

    def _copy(self, segment: Segment, number: int) -> Segment | None:
        seed = frame.seed(self._spool.id, number)
        copy = self._home.on_disk(number, 2 * segment.size, WRITE)
        if copy is None:
            return None
        copy.copy = True
        try:
            lines = segment.read(max(segment.synced, segment.start), segment.committed)
            self._spool.prepare(copy)
            with self._spool.lock:
                copy.put(self._spool.opens.frames(seed))
            copy.first = copy.committed
            copy.put(b"".join(_framed_again(line, seed) for line in lines.split(b"\n")[:-1]))
            copy.sync()
        except OSError as error:
            self._home.fail(error)
            copy.delete()
            return None
        copy.sealed = True
        copy.trim()
        return copy

    def _write_cursors(self) -> None:
        directory = self._home.directory
        if directory is None:
            return
        for owed in self._consumers:
            position = self._spool.readers[owed.name].position()
            if position == self._written.get(owed.name, Position(0, 0)):
                continue
            try:
                write_cursor(self._spool.files, directory, self._spool.id, owed, position)
                self._written[owed.name] = position
            except OSError:
                self._counters.note("cursor_failed")

    def _passed(self, segment: Segment) -> bool:
        return all(reader.is_acknowledged(segment) for reader in self._spool.readers.values())

    def _delete_passed(self) -> None:
        for segment in list(self._spool.segments):
            if self._spool.is_active(segment) and self._spool.opens:
                continue  # at close: an adopter learns from it which sessions have no end
            if segment.sealed and self._passed(segment):
                self._spool.forget(segment, evicted=False)
                segment.delete()

    def _hold_quota(self) -> None:
        segments = [s for s in self._spool.segments if s.path is not None]
        over = self._quota.over(sum(s.committed for s in segments))
        for oldest in segments:
            if over <= 0:
                return
            if oldest.sealed:
                over -= oldest.committed
                self._counters.note("evicted_segment")
                self._spool.forget(oldest, evicted=True)
                oldest.delete()


def _framed_again(line: bytes, seed: int) -> bytes:
    _, kind, route, body = line.split(b" ", 3)
    return frame.encode(seed, frame.head(kind, route), body)
