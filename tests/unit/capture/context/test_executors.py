"""Threads and pools carry the span by default, and nothing sticks to them afterwards."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import sched
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
from support.patience import patience
from support.recording_tracer import Captured

from sessiontrace.capture.context import executors
from sessiontrace.capture.non_recording import SuppressedScope


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


def test_E15_a_thread_that_outlives_what_started_it_lets_go_of_it(captured: Captured) -> None:
    """Below the session while that is open; then the thread may serve anybody, and what it does is
    a session of its own.
    """
    go = [threading.Event() for _ in range(2)]
    seen: list[str] = []

    def late() -> None:
        for number, signal in enumerate(go):
            assert signal.wait(patience(5))
            with captured.span(f"late {number}"):
                seen.append(captured.current.get().session.session_id)  # type: ignore[union-attr]
            done[number].set()

    done = [threading.Event() for _ in range(2)]
    with captured.session() as session:
        with captured.span("parent"):
            thread = threading.Thread(target=late)
            thread.start()
        go[0].set()
        assert done[0].wait(patience(5))
    go[1].set()
    thread.join()
    assert captured.parent_of("late 0") == "session"
    assert seen[0] == session.session_id
    assert captured.parent_of("late 1") == "late 1"
    assert seen[1] != session.session_id


def test_a_timer_is_work_of_the_session_that_set_it(captured: Captured) -> None:
    """It has one task, known when it is set, however late it runs."""
    with captured.session() as session:
        timer = threading.Timer(0.02, lambda: captured.span("late").__enter__().end())
        timer.start()
    timer.join()
    assert captured.event("late")["session_id"] == session.session_id


def run_for(captured: Captured, run: Callable[[Callable[[], None]], object], user: str) -> str:
    """Run work in a session of the user's; the id of that session."""

    def lookup() -> None:
        with captured.span(f"lookup for {user}"):
            pass

    with captured.session(user) as session:
        run(lookup)
    return session.session_id


POOL_METHODS: dict[str, Callable[[ThreadPool, Callable[[], None]], object]] = {
    "apply": lambda pool, work: pool.apply(work),
    "apply_async": lambda pool, work: pool.apply_async(func=work).get(),
    "map": lambda pool, work: pool.map(lambda _: work(), [1]),
    "map_async": lambda pool, work: pool.map_async(lambda _: work(), [1]).get(),
    "starmap": lambda pool, work: pool.starmap(lambda _: work(), [(1,)]),
    "imap": lambda pool, work: list(pool.imap(lambda _: work(), [1])),
    "imap_unordered": lambda pool, work: list(pool.imap_unordered(lambda _: work(), [1])),
}


@pytest.mark.parametrize("method", POOL_METHODS)
def test_E15_a_pool_of_multiprocessing_born_in_a_session_serves_others(
    captured: Captured, method: str
) -> None:
    """Ada's request makes the pool and is still open; Bob's work is in Bob's session."""
    work = POOL_METHODS[method]
    with captured.session("ada") as ada:
        pool = ThreadPool(1)
        with pool:
            run_here = captured.span("lookup for ada")
            work(pool, lambda: run_here.__enter__().end())
            others = contextvars.Context()
            bob = others.run(run_for, captured, lambda fn: work(pool, fn), "bob")
            others.run(work, pool, lambda: captured.span("for nobody").__enter__().end())
        pool.join()
    assert captured.event("lookup for ada")["session_id"] == ada.session_id
    assert captured.event("lookup for bob")["session_id"] == bob
    assert captured.event("for nobody")["session_id"] not in {ada.session_id, bob}


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"])
def test_E15_a_worker_behind_a_queue_leaves_the_session_that_started_it(
    captured: Captured, kind: str
) -> None:
    """While the items are Ada's it works for Ada; with the first of Bob's it works for none."""
    todo = getattr(queue, kind)()
    waiting = threading.Semaphore(0)

    def worker() -> None:
        while (job := todo.get()) is not None:
            job()
            waiting.release()

    def put(job: Callable[[], None]) -> None:
        todo.put(job)
        assert waiting.acquire(timeout=patience(5))

    with captured.session("ada") as ada:
        thread = threading.Thread(target=worker)
        thread.start()
        put(lambda: captured.span("lookup for ada").__enter__().end())
        contextvars.Context().run(run_for, captured, put, "bob")
        put(lambda: captured.span("again for ada").__enter__().end())
    todo.put(None)
    thread.join()
    assert captured.event("lookup for ada")["session_id"] == ada.session_id
    assert captured.event("lookup for bob")["session_id"] != ada.session_id


def test_E15_what_is_scheduled_carries_its_session(captured: Captured) -> None:
    """Bob's turn of the scheduler runs Ada's entry, in Ada's session."""
    timetable = sched.scheduler()

    def enter(work: Callable[[], None]) -> None:
        timetable.enter(0, 1, work)

    ada = contextvars.Context().run(run_for, captured, enter, "ada")
    with captured.session("bob"):
        timetable.run()
    assert captured.event("lookup for ada")["session_id"] == ada


def test_a_suppressed_start_does_not_silence_a_thread_for_ever(captured: Captured) -> None:
    """A client that is made inside suppress() starts a thread, which later works for others."""
    go = threading.Event()

    def late() -> None:
        assert go.wait(patience(5))
        with captured.span("heard"), captured.session("heard too"):
            pass

    with SuppressedScope(captured.recorder):
        thread = threading.Thread(target=late)
        thread.start()
    go.set()
    thread.join()
    assert captured.event("heard")
    assert {"heard", "heard too"} == {start["event_name"] for start in captured.of("start")}
