"""Pace: long work of a background thread, done so that the application's threads do not feel it.

A thread that computes keeps the interpreter for 5 ms at a time while others wait for it. Whoever
works here lets go of it after half a millisecond, and really: giving it up for a microsecond would
have it back before another thread has woken up (a starved application was measured). Any thread;
one ``Throttle`` a thread. Invariant: a pause is short, and never comes where a lock is held that
the application waits for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["Throttle", "Throttled", "paced"]

T = TypeVar("T")

_SLICE_S = 0.0005
_STEP_ASIDE_S = 1e-6  # the kernel's timer slack makes about 60 us of it

_now = time.perf_counter


class Throttle:
    """Call it between two small pieces of work: it pauses for some 60 us when that is due.

    The first call pauses: nobody knows what was done before it.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = 0.0

    def __call__(self) -> None:
        """Step aside if this thread has worked for half a millisecond since it last did."""
        if _now() > self.until:
            time.sleep(_STEP_ASIDE_S)
            self.until = _now() + _SLICE_S

    def begin(self) -> None:
        """The thread has just waited for something: it may work on for a whole slice."""
        self.until = _now() + _SLICE_S


def paced(items: Iterable[T]) -> Iterator[T]:
    """The same items; pauses between two of them when that is due."""
    pace = Throttle()
    for item in items:
        if _now() > pace.until:  # as a call of its own this would cost twice as much
            pace()
        yield item


class Throttled(Sequence[T]):
    """The same sequence; who walks through it or picks from it pauses when that is due."""

    __slots__ = ("_items", "_pace")

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items
        self._pace = Throttle()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        self._pace()
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        pace = self._pace
        for item in self._items:
            if _now() > pace.until:
                pace()
            yield item
