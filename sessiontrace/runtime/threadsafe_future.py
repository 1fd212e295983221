"""Thread-safe future: another thread does the work, a coroutine of an event loop awaits it.

Made and awaited in the loop's thread, settled from any. Invariant: settling never raises and never
blocks, also when the awaiting task was cancelled or its loop is closed: then nothing waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Generic, TypeVar

__all__ = ["ThreadsafeFuture"]

T = TypeVar("T")


class ThreadsafeFuture(Generic[T]):
    """A future of the running loop that any thread may settle, once."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()

    def set_result(self, result: T) -> None:
        """Resume the awaiting task with ``result``. From any thread."""
        self._call_in_loop(self._future.set_result, result)

    def set_exception(self, error: BaseException) -> None:
        """Raise ``error`` in the awaiting task. From any thread."""
        self._call_in_loop(self._future.set_exception, error)

    def __await__(self) -> Generator[Any, None, T]:
        return self._future.__await__()

    def _call_in_loop(self, settle: Any, outcome: Any) -> None:
        def settle_unless_done() -> None:
            if not self._future.done():  # cancelled while the other thread worked
                settle(outcome)

        try:
            self._loop.call_soon_threadsafe(settle_unless_done)
        except RuntimeError:  # the loop is closed
            pass
