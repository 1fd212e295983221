"""Random programs of pools, queues, tasks, threads and sessions: no event in another's session."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.pool import ThreadPool
from typing import Any

import anyio
import anyio.to_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.patience import patience
from support.recording_tracer import Captured

from sessiontrace.capture.context import executors

USERS = ("ada", "bob", "eve")
WAYS = (
    "call",
    "thread",
    "timer",
    "executor",
    "thread pool",
    "queue",
    "simple queue",
    "loop thread",
    "task",
    "worker thread",
    "generator",
)
ACTIONS = ("open", "work", "work", "close")


def steps_by(ways: list[str]) -> st.SearchStrategy[list[tuple[str, str, str]]]:
    step = st.tuples(st.sampled_from(ACTIONS), st.sampled_from(USERS), st.sampled_from(ways))
    return st.lists(step, min_size=8, max_size=40)


STEPS = st.lists(st.sampled_from(WAYS), min_size=1, max_size=2).flatmap(steps_by)


class Program:
    """Users with a context each, and shared pools, each born where it is first used."""

    def __init__(self, captured: Captured, exit_stack: ExitStack) -> None:
        self.captured = captured
        self._exit = exit_stack
        self._contexts = {user: contextvars.Context() for user in USERS}
        self._sessions: dict[str, Any] = {}
        self._shared: dict[str, Any] = {}
        self.owners: dict[str, str] = {}
        self.sessions: dict[str, set[str]] = {user: set() for user in USERS}

    def step(self, action: str, user: str, way: str) -> None:
        self._contexts[user].run(getattr(self, f"_{action}"), user, way)

    def _open(self, user: str, way: str) -> None:
        if user not in self._sessions:
            session = self.captured.session(user).__enter__()
            self._sessions[user] = session
            self.sessions[user].add(session.session_id)

    def _close(self, user: str, way: str) -> None:
        session = self._sessions.pop(user, None)
        if session is not None:
            session.__exit__(None, None, None)

    def _work(self, user: str, way: str) -> None:
        name = f"{user} {len(self.owners)}"
        self.owners[name] = user
        done = threading.Event()

        def work() -> None:
            with self.captured.span(name):
                pass
            done.set()

        getattr(self, "_by_" + way.replace(" ", "_"))(work)
        assert done.wait(patience(10)), way

    def _service(self, way: str, new: Callable[[], Any]) -> Any:
        if way not in self._shared:
            self._shared[way] = new()
        return self._shared[way]

    def _by_call(self, work: Callable[[], None]) -> None:
        work()

    def _by_thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work).start()

    def _by_timer(self, work: Callable[[], None]) -> None:
        threading.Timer(0, work).start()

    def _by_executor(self, work: Callable[[], None]) -> None:
        pool = self._service("executor", lambda: self._exit.enter_context(ThreadPoolExecutor(1)))
        pool.submit(work)

    def _by_thread_pool(self, work: Callable[[], None]) -> None:
        pool = self._service("thread pool", lambda: self._exit.enter_context(ThreadPool(1)))
        pool.apply_async(work)

    def _by_worker_thread(self, work: Callable[[], None]) -> None:
        anyio.run(anyio.to_thread.run_sync, work)

    def _by_generator(self, work: Callable[[], None]) -> None:
        @self.captured.trace
        def steps() -> Iterator[None]:
            yield
            work()

        list(steps())

    def _by_simple_queue(self, work: Callable[[], None]) -> None:
        self._put("simple queue", queue.SimpleQueue, work)

    def _by_queue(self, work: Callable[[], None]) -> None:
        self._put("queue", queue.Queue, work)

    def _put(self, way: str, kind: Callable[[], Any], work: Callable[[], None]) -> None:
        def new() -> Any:
            todo = kind()

            def worker() -> None:
                while (job := todo.get()) is not None:
                    job()

            threading.Thread(target=worker).start()
            self._exit.callback(todo.put, None)
            return todo

        self._service(way, new).put(work)

    def _by_loop_thread(self, work: Callable[[], None]) -> None:
        def new() -> asyncio.AbstractEventLoop:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()

            def stop() -> None:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

            self._exit.callback(stop)
            return loop

        self._service("loop", new).call_soon_threadsafe(work)

    def _by_task(self, work: Callable[[], None]) -> None:
        async def main() -> None:
            async def task() -> None:
                await asyncio.to_thread(work)

            await asyncio.gather(asyncio.create_task(task()))

        asyncio.run(main())


@contextmanager
def program() -> Iterator[Program]:
    captured = Captured()
    executors.carry(captured.current)
    try:
        with ExitStack() as exit_stack:
            yield Program(captured, exit_stack)
    finally:
        executors.release(captured.current)


def recorded(captured: Captured, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + patience(10)
    while all(event["event_name"] != name for event in captured.events):
        assert time.monotonic() < deadline, name
        time.sleep(0.001)
    return captured.event(name)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_E15_no_event_lands_in_the_session_of_another(steps: list[tuple[str, str, str]]) -> None:
    """Whoever's request first used a shared pool, queue or loop, and whatever has ended since: an
    event is in a session of the user whose work it is, or in one of its own.
    """
    with program() as running:
        for action, user, way in steps:
            running.step(action, user, way)
        for name, owner in running.owners.items():
            event = recorded(running.captured, name)
            others = set().union(*(running.sessions[user] for user in USERS if user != owner))
            assert event["session_id"] not in others, name
        for user in USERS:
            running.step("close", user, "call")
