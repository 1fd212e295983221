"""Aside: where records wait for the user's async redactors, before anything reaches a disk.

Records come in on users' threads and go on, in the same order, from a daemon thread of its own with
an event loop. This is the one exception to "what a block has left survives a kill": a record is in
memory only until it is redacted. Invariant: it holds a bounded number of records and bytes, and
what it cannot redact is dropped by field or counted, never passed on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import orjson

from sessiontrace.capture.redaction.redactor import kept_fields
from sessiontrace.model.fields import EVENT_FIELDS, REDACTED

__all__ = ["AsyncRedactionQueue", "AsyncRedactor"]

AsyncRedactor = Callable[[str, Any], Awaitable[Any]]
"""``async fn(field, value)``, as a sync one, but never on the user's thread."""

_RECORDS_MAX = 10_000
_BYTES_MAX = 64 << 20
_AT_ONCE = 32
_RECORD_S = 10.0  # that the functions may take for one record
_ENVELOPE = frozenset(EVENT_FIELDS) - REDACTED


class AsyncRedactionQueue:
    """``offer`` like the one behind it; ``drop(reason)`` counts what does not get that far."""

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
        """Around the thread's work: what the functions themselves trace must not come back here."""

    def offer(self, head: bytes, body: bytes) -> bool:
        """Take a record in; False when there is no room or no more time for it."""
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
        """Wait until everything offered so far has gone on; whether it has."""
        deadline = time.monotonic() + timeout
        while self._waiting or self._busy:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        return True

    def close(self, timeout: float) -> bool:
        """Drain, then take no more; what is left is dropped and counted."""
        self._closed = True
        done = self.drain(timeout)
        while self._waiting:
            try:
                self._waiting.popleft()
            except IndexError:  # the thread was quicker
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
                except RuntimeError:  # the interpreter is going down; `close` counts what waits
                    return
                self._thread = thread

    def _run(self) -> None:
        import asyncio

        loop = asyncio.new_event_loop()
        try:
            with self.quiet():
                while self._waiting or not self._closed:
                    self._wake.wait(0.5)  # no executor: there is none at the interpreter's exit
                    self._wake.clear()
                    while self._waiting:
                        self._busy = 1
                        loop.run_until_complete(self._some())
                        self._busy = 0
        finally:
            self._busy = 0
            loop.close()

    async def _some(self) -> None:
        """The next records, redacted side by side and passed on in their order."""
        import asyncio

        taken: list[tuple[bytes, bytes]] = []
        while len(taken) < _AT_ONCE:
            try:
                taken.append(self._waiting.popleft())
            except IndexError:
                break
        found = await asyncio.gather(*(self._redacted(body) for _, body in taken))
        for (head, body), redacted in zip(taken, found, strict=True):
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
            told = await asyncio.wait_for(self._ask(record), _RECORD_S)
            return orjson.dumps({**envelope, **told})
        except Exception:  # too slow, or no JSON any more
            return None

    async def _ask(self, fields: dict[str, Any]) -> dict[str, Any]:
        for function in self._functions:
            answers: dict[str, Any] = {}
            for name, value in fields.items():
                try:
                    answers[name] = await function(name, value)
                except Exception as error:
                    answers[name] = error
            fields = kept_fields(answers)
        return fields
