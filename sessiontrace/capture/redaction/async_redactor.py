"""Queue and thread that run the user's async redactors before a record is spooled.

Users' threads offer records; a daemon thread with its own event loop redacts them and passes them
on in the same order. This is the one exception to "an event whose block has exited survives a
kill": a record is in memory only until it is redacted. Invariant: the queue holds a bounded number
of records and bytes, and a field or record that cannot be redacted is dropped and counted, never
passed on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import orjson

from sessiontrace.capture.redaction.redactor import accepted_fields
from sessiontrace.model.fields import EVENT_FIELDS, REDACTED

__all__ = ["AsyncRedactionQueue", "AsyncRedactor"]

AsyncRedactor = Callable[[str, Any], Awaitable[Any]]
"""``async fn(field, value)``: as a sync one, but never on the user's thread."""

_RECORDS_MAX = 10_000
_BYTES_MAX = 64 << 20
_BATCH_MAX = 32  # records redacted side by side
_RECORD_S = 10.0  # for all functions over one record
_ENVELOPE = frozenset(EVENT_FIELDS) - REDACTED


class AsyncRedactionQueue:
    """Takes records by ``offer`` and passes them on to the next ``offer``, redacted.

    ``drop(reason)`` counts a record that does not get that far.
    """

    def __init__(
        self,
        functions: Sequence[AsyncRedactor],
        offer: Callable[[bytes, bytes], bool],
        drop: Callable[[str], None],
    ) -> None:
        self._functions = tuple(functions)
        self._onward = offer
        self._drop = drop
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._bytes = 0
        self._busy = 0
        self._closed = False
        self._wake = threading.Event()
        self._starting = threading.RLock()
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

    def drain(self, timeout: float) -> bool:
        """Wait until every record offered so far was passed on; False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self._waiting or self._busy:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        return True

    def close(self, timeout: float) -> bool:
        """Refuse new records and drain; records that remain are dropped and counted."""
        self._closed = True
        done = self.drain(timeout)
        while self._waiting:
            try:
                self._waiting.popleft()
            except IndexError:  # the thread took it
                break
            self._drop("unredacted")
        self._wake.set()
        return done

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="sessiontrace-redactor")
                thread.daemon = True
                try:
                    thread.start()
                except RuntimeError:  # the interpreter shuts down; `close` counts the records
                    return
                self._thread = thread

    def _run(self) -> None:
        import asyncio

        loop = asyncio.new_event_loop()
        try:
            with self.quiet():
                while self._waiting or not self._closed:
                    self._wake.wait(0.5)  # not in an executor: at exit there is none
                    self._wake.clear()
                    while self._waiting:
                        self._busy = 1
                        loop.run_until_complete(self._redact_batch())
                        self._busy = 0
        finally:
            self._busy = 0
            loop.close()

    async def _redact_batch(self) -> None:
        """Redact the next records side by side and pass them on in their order."""
        import asyncio

        batch: list[tuple[bytes, bytes]] = []
        while len(batch) < _BATCH_MAX:
            try:
                batch.append(self._waiting.popleft())
            except IndexError:
                break
        results = await asyncio.gather(*(self._redacted(body) for _, body in batch))
        for (head, body), redacted in zip(batch, results, strict=True):
            self._bytes -= len(body)
            if redacted is None:
                self._drop("unredacted")
            else:
                self._onward(head, redacted)

    async def _redacted(self, body: bytes) -> bytes | None:
        import asyncio

        try:
            record = orjson.loads(body)
            envelope = {name: record.pop(name) for name in list(record) if name in _ENVELOPE}
            fields = await asyncio.wait_for(self._apply(record), _RECORD_S)
            return orjson.dumps({**envelope, **fields})
        except Exception:  # too slow, or not JSON any more
            return None

    async def _apply(self, fields: dict[str, Any]) -> dict[str, Any]:
        for function in self._functions:
            answers: dict[str, Any] = {}
            for name, value in fields.items():
                try:
                    answers[name] = await function(name, value)
                except Exception as error:
                    answers[name] = error
            fields = accepted_fields(answers)
        return fields
