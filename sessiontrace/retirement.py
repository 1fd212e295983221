"""Retirement: pipelines that no tracer uses any more go on until they owe nothing.

``init`` with another configuration, and a tracer that is collected, leave a pipeline behind with
open handles and undelivered records. One daemon thread a process looks after all of them. Any
thread may call ``retire``. Invariant: a pipeline that owes something is closed early only when too
many wait; what it has not delivered then stays in its spool, for recovery.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from sessiontrace.runtime import process_hooks
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.thread_start import start_thread

__all__ = ["Retired", "close_all", "retire", "retry", "revive"]

_ROUND_S = 0.2
_OWING_MAX = 8  # that wait for their backends
_WAITING_MAX = 32  # that wait for handles to end, too
_HURRIED_S = 0.3


class Retired(Protocol):
    """A configuration that was replaced (``generation.Generation``)."""

    exit_timeout: float

    def has_open_work(self) -> bool:
        """Whether sessions are open, or records wait before the spool."""
        ...

    def owes_delivery(self) -> bool:
        """Whether records are not settled everywhere."""
        ...

    def retire(self, timeout: float) -> None:
        """Close; a record that still comes opens it anew."""
        ...

    def close_at_exit(self, timeout: float) -> None:
        """Close for good, as far as ``timeout`` seconds reach."""
        ...

    def abandon(self) -> None:
        """In a forked child: leave it to the parent."""
        ...


class _Retirement:
    """The retired generations and the thread that closes them."""

    exit_timeout = 0.0

    def __init__(self) -> None:
        self._lock = ReentrantLock()
        self._waiting: list[Retired] = []
        self._thread: threading.Thread | None = None

    def add(self, generation: Retired) -> None:
        with self._lock:
            if generation not in self._waiting:
                self._waiting.append(generation)
        self.exit_timeout = max(self.exit_timeout, generation.exit_timeout)
        process_hooks.register(self)
        self.start()

    def discard(self, generation: Retired) -> None:
        """The generation is in use again."""
        with self._lock:
            if generation in self._waiting:
                self._waiting.remove(generation)

    def start(self) -> None:
        """Start the thread when there is work for it; without one the next call tries again."""
        with self._lock:
            if not self._waiting or (self._thread is not None and self._thread.is_alive()):
                return
            thread = threading.Thread(target=self._run, name="sessiontrace-retired", daemon=True)
            self._thread = thread
            if not start_thread(thread):
                self._thread = None

    def _run(self) -> None:
        with self._lock:
            if self._thread is not threading.current_thread():
                return  # another one was started after a signal interrupted our start
        while True:
            time.sleep(_ROUND_S)
            for generation, timeout in self._due():
                generation.retire(timeout)
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return

    def _due(self) -> list[tuple[Retired, float]]:
        """Those to close now, with the seconds that each may take; they leave the list."""
        with self._lock:
            waiting = list(self._waiting)
        busy = [generation for generation in waiting if generation.has_open_work()]
        owing = [g for g in waiting if g not in busy and g.owes_delivery()]
        due = [(g, g.exit_timeout) for g in waiting if g not in busy and g not in owing]
        due += [(generation, _HURRIED_S) for generation in owing[:-_OWING_MAX]]
        due += [(generation, _HURRIED_S) for generation in busy[:-_WAITING_MAX]]
        for generation, _ in due:
            self.discard(generation)
        return due

    def at_exit(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for generation in waiting:
            generation.close_at_exit(max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        self._lock = ReentrantLock()
        waiting, self._waiting, self._thread = self._waiting, [], None
        for generation in waiting:
            generation.abandon()


_retirement = _Retirement()

retire: Callable[[Retired], None] = _retirement.add
revive: Callable[[Retired], None] = _retirement.discard
retry: Callable[[], None] = _retirement.start
"""Start the thread if it could not be started before."""

close_all: Callable[[float], None] = _retirement.at_exit
"""Close every retired pipeline, as the exit does."""
