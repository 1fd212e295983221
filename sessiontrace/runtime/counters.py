"""Counters of dropped records by reason, and of other notable events: one object a tracer.

Used by every thread. A program that records one session in a hundred drops nearly all, so a drop is
one step of an ``itertools.count``, which the interpreter does not divide, and takes no lock.
Invariant: the code that drops a record counts it, with one of the reasons below.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping

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

    __slots__ = ("_drops", "_lock", "noted")

    def __init__(self) -> None:
        self._lock = ReentrantLock()  # re-entrant: a signal handler may note while we count
        self._drops: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
        self.noted: dict[str, int] = {}

    def drop(self, reason: str) -> None:
        """Count a record that was offered and will never be accepted."""
        next(self._drops[reason])

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were dropped, by reason."""
        steps = self._drops.copy().items()
        counts = {reason: int(repr(step)[len("count(") : -1]) for reason, step in steps}
        return {reason: count for reason, count in counts.items() if count}

    def note(self, name: str, count: int = 1) -> None:
        """Count something that is worth reporting and is not a loss."""
        with self._lock:
            self.noted[name] = self.noted.get(name, 0) + count

    def snapshot(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Copies of both tables, dropped first."""
        with self._lock:
            return self.dropped, dict(self.noted)
