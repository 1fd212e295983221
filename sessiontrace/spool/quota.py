"""The quota over the root: how much all spools together may take, and which segments go first.

On the background worker's thread. Invariant: a spool whose owner lives, or that this process can
deliver, is never touched; each process evicts segments of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from sessiontrace.runtime.counters import Counters
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.recovery.scan import SpoolScan, read_headers, used_bytes

__all__ = ["Quota"]

_MEASURE_S = 5.0


class Quota:
    """``over`` returns how many bytes this process should give back now. ``limit``: bytes."""

    def __init__(
        self,
        root: Path | None,
        own_id: str,
        consumers: Sequence[Consumer],
        limit: int,
        files: Files,
        counters: Counters,
    ) -> None:
        self._root = root
        self._own_id = own_id
        self._fingerprints = {consumer.fingerprint for consumer in consumers}
        self._limit = limit
        self._files = files
        self._counters = counters
        self._others = 0
        self._measured_at = -_MEASURE_S

    def over(self, own_bytes: int) -> int:
        """Used bytes beyond the quota, after evicting orphans that this process cannot deliver."""
        if self._root is None:
            return 0
        if time.monotonic() - self._measured_at >= _MEASURE_S:
            self._measured_at = time.monotonic()
            others = self._other_spools()
            self._others = sum(self._used(self._root / spool_id) for spool_id in others)
            over = own_bytes + self._others - self._limit
            for spool_id in others if over > 0 else ():
                freed = self._evict_orphan(self._root / spool_id, over)
                over -= freed
                self._others -= freed
        return own_bytes + self._others - self._limit

    def _other_spools(self) -> list[str]:
        assert self._root is not None
        spool_ids = directories.spools(self._files, self._root)
        return [spool_id for spool_id in spool_ids if spool_id != self._own_id]

    def _used(self, spool: Path) -> int:
        return sum(
            used_bytes(self._files, path, size)
            for _, path, size in directories.segments(self._files, spool)
        )

    def _evict_orphan(self, spool: Path, over: int) -> int:
        """Delete an orphan's oldest segments until enough is free; the number of bytes freed."""
        if over <= 0:
            return 0
        lock = directories.try_lock(self._files, spool)
        if lock is None:
            return 0
        freed = 0
        try:
            header, understood = read_headers(self._files, spool, spool.name)
            if header is None or not understood:
                return 0
            if self._fingerprints & {consumer.fingerprint for consumer in header.consumers}:
                return 0
            before = self._pending(spool, header.consumers)
            for _, path, size in directories.segments(self._files, spool):
                if freed < over:
                    freed += used_bytes(self._files, path, size)
                    self._files.unlink(path)
            self._counters.note("evicted_orphaned", before - self._pending(spool, header.consumers))
            if not directories.segments(self._files, spool):
                directories.remove(self._files, spool, lock)
        except OSError:
            return freed
        finally:
            lock.release()
        return freed

    def _pending(self, spool: Path, consumers: Sequence[Consumer]) -> int:
        return sum(SpoolScan.examine(self._files, spool, spool.name, consumers).pending.values())
