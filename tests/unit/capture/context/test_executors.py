"""Threads and pools carry the span by default, and nothing sticks to them afterwards."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.context import executors


@pytest.fixture
def captured() -> Iterator[Captured]:
    captured = Captured()
    executors.carry(captured.current)
    yield captured
    executors.release(captured.current)


def test_E05_threadpoolexecutor_submit_keeps_parent_by_default(captured: Captured) -> None:
    """submit and map, and the pool's threads forget the span of the task that started them."""

    def work(name: str) -> str:
        with captured.span(name):
            return name

    with ThreadPoolExecutor(2) as pool:
        with captured.session(), captured.span("parent"):
            assert pool.submit(work, "submitted").result() == "submitted"
            assert list(pool.map(work, ["mapped"])) == ["mapped"]
        pool.submit(work, "alone").result()
    assert captured.parent_of("submitted") == captured.parent_of("mapped") == "parent"
    assert captured.parent_of("alone") == "alone"


@pytest.mark.asyncio
async def test_loop_run_in_executor_keeps_parent(captured: Captured) -> None:
    """run_in_executor copies no context, unlike to_thread."""

    def work(name: str) -> None:
        with captured.span(name):
            pass

    loop = asyncio.get_running_loop()
    async with captured.session(), captured.span("parent"):
        await loop.run_in_executor(None, work, "in executor")
        await asyncio.to_thread(work, "to thread")
    assert captured.parent_of("in executor") == captured.parent_of("to thread") == "parent"


def test_raw_threading_thread_keeps_parent(captured: Captured) -> None:
    """Targets, subclasses and timers; `run` is what it was while and after it runs."""
    seen = []

    def work(name: str) -> None:
        with captured.span(name):
            seen.append("run" in threading.current_thread().__dict__)

    class Own(threading.Thread):
        def run(self) -> None:
            work("subclass")

    with captured.session(), captured.span("parent"):
        started = [
            threading.Thread(target=work, args=("target",)),
            Own(),
            threading.Timer(0.0, work, ("timer",)),
        ]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        with pytest.raises(RuntimeError, match="once"):
            started[0].start()
    assert seen == [False] * 3
    assert {captured.parent_of(name) for name in ("target", "subclass", "timer")} == {"parent"}


def test_the_users_own_context_stays_behind(captured: Captured) -> None:
    """Only our variable travels: a thread that saw other variables would behave differently."""
    own: contextvars.ContextVar[str] = contextvars.ContextVar("own", default="default")
    own.set("of the caller")
    seen = []
    with captured.session():
        thread = threading.Thread(target=lambda: seen.append(own.get()))
        thread.start()
        thread.join()
    assert seen == ["default"]


def test_an_exception_in_a_pool_arrives_as_it_was(captured: Captured) -> None:
    """The future gives the very exception."""
    error = ValueError("x")

    def fail() -> None:
        raise error

    with ThreadPoolExecutor(1) as pool, captured.session():
        assert pool.submit(fail).exception() is error


def test_switched_off_threads_carry_nothing(captured: Captured) -> None:
    """threads=False: whoever copies contexts by hand is not interfered with."""
    executors.release(captured.current)
    seen = []
    with captured.session():
        thread = threading.Thread(target=lambda: seen.append(captured.current.get()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_thread_that_outlives_the_session_stays_in_it(captured: Captured) -> None:
    """A fire-and-forget thread writes its event after the session's end."""
    go = threading.Event()

    def late() -> None:
        go.wait(5)
        with captured.span("late"):
            pass

    with captured.session() as session, captured.span("parent"):
        thread = threading.Thread(target=late)
        thread.start()
    go.set()
    thread.join()
    assert captured.parent_of("late") == "parent"
    assert captured.event("late")["session_id"] == session.session_id
