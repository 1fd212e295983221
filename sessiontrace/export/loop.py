"""The sender's event loop, made so that the application's threads do not feel it; one a sender.

An asyncio loop with work to do polls its selector without waiting, which lets go of the
interpreter for a microsecond and takes it back before any other thread has woken up. Such a loop
starves the application for as long as it is busy (seconds were measured). Invariant: this one
really steps aside, for some 60 us after every 0.5 ms of work, and takes up few sockets at a time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable
from selectors import SelectorKey
from typing import Any

import anyio

__all__ = ["Clock", "run"]

_SLICE_S = 0.0005
_SOCKETS = 4
_STEP_ASIDE_S = 1e-6  # the kernel's timer slack makes about 60 us of it


class _Courteous(selectors.DefaultSelector):
    """The platform's selector, which sleeps a moment where asyncio would only poll.

    Between two calls of ``select`` asyncio does all the work of the sockets that the first one
    named. So it names a few; the others are still ready the next time.
    """

    _worked_since = 0.0
    _turn = 0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        waits = timeout is None or timeout > 0
        if not waits and time.perf_counter() - self._worked_since > _SLICE_S:
            time.sleep(_STEP_ASIDE_S)
            self._worked_since = time.perf_counter()
        ready = super().select(timeout)
        if waits:
            self._worked_since = time.perf_counter()
        if len(ready) > _SOCKETS:
            self._turn = (self._turn + _SOCKETS) % len(ready)  # so that none is always last
            ready = (ready[self._turn :] + ready[: self._turn])[:_SOCKETS]
        return ready


def _new_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(_Courteous())


def run(main: Callable[[], Awaitable[Any]]) -> None:
    """Run ``main`` in a new loop of this thread until it returns."""
    anyio.run(main, backend="asyncio", backend_options={"loop_factory": _new_loop})


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
