"""The quota over the root: how much all spools together may take, and which segments go first.

On the background worker's thread. The oldest segment goes first, whichever ended process wrote it
and whichever destination it waits for. Invariant: a segment whose owner lives is deleted by that
owner alone, and every record that a deletion loses is counted and logged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import attrs

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.throttle import throttled
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import Files, read_range
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.recovery.scan import SpoolScan, read_headers, used_bytes
from sessiontrace.spool.recovery.tails import trim_tails
from sessiontrace.spool.segment import Segment

__all__ = ["EvictableSpool", "Quota"]

_MEASURE_S = 5.0
_AHEAD_S = 60.0


class EvictableSpool(Protocol):
    """A spool of an ended process that this process delivers from."""

    spool_id: str

    def evict(self, number: int) -> int | None:
        """Delete a segment; how many records are lost by it, None when there is no such segment."""
        ...


@attrs.frozen
class _Other:
    """A segment file of another process. ``alive``: its owner lives and deletes it itself."""

    written: float
    number: int
    path: Path
    used: int
    alive: bool


class Quota:
    """``enforce`` evicts what is too much. ``limit``: bytes.

    ``recovered`` returns the spools of ended processes that this process delivers from.
    """

    def __init__(
        self,
        root: Path | None,
        own_id: str,
        limit: int,
        files: Files,
        counters: Counters,
        recovered: Callable[[], Sequence[EvictableSpool]] = tuple,
    ) -> None:
        self._root = root
        self._own_id = own_id
        self._limit = limit
        self._files = files
        self._counters = counters
        self._recovered = recovered
        self._others: list[_Other] = []
        self._measured_at = -_MEASURE_S
        self._made_at = time.time()
        self._unlogged = 0  # records evicted since the last line

    def enforce(self, own: Sequence[Segment]) -> list[Segment]:
        """Evict the oldest segments of ended processes; returns the own ones that have to go."""
        if self._root is None:
            return []
        if time.monotonic() - self._measured_at >= _MEASURE_S:
            self._measured_at = time.monotonic()
            self._others = self._measure(self._root)
        own_bytes = sum(segment.committed for segment in own)
        over = own_bytes + sum(other.used for other in self._others) - self._limit
        victims = self._evict(over, own) if over > 0 else []
        self._unlogged += sum(sum(victim.counts().values()) for victim in victims)
        if (over > 0 or self._unlogged) and log_once(
            "spool:quota",
            "the spools under %s take more than spool_quota=%d bytes; the oldest records are "
            "evicted (%d now), and stats() counts them",
            self._root,
            self._limit,
            self._unlogged,
        ):
            self._unlogged = 0
        return victims

    def log_remainder(self) -> None:
        """At the end: a line about what was evicted since the last line."""
        if self._unlogged:
            log_once("spool:quota:end", "%d more records were evicted by the quota", self._unlogged)
            self._unlogged = 0

    def _evict(self, over: int, own: Sequence[Segment]) -> list[Segment]:
        """Go from the oldest segment to newer ones until enough is free."""
        ages: list[tuple[float, int, _Other | Segment]] = [
            (other.written, other.number, other) for other in self._others if not other.alive
        ]
        written = 0.0
        for segment in own:
            if segment.sealed:
                written = max(written, self._written(segment.path))
                ages.append((written, segment.number, segment))
        victims: list[Segment] = []
        for _, _, oldest in sorted(ages, key=lambda age: age[:2]):
            if over <= 0:
                break
            if isinstance(oldest, Segment):
                over -= oldest.committed
                victims.append(oldest)
            elif self._evict_other(oldest):
                over -= oldest.used
        return victims

    def _written(self, path: Path | None) -> float:
        """When a segment was written; one from the future is as old as this quota.

        Its clock was ahead: as the newest of all it would stay, and what comes now would go.
        """
        try:
            written = 0.0 if path is None else self._files.lstat(path).st_mtime
        except OSError:
            return 0.0
        return written if written <= time.time() + _AHEAD_S else self._made_at

    # -- other processes --------------------------------------------------------------------

    def _measure(self, root: Path) -> list[_Other]:
        recovered = {spool.spool_id for spool in self._recovered()}
        others: list[_Other] = []
        spool_ids = directories.spools(self._files, root)
        crowded = sum(self._size(root / spool_id) for spool_id in spool_ids) > self._limit
        for spool_id in throttled(spool_ids):
            if spool_id != self._own_id:
                alive = spool_id not in recovered and not self._has_ended(root / spool_id, crowded)
                others += self._segments(root / spool_id, alive)
        return others

    def _size(self, spool: Path) -> int:
        return sum(size for _, _, size in directories.segments(self._files, spool))

    def _has_ended(self, spool: Path, crowded: bool) -> bool:
        """Whether the owner of a spool has ended; where it is crowded, unused room is freed."""
        lock = directories.try_lock(self._files, spool)
        if lock is None:
            return False
        try:
            if crowded:
                trim_tails(self._files, spool)
        finally:
            lock.release()
        return True

    def _segments(self, spool: Path, alive: bool) -> list[_Other]:
        others: list[_Other] = []
        written = 0.0  # does not fall along the numbers, whatever the clock did
        for number, path, size in directories.segments(self._files, spool):
            written = max(written, self._written(path))
            used = used_bytes(self._files, path, size)
            others.append(_Other(written, number, path, used, alive))
        return others

    def _evict_other(self, other: _Other) -> bool:
        """Delete a segment of an ended process; whether it is gone."""
        name = other.path.parent.name
        spool = next((spool for spool in self._recovered() if spool.spool_id == name), None)
        lost = self._evict_orphan(other) if spool is None else spool.evict(other.number)
        self._others.remove(other)  # what stays is tried again after a measurement
        if lost is None:
            return False
        self._counters.note("evicted_segment")
        self._counters.note("evicted_orphaned", lost)
        self._unlogged += lost
        return True

    def _evict_orphan(self, other: _Other) -> int | None:
        spool = other.path.parent
        lock = directories.try_lock(self._files, spool)
        if lock is None:
            return None
        try:
            header, understood = read_headers(self._files, spool, spool.name)
            if not understood:
                return None
            if header is None:
                lost = read_range(self._files, other.path, 0, other.used).count(b"\n")
                self._files.unlink(other.path)
            else:
                before = self._pending(spool, header.consumers)
                self._files.unlink(other.path)
                lost = before - self._pending(spool, header.consumers)
            if not directories.segments(self._files, spool):
                directories.remove(self._files, spool, lock)
        except OSError:
            return None
        finally:
            lock.release()
        return max(0, lost)

    def _pending(self, spool: Path, consumers: Sequence[Consumer]) -> int:
        return sum(SpoolScan.examine(self._files, spool, spool.name, consumers).pending.values())
