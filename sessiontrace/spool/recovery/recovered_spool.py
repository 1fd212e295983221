"""A spool that another process left, while this process holds its lock and delivers from it.

The sender reads, the background worker maintains and releases. Invariant: a segment is deleted only
when every consumer of the spool has settled it, whether or not it is a destination of ours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.cursor import write_cursor
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.frame import Consumer, Position
from sessiontrace.spool.recovery.recovery_reader import RecoveryReader
from sessiontrace.spool.recovery.scan import AFTER_ALL, SpoolScan
from sessiontrace.spool.segment import Segment

__all__ = ["RecoveredSpool"]

_CURSOR_INTERVAL_S = 0.2


class RecoveredSpool:
    """A spool of another process. ``readers`` are by our destinations' names.

    ``consumers``: all destinations the spool's records are owed to. ``ours``: those of them that
    this process delivers to, by our names.
    """

    def __init__(
        self,
        directory: Path,
        directory_lock: directories.Lock,
        scan: SpoolScan,
        consumers: Sequence[Consumer],
        ours: dict[str, Consumer],
        counters: Counters,
        files: Files,
    ) -> None:
        self.id: str = directory.name
        self.spool_id: str = directory.name
        self.lock: ReentrantLock = ReentrantLock()
        self._directory = directory
        self._directory_lock: directories.Lock | None = directory_lock
        self._scan = scan
        self._consumers = consumers
        self._ours = ours
        self._counters = counters
        self._files = files
        self._written_cursors: dict[str, Position] = dict(scan.resume)
        self._cursors_written_at = 0.0
        self.readers: dict[str, RecoveryReader] = {
            name: self._reader(name, consumer) for name, consumer in ours.items()
        }

    @property
    def released(self) -> bool:
        """Whether the spool was left to the next process, or removed."""
        return self._directory_lock is None

    def after(self, number: int) -> Segment | None:
        """The next segment to read; none after the release. The lock is held."""
        segments = () if self.released else self._scan.segments
        return next((s for s in segments if s.number > number and not s.gone), None)

    def mark_unreadable(self, segment: Segment) -> None:
        """A segment's file cannot be read: its destinations never get what it held."""
        with self.lock:
            if not segment.gone:
                segment.gone = True
                self._counters.note("segment_lost")
                for reader in self.readers.values():
                    reader.count_evicted(segment)

    def note_damage(self, lost: int) -> None:
        """Nothing to do: the scan has counted what is damaged."""

    def evict(self, number: int) -> int | None:
        """Delete a segment for the quota; how many records its destinations lose by it.

        None when there is no such segment.
        """
        with self.lock:
            segments = [] if self.released else self._scan.segments
            segment = next((s for s in segments if s.number == number and not s.gone), None)
            if segment is None:
                return None
            segment.gone = True
            last = segments == [segment]
            lost = sum(self._lost_for(consumer, segment, last) for consumer in self._consumers)
            segment.delete()
            self._scan.segments = [s for s in segments if s is not segment]
            return lost

    def maintain(self) -> None:
        """Write cursors and delete what every consumer has settled. Never raises OSError."""
        with self.lock:
            if self.released:
                return
            self._write_cursors()
            last = self._scan.segments[-1:]
            for segment in self._scan.segments:
                if segment not in last and self._is_settled(segment):
                    segment.gone = True
                    segment.delete()
            self._scan.segments = [s for s in self._scan.segments if not s.gone]

    def release(self) -> None:
        """Leave the spool to the next process, or remove it when nothing in it is owed."""
        self.maintain()
        with self.lock:
            directory_lock, self._directory_lock = self._directory_lock, None
            if directory_lock is None:
                return
            if all(self._has_everything(consumer) for consumer in self._consumers):
                directories.remove(self._files, self._directory, directory_lock)
            directory_lock.release()

    def _lost_for(self, consumer: Consumer, segment: Segment, last: bool) -> int:
        reader = self._reader_for(consumer)
        if reader is None:
            lost = self._scan.owed[consumer.name].pop(segment.number, 0)
            lost = self._scan.pending[consumer.name] if last else lost
            self._scan.pending[consumer.name] -= lost
            return lost
        before = reader.evicted
        reader.count_evicted(segment)
        if last:
            reader.evict_ends()
        return reader.evicted - before

    def _reader(self, name: str, consumer: Consumer) -> RecoveryReader:
        return RecoveryReader(
            self,
            name,
            total=self._scan.pending[consumer.name],
            route=consumer.name,
            resume=self._scan.resume[consumer.name],
            ends=self._scan.ends_for(consumer.name),
            ends_at=AFTER_ALL,
            owed=self._scan.owed[consumer.name],
            on_acknowledge=self._write_cursors_sometimes,
        )

    def _write_cursors_sometimes(self) -> None:
        """After a reader's acknowledgement: keep the cursors fresh, but not at every batch."""
        if time.monotonic() - self._cursors_written_at >= _CURSOR_INTERVAL_S:
            with self.lock:
                if not self.released:
                    self._write_cursors()

    def _write_cursors(self) -> None:
        self._cursors_written_at = time.monotonic()
        for name, consumer in self._ours.items():
            position = self.readers[name].position()
            if position == self._written_cursors[consumer.name]:
                continue
            try:
                write_cursor(self._files, self._directory, self.id, consumer, position)
                self._written_cursors[consumer.name] = position
            except OSError:
                self._counters.note("cursor_failed")

    def _is_settled(self, segment: Segment) -> bool:
        for consumer in self._consumers:
            reader = self._reader_for(consumer)
            if reader is not None:
                if not reader.is_acknowledged(segment):
                    return False
            elif self._scan.resume[consumer.name] < (segment.number, segment.committed):
                return False
        return True

    def _has_everything(self, consumer: Consumer) -> bool:
        reader = self._reader_for(consumer)
        if reader is not None:
            return reader.finished()
        return self._scan.pending[consumer.name] == 0

    def _reader_for(self, consumer: Consumer) -> RecoveryReader | None:
        names = (name for name, ours in self._ours.items() if ours is consumer)
        return next((self.readers[name] for name in names), None)
