"""The sender's event loop: asyncio's, throttled so that it never starves the application.

An asyncio loop with work to do polls its selector without waiting, which releases the interpreter
for a microsecond and takes it back before any other thread has woken up. Such a loop starves the
application for as long as it is busy (seconds were measured). One loop a sender, in the sender's
thread. Invariant: this loop pauses after every half millisecond of work, between any two of its
callbacks, and handles few sockets at a time.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
import time
from collections.abc import Awaitable, Callable
from selectors import SelectorKey
from typing import Any

import anyio

from sessiontrace.runtime.throttle import Throttle, now

__all__ = ["Clock", "run"]

_SOCKETS_AT_ONCE = 4


class _Selector(selectors.DefaultSelector):
    """The platform's selector, which reports few sockets at a time.

    Between two calls of ``select`` asyncio does all the work of the sockets that the first call
    reported. So it reports a few; the others are still ready the next time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.throttle = Throttle()
        self._offset = 0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        waits = timeout is None or timeout > 0
        if not waits:
            self.throttle()
        ready = super().select(timeout)
        if waits:
            self.throttle.begin()
        if len(ready) > _SOCKETS_AT_ONCE:
            self._offset = (self._offset + _SOCKETS_AT_ONCE) % len(
                ready
            )  # so that none is always last
            ready = (ready[self._offset :] + ready[: self._offset])[:_SOCKETS_AT_ONCE]
        return ready


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that pauses between callbacks too, of which it may have dozens ready."""

    def __init__(self) -> None:
        selector = _Selector()
        self._throttle = selector.throttle
        super().__init__(selector)

    def call_soon(  # type: ignore[override]  # its variadic generics are newer than our oldest Python
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        return super().call_soon(self._call, callback, *args, context=context)

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        throttle = self._throttle
        if now() > throttle.until:  # a request makes a dozen callbacks
            throttle()
        callback(*args)


def run(main: Callable[[], Awaitable[Any]]) -> None:
    """Run ``main`` in a new loop of this thread until it returns."""
    anyio.run(main, backend="asyncio", backend_options={"loop_factory": _Loop})


class Clock:
    """Time as the lanes see it: monotonic seconds, and waiting for an event. Tests replace it."""

    def now(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Return when the event is set, or after ``seconds``; None means only the event."""
        if seconds is None:
            await event.wait()
            return
        alarm = asyncio.get_running_loop().call_later(seconds, event.set)
        try:
            await event.wait()
        finally:
            alarm.cancel()
