"""The sender's event loop, made so that the application's threads do not feel it; one a sender.

An asyncio loop with work to do polls its selector without waiting, which lets go of the
interpreter for a microsecond and takes it back before any other thread has woken up. Such a loop
starves the application for as long as it is busy (seconds were measured). Invariant: this one
really steps aside after every half millisecond of work, between any two of its callbacks, and
takes up few sockets at a time.
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

from sessiontrace.runtime.throttle import Throttle

__all__ = ["Clock", "run"]

_SOCKETS = 4


class _Selector(selectors.DefaultSelector):
    """The platform's selector, which hands out few sockets at a time.

    Between two calls of ``select`` asyncio does all the work of the sockets that the first one
    named. So it names a few; the others are still ready the next time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pace = Throttle()
        self._turn = 0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        waits = timeout is None or timeout > 0
        if not waits:
            self.pace()
        ready = super().select(timeout)
        if waits:
            self.pace.begin()
        if len(ready) > _SOCKETS:
            self._turn = (self._turn + _SOCKETS) % len(ready)  # so that none is always last
            ready = (ready[self._turn :] + ready[: self._turn])[:_SOCKETS]
        return ready


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that keeps pace between callbacks too, of which it may have dozens ready."""

    def __init__(self) -> None:
        selector = _Selector()
        self._pace = selector.pace
        super().__init__(selector)

    def call_soon(  # type: ignore[override]  # its variadic generics are newer than our oldest Python
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        return super().call_soon(self._call, callback, *args, context=context)

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        self._pace()
        callback(*args)


def run(main: Callable[[], Awaitable[Any]]) -> None:
    """Run ``main`` in a new loop of this thread until it returns."""
    anyio.run(main, backend="asyncio", backend_options={"loop_factory": _Loop})


class Clock:
    """Time as the lanes know it: monotonic seconds, and waiting for a bell."""

    def now(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()

    async def wait(self, bell: asyncio.Event, seconds: float | None) -> None:
        """Return when the bell rings, or after ``seconds``; None means only the bell."""
        if seconds is None:
            await bell.wait()
            return
        alarm = asyncio.get_running_loop().call_later(seconds, bell.set)
        try:
            await bell.wait()
        finally:
            alarm.cancel()
