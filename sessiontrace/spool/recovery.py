"""Adoption: taking over what a process left that died, or ended before all was delivered.

The keeper scans at start and every 30 seconds; the sender reads. Invariant: a spool is adopted by
the one process that holds its lock, delivered only to destinations with the same fingerprint, and
a segment is deleted only when every consumer has passed it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.cursor import write_cursor
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.frame import Consumer, Position
from sessiontrace.spool.recovery_reader import RecoveryReader
from sessiontrace.spool.scan import AFTER_ALL, SpoolScan, read_headers
from sessiontrace.spool.segment import Segment

__all__ = ["RecoveredSpool", "SpoolRecovery"]

_CURSOR_S = 0.2


class RecoveredSpool:
    """A spool of another life, with its lock. ``readers`` are by our destinations' names."""

    def __init__(
        self,
        directory: Path,
        lock: directories.Lock,
        remains: SpoolScan,
        consumers: Sequence[Consumer],
        ours: dict[str, Consumer],
        counters: Counters,
        files: Files,
    ) -> None:
        self.spool_id = self.id = directory.name
        self.lock = threading.RLock()
        self._directory = directory
        self._hold: directories.Lock | None = lock
        self._remains = remains
        self._consumers = consumers
        self._ours = ours
        self._counters = counters
        self._files = files
        self._written: dict[str, Position] = dict(remains.resume)
        self._written_at = 0.0
        self.readers = {name: self._reader(name, owed) for name, owed in ours.items()}

    def after(self, number: int) -> Segment | None:
        """The next segment to read; none after the release. The lock is held."""
        segments = self._remains.segments if self._hold is not None else ()
        return next((s for s in segments if s.number > number and not s.gone), None)

    def mark_unreadable(self, segment: Segment) -> None:
        """A segment's file cannot be read: its destinations never get what it held."""
        with self.lock:
            if not segment.gone:
                segment.gone = True
                self._counters.note("segment_lost")
                for reader in self.readers.values():
                    reader.count_evicted(segment)

    def maintain(self) -> None:
        """Write cursors and delete what every destination has passed. Never raises OSError."""
        with self.lock:
            if self._hold is None:
                return
            self._write_cursors()
            last = self._remains.segments[-1:]
            for segment in self._remains.segments:
                if segment not in last and self._settled_before(segment):
                    segment.gone = True
                    segment.delete()
            self._remains.segments = [s for s in self._remains.segments if not s.gone]

    def release(self) -> None:
        """Leave the spool to the next adopter, or remove it when nothing in it is owed."""
        self.maintain()
        with self.lock:
            hold, self._hold = self._hold, None
            if hold is None:
                return
            if all(self._all_settled(owed) for owed in self._consumers):
                directories.remove(self._files, self._directory, hold)
            hold.release()

    def _reader(self, name: str, owed: Consumer) -> RecoveryReader:
        return RecoveryReader(
            self,
            name,
            total=self._remains.pending[owed.name],
            route=owed.name,
            resume=self._remains.resume[owed.name],
            ends=self._remains.ends_for(owed.name),
            ends_at=AFTER_ALL,
            on_acknowledge=self._settled,
        )

    def _settled(self) -> None:
        """Called by a reader: keep the cursors fresh, but not at every batch."""
        if time.monotonic() - self._written_at >= _CURSOR_S:
            with self.lock:
                if self._hold is not None:
                    self._write_cursors()

    def _write_cursors(self) -> None:
        self._written_at = time.monotonic()
        for name, owed in self._ours.items():
            position = self.readers[name].position()
            if position == self._written[owed.name]:
                continue
            try:
                write_cursor(self._files, self._directory, self.id, owed, position)
                self._written[owed.name] = position
            except OSError:
                self._counters.note("cursor_failed")

    def _settled_before(self, segment: Segment) -> bool:
        for owed in self._consumers:
            reader = self._reader_of(owed)
            if reader is not None:
                if not reader.is_acknowledged(segment):
                    return False
            elif self._remains.resume[owed.name] < (segment.number, segment.committed):
                return False
        return True

    def _all_settled(self, owed: Consumer) -> bool:
        reader = self._reader_of(owed)
        if reader is not None:
            return reader.finished()
        return self._remains.pending[owed.name] == 0

    def _reader_of(self, owed: Consumer) -> RecoveryReader | None:
        return next((self.readers[n] for n, each in self._ours.items() if each is owed), None)


class SpoolRecovery:
    """Looks for orphans under a root. ``own`` gives the id of this process's spool, if any.

    ``from_oldest``: names of destinations that get what is left in a spool even where its maker did
    not have them.
    """

    def __init__(
        self,
        root: Path,
        own: Callable[[], str | None],
        destinations: Sequence[Consumer],
        counters: Counters,
        files: Files = OS_FILES,
        from_oldest: Collection[str] = (),
    ) -> None:
        self._root = root
        self._own = own
        self._destinations = tuple(destinations)
        self._from_oldest = from_oldest
        self._counters = counters
        self._files = files
        self._adopted: list[RecoveredSpool] = []
        self._nothing_for_us: set[str] = set()
        self._told = False

    def scan(self) -> list[RecoveredSpool]:
        """Newly adopted spools; those adopted before are tended. Never raises OSError."""
        self._adopted = [each for each in self._adopted if each._hold is not None]
        for each in self._adopted:
            each.maintain()
        if not self._trusted():
            return []
        directories.sweep(self._files, self._root)
        ours = {self._own(), *(each.spool_id for each in self._adopted)}
        found: list[RecoveredSpool] = []
        for spool_id in directories.spools(self._files, self._root):
            if spool_id not in ours and spool_id not in self._nothing_for_us:
                adopted = self._adopt(self._root / spool_id)
                if adopted is not None:
                    found.append(adopted)
        self._adopted += found
        return found

    def release(self) -> None:
        """Leave every adopted spool to the next adopter, as far as it has come."""
        for each in self._adopted:
            each.release()

    def _trusted(self) -> bool:
        try:
            self._files.lstat(self._root)
            directories.check_root(self._files, self._root)
        except FileNotFoundError:
            return False
        except Exception as error:
            if not self._told:  # and not at all where our own spool has just said the same
                log_once("spool:memory", "spools of earlier runs are not looked at: %s", error)
            self._told = True
            return False
        self._told = False
        return True

    def _adopt(self, directory: Path) -> RecoveredSpool | None:
        lock = directories.try_lock(self._files, directory)
        if lock is None:
            return None
        try:
            adopted = self._examine(directory, lock)
        except OSError:
            adopted = None
        if adopted is None:
            lock.release()
        return adopted

    def _examine(self, directory: Path, lock: directories.Lock) -> RecoveredSpool | None:
        files, spool_id = self._files, directory.name
        header, known = read_headers(files, directory, spool_id)
        if not known:
            log_once(
                f"spool:{spool_id}", "spool %s is of a newer version; left as it is", directory
            )
            self._nothing_for_us.add(spool_id)
            return None
        if header is None:
            self._clear_away(directory, lock)
            return None
        ours = self._match(header.consumers)
        late = self._late(header.consumers, ours)
        if not ours and not late:
            self._nothing_for_us.add(spool_id)
            return None
        ours |= late
        consumers = (*header.consumers, *late.values())
        remains = SpoolScan.examine(files, directory, spool_id, consumers)
        adopted = RecoveredSpool(directory, lock, remains, consumers, ours, self._counters, files)
        if any(remains.pending[owed.name] for owed in ours.values()):
            if remains.damaged:
                self._counters.note("corrupt_record", remains.damaged)
            return adopted
        self._nothing_for_us.add(spool_id)
        for reader in adopted.readers.values():
            reader.read(1, 1)  # reads to the end, where it finds nothing
        adopted.release()
        return None

    def _clear_away(self, directory: Path, lock: directories.Lock) -> None:
        """A spool without a readable header: removed if no line in it is whole, else left."""
        remains = SpoolScan.examine(self._files, directory, directory.name, ())
        if any(segment.committed for segment in remains.segments):
            log_once(f"spool:{directory.name}", "spool %s cannot be read; left as it is", directory)
            self._nothing_for_us.add(directory.name)
            return
        directories.remove(self._files, directory, lock)

    def _match(self, consumers: Sequence[Consumer]) -> dict[str, Consumer]:
        """What is owed to us, by our names: the same fingerprint, and rather the same name."""
        found: dict[str, Consumer] = {}
        names = {owed.name for owed in consumers}
        for ours in sorted(self._destinations, key=lambda each: each.name not in names):
            same = [owed for owed in consumers if owed.fingerprint == ours.fingerprint]
            same.sort(key=lambda owed: owed.name != ours.name)
            free = [owed for owed in same if owed not in found.values()]
            if free:
                found[ours.name] = free[0]
        return found

    def _late(
        self, consumers: Sequence[Consumer], ours: Mapping[str, Consumer]
    ) -> dict[str, Consumer]:
        """Our destinations that are owed nothing yet and asked for all that is left.

        Names tell cursors and routes apart, so another destination's name is not taken over.
        """
        names = {owed.name for owed in consumers}
        return {
            each.name: each
            for each in self._destinations
            if each.name in self._from_oldest and each.name not in ours and each.name not in names
        }
