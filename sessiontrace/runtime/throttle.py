"""Throttle: a background thread works for long without delaying the application's threads.

A thread that computes keeps the interpreter for 5 ms at a time while others wait for it. Throttled
work pauses after half a millisecond, and for long enough: a thread that gives the interpreter up
for a microsecond has it back before another one has woken up (a starved application was measured).
Any thread; one ``Throttle`` a thread. Invariant: a pause is short, and no lock is held during it
that the application waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["Throttle", "Throttled", "now", "throttled"]

T = TypeVar("T")

_SLICE_S = 0.0005
_PAUSE_S = 1e-6  # the kernel's timer slack makes about 60 us of it

now: Callable[[], float] = time.perf_counter
"""The clock of ``Throttle.until``, for loops in which a call of the throttle would be felt."""


class Throttle:
    """Call it between two small pieces of work: it pauses for some 60 us when that is due.

    The first call pauses: how long the thread has worked before it is unknown.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until: float = 0.0

    def __call__(self) -> None:
        """Pause if this thread has worked for half a millisecond since its last pause."""
        if now() > self.until:
            time.sleep(_PAUSE_S)
            self.until = now() + _SLICE_S

    def begin(self) -> None:
        """The thread has just waited for something: it may work on for a whole slice."""
        self.until = now() + _SLICE_S


def throttled(items: Iterable[T]) -> Iterator[T]:
    """The same items; pauses between two of them when that is due."""
    throttle = Throttle()
    for item in items:
        if now() > throttle.until:  # as a call of its own this would cost twice as much
            throttle()
        yield item


class Throttled(Sequence[T]):
    """The same sequence; iterating over it and indexing it pause when that is due."""

    __slots__ = ("_items", "_throttle")

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items
        self._throttle = Throttle()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        self._throttle()
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        throttle = self._throttle
        for item in self._items:
            if now() > throttle.until:
                throttle()
            yield item
