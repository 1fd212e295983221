"""Throttle: background work that other threads do not feel, and that is the same work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import pytest

from sessiontrace.runtime import throttle
from sessiontrace.runtime.throttle import Throttle, Throttled, throttled


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def pauses(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> int:
    """How often the work stepped aside."""
    seen: list[float] = []
    here = threading.get_ident()

    def sleep(seconds: float) -> None:
        if threading.get_ident() == here:
            seen.append(seconds)

    with monkeypatch.context() as patched:
        patched.setattr(throttle, "time", SimpleNamespace(sleep=sleep))
        work()
    assert all(one < 1e-4 for one in seen)
    return len(seen)


def test_it_pauses_when_that_is_due_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a millisecond of work, a pause; a hundred calls without work, none."""
    monkeypatch.setattr(throttle, "_SLICE_S", 0.0005)
    one = Throttle()

    def work() -> None:
        for _ in range(10):
            spin(0.0006)
            one()

    assert pauses(monkeypatch, work) == 10
    monkeypatch.setattr(throttle, "_SLICE_S", 3600.0)
    one.begin()
    assert pauses(monkeypatch, lambda: [one() for _ in range(100)]) == 0


@pytest.mark.parametrize("make", [Throttled, throttled], ids=["Throttled", "throttled"])
def test_the_items_are_the_same_and_long_work_on_them_pauses(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[list[int]], Iterable[int]]
) -> None:
    """Whoever walks through them knows nothing of it."""
    items = list(range(20))
    found: list[int] = []

    def work() -> None:
        for item in make(items):
            spin(0.0006)
            found.append(item)

    assert pauses(monkeypatch, work) == 20
    assert found == items


def test_a_throttled_sequence_is_one() -> None:
    """Length, picking, slices, membership: as of the list behind it."""
    items = Throttled(["a", "b", "c"])
    assert (len(items), items[1], items[-1], items[:2]) == (3, "b", "c", ["a", "b"])
    assert "c" in items
    assert list(reversed(items)) == ["c", "b", "a"]
    with pytest.raises(IndexError):
        items[3]
