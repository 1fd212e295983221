"""Counters of dropped records by reason, and of other notable events: one object a tracer.

Used by every thread. Drops are rare, so a lock is affordable here and nowhere else on the path of
an event. Invariant: the code that drops a record counts it, with one of the reasons below.
"""

from __future__ import annotations

from collections.abc import Mapping

from sessiontrace.runtime.reentrant_lock import ReentrantLock

__all__ = ["DROP_REASONS", "Counters"]

DROP_REASONS = (
    "closed",  # offered after shutdown
    "encode_error",  # the record itself could not be encoded
    "too_large",  # over the cap even after cutting
    "sampled",  # its session was not chosen by the sampling rate
    "unrouted",  # its session was sent to destinations that do not exist
    "unredacted",  # an async redactor was too slow, or too much waited for it
    "spool_error",  # the spool could not take it (disk full, I/O error) and memory could not either
)


class Counters:
    """Named counts; ``drop`` for records lost before they were accepted, ``note`` for the rest."""

    __slots__ = ("_lock", "dropped", "noted")

    def __init__(self) -> None:
        self._lock = ReentrantLock()  # re-entrant: a signal handler may drop while we count
        self.dropped: dict[str, int] = {}
        self.noted: dict[str, int] = {}

    def drop(self, reason: str, count: int = 1) -> None:
        """Count records that were offered and will never be accepted."""
        with self._lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def note(self, name: str, count: int = 1) -> None:
        """Count something that is worth reporting and is not a loss."""
        with self._lock:
            self.noted[name] = self.noted.get(name, 0) + count

    def snapshot(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Copies of both tables, dropped first."""
        with self._lock:
            return dict(self.dropped), dict(self.noted)
