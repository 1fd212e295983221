"""Flush tickets: how a user's thread learns that the lanes delivered what it had appended.

Made in the user's thread, answered by the sender's, waited for anywhere. Invariant: a ticket is
answered at most once for each lane, and waiting for it is always bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signal_safe_event import SignalSafeEvent

__all__ = ["FlushTicket"]


class FlushTicket:
    """One request to flush.

    ``marks``: by lane, how many of its records must be acknowledged: all that were appended before
    the request. The outcome is True when every lane got there, False when one is
    blocked or the sender stopped first.
    """

    def __init__(self, marks: Mapping[str, int]) -> None:
        self.marks: dict[str, int] = dict(marks)
        self._open = set(marks)
        self._complete = True
        self._event = SignalSafeEvent()
        self._lock = ReentrantLock()
        self._callbacks: list[Callable[[bool], None]] = []
        if not self._open:
            self._event.set()

    @property
    def done(self) -> bool:
        """Whether every lane has answered."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until answered or for ``timeout`` seconds; True when everything was delivered."""
        return self._event.wait(timeout) and self._complete

    def add_done_callback(self, callback: Callable[[bool], None]) -> None:
        """Call ``callback(outcome)`` once answered: in the sender's thread, or at once here."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback(self._complete)

    def answer(self, lane: str, complete: bool) -> None:
        """A lane got there, or says that it will not."""
        with self._lock:
            if lane not in self._open:
                return
            self._open.discard(lane)
            self._complete = self._complete and complete
            if self._open:
                return
            callbacks, self._callbacks = self._callbacks, []
            self._event.set()
        for callback in callbacks:
            try:
                callback(self._complete)
            except Exception:  # the waiter's loop is gone; the other waiters still have to learn
                pass

    def abandon(self) -> None:
        """The sender has stopped: every lane without an answer counts as not delivered."""
        for lane in list(self._open):
            self.answer(lane, False)
