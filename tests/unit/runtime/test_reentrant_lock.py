"""A lock that the user's thread takes, while a signal handler raises at any instant."""

from __future__ import annotations

import ast
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import sessiontrace
from sessiontrace.runtime.reentrant_lock import ReentrantLock

ROOT = Path(sessiontrace.__file__).parent
COUNT = 300
INSTANTS_S = (0.000_02, 0.000_05, 0.000_09)

signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")


class TimeLimitError(Exception):
    pass


@pytest.fixture
def time_limit() -> Iterator[None]:
    """The alarm raises."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, handler)
    yield
    signal.signal(signal.SIGALRM, before)


def is_free(lock: ReentrantLock) -> bool:
    """Whether another thread can take it."""
    answers: list[bool] = []

    def take() -> None:
        answers.append(lock.acquire(timeout=5))
        lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return answers == [True]


def interrupt(work: Callable[[], None]) -> None:
    """Repeat the work; the alarm ends it, a few hundred times and each time at another instant."""
    for number in range(COUNT):
        try:
            signal.setitimer(signal.ITIMER_REAL, INSTANTS_S[number % 3])
            while True:
                work()
        except TimeLimitError:
            continue


@signals
@pytest.mark.usefixtures("time_limit")
def test_B31_a_block_that_a_signal_ends_leaves_the_lock_free() -> None:
    """On Python 3.14 the spool's lock stayed taken: the sender waited for it for ever."""
    lock = ReentrantLock()

    def work() -> None:
        with lock, lock:
            pass

    interrupt(work)
    assert is_free(lock)


@signals
@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="Python 3.10 checks for signals after a function written in it",
)
@pytest.mark.usefixtures("time_limit")
def test_B31_an_acquire_that_a_signal_ends_leaves_the_lock_free() -> None:
    """With a time limit, as the spool's last round has one."""
    lock = ReentrantLock()

    def work() -> None:
        if lock.acquire(timeout=1):
            try:
                pass
            finally:
                lock.release()

    interrupt(work)
    assert is_free(lock)


@signals
@pytest.mark.usefixtures("time_limit")
def test_a_signal_while_another_thread_has_the_lock_changes_nothing() -> None:
    """It raises out of the waiting; the other thread keeps the lock."""
    lock, has_taken, may_release = ReentrantLock(), threading.Event(), threading.Event()

    def take() -> None:
        with lock:
            has_taken.set()
            may_release.wait(5)

    thread = threading.Thread(target=take)
    thread.start()
    has_taken.wait(5)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    with pytest.raises(TimeLimitError), lock:
        time.sleep(1)
    assert not lock.acquire(blocking=False)
    may_release.set()
    thread.join()
    assert is_free(lock)


def test_no_lock_and_no_event_of_ours_is_of_another_kind() -> None:
    """``threading.Lock`` and ``RLock`` would stay taken, and the lock within an ``Event``. The
    server's threads are its own."""
    others = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        for path in sorted(ROOT.rglob("*.py"))
        if not path.is_relative_to(ROOT / "server")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"Lock", "RLock", "Condition", "Event"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "threading"
    ]
    assert others == []
