"""The quota over the root: how much all spools together may take, and what goes first.

On the keeper's thread. Invariant: a spool whose owner lives, or that this process can deliver, is
never touched; each process gives way with segments of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from sessiontrace.runtime.counters import Counters
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.scan import SpoolScan, read_headers, used_bytes

__all__ = ["Quota"]

_MEASURE_S = 5.0


class Quota:
    """``over`` tells how many bytes this process should give back now."""

    def __init__(
        self,
        root: Path | None,
        own: str,
        consumers: Sequence[Consumer],
        most: int,
        files: Files,
        counters: Counters,
    ) -> None:
        self._root = root
        self._own = own
        self._fingerprints = {owed.fingerprint for owed in consumers}
        self._most = most
        self._files = files
        self._counters = counters
        self._others = 0
        self._measured_at = -_MEASURE_S

    def over(self, own_bytes: int) -> int:
        """Used bytes beyond the quota, after orphans that nobody here can deliver gave way."""
        if self._root is None:
            return 0
        if time.monotonic() - self._measured_at >= _MEASURE_S:
            self._measured_at = time.monotonic()
            self._others = sum(self._used(self._root / each) for each in self._other_spools())
            over = own_bytes + self._others - self._most
            for each in self._other_spools() if over > 0 else ():
                freed = self._evict_orphan(self._root / each, over)
                over -= freed
                self._others -= freed
        return own_bytes + self._others - self._most

    def _other_spools(self) -> list[str]:
        assert self._root is not None
        return [each for each in directories.spools(self._files, self._root) if each != self._own]

    def _used(self, spool: Path) -> int:
        return sum(
            used_bytes(self._files, path, size)
            for _, path, size in directories.segments(self._files, spool)
        )

    def _evict_orphan(self, spool: Path, over: int) -> int:
        """Delete an orphan's oldest segments until enough is free; the bytes that came free."""
        if over <= 0:
            return 0
        lock = directories.try_lock(self._files, spool)
        if lock is None:
            return 0
        freed = 0
        try:
            header, known = read_headers(self._files, spool, spool.name)
            if header is None or not known:
                return 0
            if self._fingerprints & {owed.fingerprint for owed in header.consumers}:
                return 0
            before = self._owed(spool, header.consumers)
            for _, path, size in directories.segments(self._files, spool):
                if freed < over:
                    freed += used_bytes(self._files, path, size)
                    self._files.unlink(path)
            self._counters.note("evicted_orphaned", before - self._owed(spool, header.consumers))
            if not directories.segments(self._files, spool):
                directories.remove(self._files, spool, lock)
        except OSError:
            return freed
        finally:
            lock.release()
        return freed

    def _owed(self, spool: Path, consumers: Sequence[Consumer]) -> int:
        return sum(SpoolScan.examine(self._files, spool, spool.name, consumers).pending.values())
