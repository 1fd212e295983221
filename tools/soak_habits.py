"""What some programs of the soak do besides recording: signals that raise, and pools.

Used in the producer's threads. Invariant: an exception that a signal handler raises comes out of
the work it interrupted, and work in a pool belongs to the session that submitted it.
"""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from types import FrameType
from typing import Any

__all__ = ["Alarms", "Pools"]


class AlarmError(Exception):
    """What the handler of SIGALRM raises, as timeouts of job queues do."""


class Alarms:
    """Runs work that a signal interrupts by an exception. Of the main thread only.

    ``raised`` counts the exceptions, ``swallowed`` those that nobody saw.
    """

    def __init__(self) -> None:
        self.raised = 0
        self.swallowed = 0
        self._armed = False
        sys.unraisablehook = self._note_unraisable

    def run(self, work: Callable[[], object]) -> None:
        """Do the work; an alarm may raise out of any line of it, once."""
        signal.signal(signal.SIGALRM, self._raise)
        self._armed = True
        raised = self.raised
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.2))
                work()
            finally:
                self._armed = False
        except AlarmError:
            raised += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.swallowed += self.raised - raised

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            self.raised += 1
            raise AlarmError

    def _note_unraisable(self, fault: Any) -> None:
        """Python itself swallows what is raised within a finalizer."""
        if isinstance(fault.exc_value, AlarmError):
            self.raised -= 1
        else:
            sys.__unraisablehook__(fault)


class Pools:
    """Two pools that the first session to use them creates, and all later ones use."""

    def __init__(self) -> None:
        self.tasks = 0
        self._executor: ThreadPoolExecutor | None = None
        self._pool: ThreadPool | None = None

    def run(self, task: Callable[..., object], *arguments: object) -> None:
        """Do the task in one of the pools, and wait for it."""
        self.tasks += 1
        if self.tasks % 2:
            self._executor = self._executor or ThreadPoolExecutor(2)
            self._executor.submit(task, *arguments).result(30)
        else:
            self._pool = self._pool or ThreadPool(2)
            self._pool.apply_async(task, arguments).get(30)
