"""An event that stays usable when a signal handler raises where it is set or waited for.

Any thread may call it, a signal handler too. Invariant: a thread that waits after ``set``, or began
before it, comes back. An event of ``threading`` takes a lock in Python code. What a handler raises
there leaves that lock taken, and the thread that sets the event next waits for ever.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue

__all__ = ["SignalSafeEvent"]


class SignalSafeEvent:
    """As ``threading.Event``."""

    __slots__ = ("_is_set", "_wakes")

    def __init__(self) -> None:
        self._is_set = False
        self._wakes: SimpleQueue[None] = SimpleQueue()  # re-entrant; it has no lock in Python code

    def is_set(self) -> bool:
        """Whether it was set since it was cleared."""
        return self._is_set

    def set(self) -> None:
        """Let every thread that waits come back."""
        if not self._is_set:
            self._is_set = True
            self._wake_one()

    def clear(self) -> None:
        """From now on threads wait until it is set again."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is set, at the latest after ``timeout`` seconds; None waits for ever."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                self._wakes.get(timeout=left)
            except Empty:
                return self.is_set()
            finally:
                if self.is_set():  # another thread may wait, too
                    self._wake_one()
        return True

    def _wake_one(self) -> None:
        """An entry that is left from before does as well: the thread that takes it looks again."""
        if self._wakes.empty():
            self._wakes.put(None)
