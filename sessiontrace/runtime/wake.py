"""Wake signal: a consumer thread sleeps without polling until a producer has work for it.

``arm`` runs in the consumer's thread, ``notify`` in any producer's. Invariant: work that a producer
finishes is either visible to the consumer before it sleeps, or wakes it.

The race
--------
A consumer that looks, finds nothing and sleeps misses the work that arrives between its look and
its sleep. A lock around both would cost every producer; here a producer only reads ``armed``::

    producer                         consumer
    1. make the work visible         a. read the progress
    2. if armed: notify()            b. armed = True
                                     c. read the progress again; if it moved: do not sleep
                                     d. look for work once more, then sleep

Work made visible before (c) is found by (c) or (d). Work made visible after (c) is followed by a
read of ``armed`` that sees True, because (b) came first. ``arm`` also refuses once after each
progress, so that every one of several consumers (the lanes) looks before the first of them sleeps.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["WakeSignal"]


class WakeSignal:
    """Connects the producers of one queue with the thread that consumes it.

    ``progress`` returns a value that differs after new work (the end of the queue). ``wake`` is set
    by the consumer; it must not block and is called in a producer's thread.
    """

    __slots__ = ("_last", "_progress", "armed", "wake")

    def __init__(self, progress: Callable[[], object]) -> None:
        self.armed: bool = False  # public: a producer reads it for every record, without a call
        self.wake: Callable[[], None] | None = None
        self._progress = progress
        self._last: object = None

    def arm(self) -> bool:
        """Have the next work call ``wake``; False when there is work the consumer may not know."""
        progress = self._progress()
        if progress != self._last:
            self._last = progress
            return False
        self.armed = True
        if self._progress() == progress:
            return True
        self.armed = False
        return False

    def notify(self) -> None:
        """Wake the consumer, once for each time that it armed the signal."""
        self.armed = False
        if self.wake is not None:
            self.wake()
