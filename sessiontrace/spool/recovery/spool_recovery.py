"""Spool recovery: takes over what a process left that died, or ended before all was delivered.

The background worker scans at start and every 30 seconds. Invariant: a spool is recovered by the
one process that holds its lock, and delivered only to destinations with the same fingerprint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.recovery.recovered_spool import RecoveredSpool
from sessiontrace.spool.recovery.scan import SpoolScan, read_headers
from sessiontrace.spool.recovery.tails import trim_tails

__all__ = ["MOST_SPOOLS", "SpoolRecovery"]

MOST_SPOOLS = 32
"""Spools taken over at the same time for one destination: each costs a file descriptor."""

_SHARE = 8  # of the process's file descriptors, spools may take one in so many


def _most_spools(destinations: int) -> int:
    """How many spools may be taken over for each of so many destinations."""
    if sys.platform == "win32":
        return MOST_SPOOLS
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MOST_SPOOLS
    return max(1, min(MOST_SPOOLS, limit // (_SHARE * max(1, destinations))))


class SpoolRecovery:
    """Looks for orphaned spools under a root.

    ``own_id`` returns the id of this process's spool, if there is one. ``from_oldest``: names of
    destinations that get what is left in a spool even where its maker did not have them. ``adopt``:
    by the fingerprint of another key or address, the destination that gets its records instead.
    """

    def __init__(
        self,
        root: Path,
        own_id: Callable[[], str | None],
        destinations: Sequence[Consumer],
        counters: Counters,
        files: Files = OS_FILES,
        from_oldest: Collection[str] = (),
        adopt: Mapping[str, str] | None = None,
    ) -> None:
        self._root = root
        self._own_id = own_id
        self._destinations = tuple(destinations)
        self._from_oldest = from_oldest
        self._adopt = adopt or {}
        self._counters = counters
        self._files = files
        self._recovered: list[RecoveredSpool] = []
        self._nothing_for_us: set[str] = set()
        self._postponed: dict[str, frozenset[str]] = {}  # what each is owed to, when it was read
        self._root_fault_logged = False
        self.waiting: int = 0

    @property
    def spools(self) -> list[RecoveredSpool]:
        """The spools that this process delivers from now."""
        return [spool for spool in self._recovered if not spool.released]

    def has_room(self) -> bool:
        """Whether spools wait and some of those before them are delivered."""
        return self.waiting > 0 and len(self.spools) <= len(self._recovered) // 2

    def scan(self) -> list[RecoveredSpool]:
        """Newly recovered spools, the oldest first; maintains those of earlier scans.

        Takes at most ``MOST_SPOOLS`` for each destination, fewer where file descriptors are scarce;
        ``waiting`` counts those beyond that, for a later scan. Never raises OSError.
        """
        self._recovered = self.spools
        self.waiting = 0
        for spool in self._recovered:
            spool.maintain()
        if not self._is_root_safe():
            return []
        directories.sweep(self._files, self._root)
        ours = {self._own_id(), *(spool.spool_id for spool in self._recovered)}
        new: list[RecoveredSpool] = []
        for spool_id in directories.spools(self._files, self._root):
            if spool_id not in ours and spool_id not in self._nothing_for_us:
                recovered = self._recover(self._root / spool_id)
                if recovered is not None:
                    new.append(recovered)
                    self._recovered.append(recovered)
        return new

    def release(self) -> None:
        """Leave every recovered spool to the next process, as far as it has come."""
        for spool in self._recovered:
            spool.release()

    def _is_root_safe(self) -> bool:
        try:
            self._files.lstat(self._root)
            directories.check_root(self._files, self._root)
        except FileNotFoundError:
            return False
        except Exception as error:
            if not self._root_fault_logged:  # and not where our own spool has just logged it
                log_once("spool:memory", "spools of earlier runs are not looked at: %s", error)
            self._root_fault_logged = True
            return False
        self._root_fault_logged = False
        return True

    def _must_wait(self, spool_id: str, names: Collection[str]) -> bool:
        """Whether there are enough spools already for each of these destinations."""
        most = _most_spools(len(self._destinations))
        for name in names:
            busy = sum(name in spool.readers for spool in self._recovered if not spool.released)
            if busy < most:
                return False
        self._postponed[spool_id] = frozenset(names)
        self.waiting += 1
        return True

    def _recover(self, directory: Path) -> RecoveredSpool | None:
        lock = directories.try_lock(self._files, directory)
        if lock is None:
            return None
        names = self._postponed.pop(directory.name, None)
        if names is not None and self._must_wait(directory.name, names):
            lock.release()
            return None
        try:
            recovered = self._examine(directory, lock)
        except OSError:
            recovered = None
        if recovered is None:
            lock.release()
        return recovered

    def _examine(self, directory: Path, lock: directories.Lock) -> RecoveredSpool | None:
        files, spool_id = self._files, directory.name
        header, understood = read_headers(files, directory, spool_id)
        if not understood:
            self._leave(directory)
            return None
        if header is None:
            self._remove_if_empty(directory, lock)
            return None
        ours = self._match(header.consumers)
        late = self._late(header.consumers, ours)
        if not ours and not late:
            self._nothing_for_us.add(spool_id)
            return None
        ours |= late
        if self._must_wait(spool_id, ours):
            return None
        consumers = (*header.consumers, *late.values())
        trim_tails(files, directory)
        scan = SpoolScan.examine(files, directory, spool_id, consumers)
        if scan.has_unknown_kinds():  # no exporter would send them, and they would count as sent
            self._leave(directory)
            return None
        recovered = RecoveredSpool(directory, lock, scan, consumers, ours, self._counters, files)
        owed = [name for name, consumer in ours.items() if scan.pending[consumer.name]]
        if owed and self._must_wait(spool_id, owed):
            return None
        if owed:
            if scan.damaged:
                self._counters.note("corrupt_record", scan.damaged)
            return recovered
        self._nothing_for_us.add(spool_id)
        for reader in recovered.readers.values():
            reader.read(1, 1)  # reads to the end, where it finds nothing
        recovered.release()
        return None

    def _leave(self, directory: Path) -> None:
        """A newer version wrote the spool, and reads it."""
        log_once(
            f"spool:{directory.name}", "spool %s is of a newer version; left as it is", directory
        )
        self._nothing_for_us.add(directory.name)

    def _remove_if_empty(self, directory: Path, lock: directories.Lock) -> None:
        """A spool without a readable header: removed if no line in it is whole, else left."""
        scan = SpoolScan.examine(self._files, directory, directory.name, ())
        if any(segment.committed for segment in scan.segments):
            log_once(f"spool:{directory.name}", "spool %s cannot be read; left as it is", directory)
            self._nothing_for_us.add(directory.name)
            return
        directories.remove(self._files, directory, lock)

    def _match(self, consumers: Sequence[Consumer]) -> dict[str, Consumer]:
        """The consumers that are our destinations, by our names.

        A consumer matches by its fingerprint; among several with the same one, by its name.
        """
        matches: dict[str, Consumer] = {}
        names = {consumer.name for consumer in consumers}
        same_name_first = sorted(self._destinations, key=lambda ours: ours.name not in names)
        for ours in same_name_first:
            same = [
                consumer
                for consumer in consumers
                if consumer.fingerprint == ours.fingerprint
                or self._adopt.get(consumer.fingerprint) == ours.name
            ]
            same.sort(key=lambda consumer: consumer.name != ours.name)
            free = [consumer for consumer in same if consumer not in matches.values()]
            if free:
                matches[ours.name] = free[0]
        return matches

    def _late(
        self, consumers: Sequence[Consumer], ours: Mapping[str, Consumer]
    ) -> dict[str, Consumer]:
        """Our destinations that are owed nothing yet and asked for all that is left.

        Names distinguish cursors and routes, so another destination's name is not taken over.
        """
        names = {consumer.name for consumer in consumers}
        return {
            destination.name: destination
            for destination in self._destinations
            if destination.name in self._from_oldest
            and destination.name not in ours
            and destination.name not in names
        }
