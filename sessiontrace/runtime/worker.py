"""The background worker: the daemon thread for whatever blocks - disk, sync, recovery, SQLite.

Other threads reach it through ``wake`` and ``submit`` only. Invariant: no exception ends the
thread, and every job gets its ``done`` call, with an error when the worker has stopped.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.thread_start import start_thread
from sessiontrace.runtime.throttle import Throttle

__all__ = ["BackgroundWorker"]

T = TypeVar("T")

_Job = tuple[Callable[[], Any], Callable[[Any], None]]


class BackgroundWorker:
    """Calls ``tick`` every ``interval_s`` seconds and when woken, and runs jobs in between."""

    def __init__(
        self, *, tick: Callable[[], None], interval_s: float = 0.5, counters: Counters
    ) -> None:
        self._tick = tick
        self._interval_s = interval_s
        self._counters = counters
        # SimpleQueue is re-entrant: a signal handler may call `wake` within `wake`.
        self._inbox: SimpleQueue[_Job | None] = SimpleQueue()
        self._woken = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._starting = ReentrantLock()  # a signal handler may close us within start
        self._throttle = Throttle()

    def start(self) -> bool:
        """Start the thread unless it runs; False when no thread can be started (at exit)."""
        with self._starting:
            if self._stopping:
                return False
            if self._thread is not None and self._thread.is_alive():
                return True
            thread = threading.Thread(target=self._run, name="sessiontrace-keeper", daemon=True)
            self._thread = thread
            if not start_thread(thread):
                self._thread = None
            return self._thread is not None

    def wake(self) -> None:
        """Have ``tick`` run now. From any thread, a signal handler too; never blocks."""
        if not self._woken:
            self._woken = True
            self._inbox.put(None)

    def submit(self, job: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        """Run ``job`` in the worker's thread, then ``done`` there with its result or exception.

        After ``stop``, ``done`` gets a RuntimeError at once.
        """
        self._inbox.put((job, done))
        if self._stopping and not self._running():
            self._refuse()

    def stop(self, timeout: float) -> bool:
        """Finish the jobs at hand and end; whether the thread ended in time (seconds)."""
        self._stopping = True
        self._inbox.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        if self._running():
            return False
        self._refuse()
        return True

    def _running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        with self._starting:
            if self._thread is not threading.current_thread():
                return  # another one was started after a signal interrupted our start
        due = time.monotonic()
        while True:
            try:
                entry = self._inbox.get(timeout=max(0.0, due - time.monotonic()))
                if entry is not None:
                    self._do(*entry)
                    continue
            except Empty:
                pass
            if self._stopping:
                return
            self._woken = False
            self._guard(self._tick)
            due = time.monotonic() + self._interval_s

    def _do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        result: Any
        try:
            result = job()
        except BaseException as error:  # SystemExit too: one job must not end all the others
            result = error
        self._throttle()
        self._guard(functools.partial(done, result))

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            self._counters.note("keeper_restarts")
            log_once("worker:failed", "background maintenance failed and continues: %r", error)

    def _refuse(self) -> None:
        """Answer the jobs that were submitted too late."""
        while True:
            try:
                entry = self._inbox.get_nowait()
            except Empty:
                return
            if entry is not None:
                stopped = RuntimeError("the background worker has stopped")
                self._guard(functools.partial(entry[1], stopped))
