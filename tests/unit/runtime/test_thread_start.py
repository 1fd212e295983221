"""Starting a thread of ours while a signal handler raises in the middle of the start."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.fake_backend import Backend, eventually
from support.patience import patience
from support.tracers import hive, names, tracing

from sessiontrace.runtime.thread_start import start_thread

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")

_LAUNCH = "_start_new_thread"
_LAUNCH = _LAUNCH if hasattr(threading, _LAUNCH) else "_start_joinable_thread"


class SoftTimeLimitError(RuntimeError):
    """As a job queue's; a RuntimeError, as which Python says that it cannot start a thread."""


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has the start of the next thread of this name interrupted, once the thread runs."""
    launch = getattr(threading, _LAUNCH)
    pending: set[str] = set()

    def handler(number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimitError

    def launch_and_raise(*args: Any, **options: Any) -> Any:
        handle = launch(*args, **options)
        names = {thread.name for thread in threading.enumerate()}
        if pending & names:
            pending.clear()
            deadline = time.monotonic() + patience(5)
            while time.monotonic() < deadline and threading._limbo:  # type: ignore[attr-defined]
                time.sleep(0.001)
            signal.raise_signal(signal.SIGALRM)
        return handle

    before = signal.signal(signal.SIGALRM, handler)
    monkeypatch.setattr(threading, _LAUNCH, launch_and_raise)
    yield pending.add
    signal.signal(signal.SIGALRM, before)


def test_what_a_handler_raises_comes_out_of_the_start(interrupted: Callable[[str], None]) -> None:
    """CPython raises a KeyError in its place, although the thread runs."""
    ran, interruption = threading.Event(), threading.Event()

    def run() -> None:
        ran.set()
        interruption.wait(patience(5))  # the thread runs when the signal comes

    interrupted("a thread")
    with pytest.raises(SoftTimeLimitError):
        start_thread(threading.Thread(target=run, name="a thread"))
    interruption.set()
    assert ran.wait(patience(5))


def test_without_a_thread_from_the_system_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of threads is reached, or the interpreter exits."""

    def refuse(*args: Any, **options: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, _LAUNCH, refuse)
    assert not start_thread(threading.Thread(target=print))


@pytest.mark.parametrize("name", ["sessiontrace-keeper", "sessiontrace-sender"])
def test_B29_a_signal_while_our_threads_start_is_the_users_and_delivery_goes_on(
    interrupted: Callable[[str], None], tmp_path: Path, name: str
) -> None:
    """The first record starts our threads, and a timeout of the user's comes in between. It comes
    out of the block at its start; the next record starts what is missing, and no thread twice.
    """
    with Backend() as backend, tracing(tmp_path / "spool", hive(backend)) as tracer:
        interrupted(name)
        with pytest.raises(SoftTimeLimitError), tracer.span("first"):
            pass
        with tracer.span("second"):
            pass
        eventually(lambda: "second" in names(backend))
        threads = [thread.name for thread in threading.enumerate()]
        assert threads.count("sessiontrace-keeper") == threads.count("sessiontrace-sender") == 1
