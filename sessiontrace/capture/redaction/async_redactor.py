"""Queue and thread that run the user's async redactors before a record is spooled.

Users' threads offer records; a daemon thread with its own event loop redacts them and passes them
on in the same order. This is the one exception to "an event whose block has exited survives a
kill": a record is in memory only until it is redacted. Invariant: the queue holds a bounded number
of records and bytes, and a field or record that cannot be redacted is dropped and counted, never
passed on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import orjson

from sessiontrace.capture.redaction.redactor import accepted_fields
from sessiontrace.model.fields import EVENT_FIELDS, REDACTED
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signal_safe_event import SignalSafeEvent
from sessiontrace.runtime.thread_start import start_thread

__all__ = ["AsyncRedactionQueue", "AsyncRedactor"]

AsyncRedactor = Callable[[str, Any], Awaitable[Any]]
"""``async fn(field, value)``: as a sync one, but never on the user's thread."""

_RECORDS_MAX = 10_000
_BYTES_MAX = 64 << 20
_BATCH_MAX = 32  # records redacted side by side
_RECORD_S = 10.0  # for all functions over one record
_SLICE_S = 0.02  # of waiting
_IDLE_S = 5.0  # without a record, after which the thread ends
_ENVELOPE = frozenset(EVENT_FIELDS) - REDACTED


class AsyncRedactionQueue:
    """Takes records by ``offer`` and passes them on to the next ``offer``, redacted.

    ``drop(reason)`` counts a record that does not get that far. ``on_start`` is called in the
    thread that offers, before ours starts: the process must know of us before it exits.
    """

    def __init__(
        self,
        functions: Sequence[AsyncRedactor],
        offer: Callable[[bytes, bytes], bool],
        drop: Callable[[str], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._functions = tuple(functions)
        self._onward = offer
        self._drop = drop
        self._on_start = on_start
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._batch: deque[tuple[bytes, bytes]] = deque()  # in the thread's hands
        self._bytes = 0
        self._closed = False
        self._wake = SignalSafeEvent()
        self._passed = SignalSafeEvent()  # set after each batch
        self._starting = ReentrantLock()
        self._thread: threading.Thread | None = None
        self.quiet: Callable[[], AbstractContextManager[Any]] = nullcontext
        """Entered around the thread's work: what the functions trace must not come back here."""

    def offer(self, head: bytes, body: bytes) -> bool:
        """Queue a record; False when the queue is full or closed."""
        full = len(self._waiting) >= _RECORDS_MAX or self._bytes + len(body) > _BYTES_MAX
        if full or self._closed:
            self._drop("closed" if self._closed else "unredacted")
            return False
        self._bytes += len(body)
        self._waiting.append((head, body))
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._wake.set()
        return True

    def holds(self, body: bytes) -> bool:
        """Whether this record waits here."""
        return any(waiting == body for _, waiting in (*self._waiting.copy(), *self._batch.copy()))

    def pending(self) -> int:
        """How many records were offered and neither passed on nor dropped."""
        return len(self._waiting) + len(self._batch)

    def drain(self, timeout: float) -> bool:
        """Wait until every record offered so far was passed on; False after ``timeout`` seconds."""
        left = timeout  # counted in slices of real time: a test may have frozen the clocks
        while self.pending():
            if left <= 0:
                return False
            if not self._start() and not self._run_here():
                return False
            self._passed.clear()
            self._wake.set()
            if self.pending() and not self._passed.wait(_SLICE_S):
                left -= _SLICE_S
            else:
                left -= _SLICE_S / 50
        return True

    def close(self, timeout: float) -> bool:
        """Refuse new records and drain; records that remain are dropped and counted."""
        self._closed = True
        done = self.drain(timeout)
        while self._waiting:
            try:
                _, body = self._waiting.popleft()
            except IndexError:  # the thread took it
                break
            self._bytes -= len(body)
            self._drop("unredacted")
        self._wake.set()
        return done

    def reopen(self) -> None:
        """Take records again after ``close``."""
        self._closed = False

    def _start(self) -> bool:
        """Start the thread unless it runs; False when the system gives none now."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return True
            self._on_start()
            thread = threading.Thread(target=self._run, name="sessiontrace-redactor", daemon=True)
            self._thread = thread
            if not start_thread(thread):  # the next record, flush and exit try again
                self._thread = None
            return self._thread is not None

    def _run(self) -> None:
        """The thread: redact what comes, and end when nothing has come for a while."""
        with self._starting:
            if self._thread is not threading.current_thread():
                return  # another one was started after a signal interrupted our start
        while True:
            self._redact_waiting()
            came = self._wake.wait(_IDLE_S)  # not in an executor: at exit there is none
            self._wake.clear()
            if (came and not self._closed) or self._waiting:
                continue
            with self._starting:
                self._thread = None  # first, so that an offer from now on starts another thread
                if not self._waiting:
                    return
                self._thread = threading.current_thread()

    def _run_here(self) -> bool:
        """Redact in the caller's thread, when no other can be had; False inside an event loop."""
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._redact_waiting()
            return True
        return False

    def _redact_waiting(self) -> None:
        import anyio

        while self._waiting:
            try:
                with self.quiet():
                    anyio.run(self._redact_batches)
            except BaseException:  # a task that a function left behind raised SystemExit
                pass
            finally:
                self._drop_batch()

    def _drop_batch(self) -> None:
        """Account for what an interrupted batch did not pass on."""
        while self._batch:
            _, body = self._batch[0]
            self._bytes -= len(body)
            self._drop("unredacted")
            self._batch.popleft()
        self._passed.set()

    async def _redact_batches(self) -> None:
        while self._waiting:
            await self._redact_batch()

    async def _redact_batch(self) -> None:
        """Redact the next records side by side and pass them on in their order."""
        import asyncio

        batch = self._batch
        while len(batch) < _BATCH_MAX and self._waiting:
            try:
                batch.append(self._waiting[0])  # first, so that `pending` counts it at any moment
                self._waiting.popleft()
            except IndexError:
                break
        results = await asyncio.gather(*(self._redacted(body) for _, body in batch))
        for redacted in results:
            head, body = batch[0]
            self._bytes -= len(body)
            if redacted is None:
                self._drop("unredacted")
            else:
                self._onward(head, redacted)
            batch.popleft()
        self._passed.set()

    async def _redacted(self, body: bytes) -> bytes | None:
        import asyncio

        try:
            record = orjson.loads(body)
            envelope = {name: record.pop(name) for name in list(record) if name in _ENVELOPE}
            fields = await asyncio.wait_for(self._apply(record), _RECORD_S)
            return orjson.dumps({**envelope, **fields})
        except BaseException:  # too slow, cancelled, or not JSON any more
            return None

    async def _apply(self, fields: dict[str, Any]) -> dict[str, Any]:
        import asyncio

        for function in self._functions:
            answers: dict[str, Any] = {}
            for name, value in fields.items():
                try:
                    answers[name] = await function(name, value)
                except asyncio.CancelledError:  # the time for the record is over
                    raise
                except BaseException as error:  # SystemExit too: it must not end the thread
                    answers[name] = error
            fields = accepted_fields(answers)
        return fields
