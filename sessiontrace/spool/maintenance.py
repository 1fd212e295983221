"""Maintenance of this process's own spool: all that may wait for the disk.

Runs on the background worker's thread; ``close`` once on the thread that shuts down, ``sync_now``
on the appending thread where durability is "sync". Invariant: a segment's file is deleted only when
every destination has read and settled it, or has counted what it loses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sessiontrace.model.record import Record
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.throttle import throttled
from sessiontrace.spool import frame
from sessiontrace.spool.cursor import write_cursor
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.frame import Consumer, Position
from sessiontrace.spool.quota import EvictableSpool, Quota
from sessiontrace.spool.segment import MEMORY, WRITE, Segment
from sessiontrace.spool.segment_allocator import SegmentAllocator
from sessiontrace.spool.segment_list import READY, SegmentList

__all__ = ["SpoolMaintenance"]

_CURSOR_WAIT_S = 0.1
_ROUND_WAIT_S = 1.0
_QUIET_S = 30.0


class SpoolMaintenance:
    """Prepares the spare segment, syncs, writes cursors, deletes, and keeps the quota.

    ``quota``: bytes over the whole root.
    """

    def __init__(
        self,
        segments: SegmentList,
        allocator: SegmentAllocator,
        consumers: Sequence[Consumer],
        quota: int,
        files: Files,
        counters: Counters,
        recovered: Callable[[], Sequence[EvictableSpool]] = tuple,
    ) -> None:
        self._segments = segments
        self._allocator = allocator
        self._consumers = tuple(consumers)
        self._files = files
        self._counters = counters
        self._quota = Quota(allocator.root, segments.id, quota, files, counters, recovered)
        self._written_cursors: dict[str, Position] = {}
        self._quiet: tuple[Position, float] = (Position(0, 0), 0.0)  # the end, and since when
        self._round = ReentrantLock()  # one round, or the closing, at a time

    def run_once(self) -> None:
        """Do everything there is to do now. Never raises OSError."""
        with self._round:
            with self._segments.lock:
                if self._segments.state != READY:
                    return
            self._return_to_disk()
            self._make_spare()
            self._sync()
            self._write_cursors()
            self._roll_when_quiet()
            self._delete_settled()
            self._enforce_quota()

    def close(self, timeout: float) -> None:
        """The last round: leave a complete spool for recovery, or none.

        Waits at most ``timeout`` seconds for a round that is under way.
        """
        if not self._round.acquire(timeout=timeout):
            log_once("spool:close", "the disk did not answer; the spool is left for the next start")
            return
        segments = self._segments
        try:
            self._seal_all()
            self._sync()
            self._write_cursors()
            for reader in segments.readers.values():
                reader.abandon_in_flight({segment.number for segment in segments})
            self._delete_settled()
            self._quota.log_remainder()
            on_disk = [segment for segment in segments if segment.mode != MEMORY]
            if on_disk or len(segments.open_sessions):
                self._allocator.release()
            else:
                self._allocator.remove()
        finally:
            self._round.release()

    def save_cursors(self, timeout: float) -> None:
        """Write the cursors now, from any thread, unless the worker is stuck in the disk."""
        if self._round.acquire(timeout=max(_CURSOR_WAIT_S, timeout)):
            try:
                self._write_cursors()
            finally:
                self._round.release()

    def sync_now(self) -> None:
        """Everything committed so far is on the disk when this returns, if the disk works."""
        if any(s.committed > s.synced and not s.in_place() for s in self._segments):
            self._return_now()  # a file without a name keeps nothing
        for segment in self._segments:
            if segment.path is not None and segment.committed > segment.synced:
                try:
                    segment.sync()
                    self._allocator.sync_entries()
                except OSError:
                    if self._segments.on_roll is not None:
                        self._segments.on_roll()

    def _seal_all(self) -> None:
        segments = self._segments
        self._detach_nameless()
        segments.seal_all()
        if any(segment.mode == MEMORY and not self._is_settled(segment) for segment in segments):
            self._allocator.open()
            self._save()

    def _return_to_disk(self) -> None:
        """Go on where the directory is, or is again."""
        segments = self._segments
        detached = self._detach_nameless()
        if not (detached or self._allocator.due()) or not self._allocator.open():
            return
        with segments.lock:
            segments.drop_spare()
            segments.roll(0)
        self._save()

    def _detach_nameless(self) -> bool:
        """Keep in memory what was written to files that lost their names; whether any did.

        A sealed file that is closed and gone is counted as lost: only its name led to it.
        """
        segments = self._segments
        vanished = self._allocator.vanished()
        nameless = [segment for segment in throttled(segments) if not segment.in_place()]
        spare = segments.spare
        if spare is not None and not spare.in_place():
            segments.drop_spare()
        if not vanished and nameless:
            self._counters.note("segment_vanished", len(nameless))
            log_once(
                "spool:segment", "%d files of the spool %s were removed or replaced while in use",
                len(nameless), self._allocator.directory,
            )  # fmt: skip
        detached = vanished
        with segments.lock:
            for segment in segments if vanished else nameless:
                detached |= segment.detach()
        for segment in nameless:
            if segment.is_lost():
                segments.mark_unreadable(segment)
        if vanished:
            self._written_cursors.clear()
        return detached

    def _return_now(self) -> None:
        """As the worker does in its next round, on the appending thread, before its record counts.

        Does not wait for ever for the worker, which may wait for the lock of an append.
        """
        if self._round.acquire(timeout=_ROUND_WAIT_S):
            try:
                self._return_to_disk()
                self._allocator.sync_entries()
            except OSError:
                self._counters.note("sync_failed")
            finally:
                self._round.release()

    def _save(self) -> None:
        """Write sealed memory segments out, as the disk is there again."""
        for segment in self._segments:
            directory = self._allocator.directory
            if segment.mode != MEMORY or not segment.sealed or directory is None:
                continue
            try:
                segment.save(directory)
                self._allocator.note_entry()
            except OSError as error:
                if not segment.gone:
                    self._allocator.fail(error)
                    return
            if segment.gone:  # evicted while it was written
                segment.delete()

    def _make_spare(self) -> None:
        segments = self._segments
        if segments.spare is not None or self._allocator.failing:
            return
        spare = self._allocator.on_disk(segments.next_number(), segments.next_size())
        if spare is None:
            return
        try:
            segments.prepare(spare)
        except OSError as error:
            self._allocator.fail(error)
            spare.delete()
            return
        # The lock is held over a rename: an appender in need would make a whole file instead.
        with segments.lock:
            if spare.number > segments.end().segment or self._move_to_end(spare):
                segments.spare = spare
                return
        spare.delete()

    def _move_to_end(self, spare: Segment) -> bool:
        """Renumber a spare during whose making other segments were begun."""
        try:
            spare.renumber(self._segments.id, self._segments.next_number())
            self._segments.prepare(spare)
        except OSError:
            return False
        return True

    def _sync(self) -> None:
        """One sync for everything that came since the last one."""
        try:
            self._allocator.sync_entries()
        except OSError:
            self._counters.note("sync_failed")
        for segment in self._segments:
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
        """Write a segment's records to another file, for recovery, after its sync has failed.

        The kernel may have dropped what it was to write, and a second sync would not report that.
        The readers of this process have the records already.
        """
        segments = self._segments
        self._counters.note("sync_failed")
        log_once("spool:sync", "the disk failed to take what was written; written again elsewhere")
        with segments.lock:
            spare, segments.spare = segments.spare, None
            number = segments.next_number()
            segments.roll(0)  # behind the copy: the last segment says which sessions are open
        if spare is not None:
            spare.delete()
        copy = self._copy(segment, number)
        segment.synced = segment.committed
        if copy is not None:
            segments.insert(copy)

    def _copy(self, segment: Segment, number: int) -> Segment | None:
        segments = self._segments
        seed = frame.seed(segments.id, number)
        copy = self._allocator.on_disk(number, 2 * segment.size, WRITE)
        if copy is None:
            return None
        copy.copy = True
        try:
            lines = segment.read(max(segment.synced, segment.start), segment.committed)
            segments.prepare(copy)
            with segments.lock:
                copy.append_bytes(segments.open_sessions.frames(seed))
            copy.first = copy.committed
            records = (frame.decode(line, segment.seed) for line in lines.split(b"\n"))
            copy.append_bytes(b"".join(_reframed(record, seed) for record in records if record))
            copy.sync()
        except OSError as error:
            self._allocator.fail(error)
            copy.delete()
            return None
        copy.sealed = True
        copy.trim()
        return copy

    def _write_cursors(self) -> None:
        directory = self._allocator.directory
        if directory is None:
            return
        for consumer in self._consumers:
            position = self._segments.readers[consumer.name].position()
            if position == self._written_cursors.get(consumer.name, Position(0, 0)):
                continue
            try:
                write_cursor(self._files, directory, self._segments.id, consumer, position)
                self._written_cursors[consumer.name] = position
            except OSError:
                self._counters.note("cursor_failed")

    def _is_settled(self, segment: Segment) -> bool:
        return all(reader.is_acknowledged(segment) for reader in self._segments.readers.values())

    def _roll_when_quiet(self) -> None:
        """Let go of delivered records when nothing has come for a while.

        A deletion at the destination must not leave the text in this program's spool for as long
        as it takes to fill a segment.
        """
        segments, end = self._segments, self._segments.end()
        if end != self._quiet[0]:
            self._quiet = (end, time.monotonic())
            return
        active = segments.active
        if (
            time.monotonic() - self._quiet[1] < _QUIET_S
            or active.committed <= active.first
            or active.mode == MEMORY
            or segments.spare is None
            or not self._is_settled(active)
        ):
            return
        with segments.lock:
            if active is segments.active and segments.end() == end:
                segments.roll(0)

    def _delete_settled(self) -> None:
        segments = self._segments
        for segment in segments:
            if segment is segments.active and segments.open_sessions:
                continue  # at close: recovery learns from it which sessions have no end
            if segment.sealed and self._is_settled(segment):
                segments.forget(segment, evicted=False)
                segment.delete()

    def _enforce_quota(self) -> None:
        segments = [segment for segment in self._segments if segment.path is not None]
        for oldest in self._quota.enforce(segments):
            self._counters.note("evicted_segment")
            self._segments.forget(oldest, evicted=True)
            oldest.delete()


def _reframed(record: Record, seed: int) -> bytes:
    return frame.encode(seed, frame.head(record.kind, record.route), record.body)
