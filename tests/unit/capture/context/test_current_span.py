"""The current span: right in every task, thread and framework, whatever order things end in."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio
from support.recording_tracer import Captured


@pytest.fixture
def captured() -> Captured:
    return Captured()


@pytest.mark.asyncio
async def test_tasks_keep_the_span_they_were_made_in(captured: Captured) -> None:
    """Two tasks made in two spans, running mixed: each step has its own parent."""

    async def step(name: str) -> None:
        await asyncio.sleep(0)
        async with captured.span(name):
            await asyncio.sleep(0)

    async with captured.session():
        async with captured.span("a"):
            first = asyncio.create_task(step("in a"))
        async with captured.span("b"):
            second = asyncio.create_task(step("in b"))
            await asyncio.gather(first, second)
    assert captured.parent_of("in a") == "a"
    assert captured.parent_of("in b") == "b"


@pytest.mark.asyncio
async def test_E05_fifty_requests_at_once_never_mix(captured: Captured) -> None:
    """Each request has its session, its span, its tool; none gets another's."""
    order = random.Random(7)

    async def request(number: int) -> None:
        async with captured.session(f"r{number}"):
            for step in ("plan", "act"):
                async with captured.span(f"{step} {number}"):
                    await asyncio.sleep(order.random() / 500)
                    async with captured.span(f"inside {step} {number}"):
                        await asyncio.sleep(order.random() / 500)

    await asyncio.gather(*(request(number) for number in range(50)))
    for number in range(50):
        for step in ("plan", "act"):
            assert captured.parent_of(f"{step} {number}") == f"r{number}"
            assert captured.parent_of(f"inside {step} {number}") == f"{step} {number}"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio_task_groups_and_threads_carry_the_span(captured: Captured, backend: str) -> None:
    """anyio on both of its backends: child tasks and worker threads see the span."""

    def in_thread() -> None:
        with captured.span("in thread"):
            pass

    async def child() -> None:
        async with captured.span("child"):
            await anyio.sleep(0)

    async def main() -> None:
        async with captured.session(), captured.span("parent"):
            async with anyio.create_task_group() as group:
                group.start_soon(child)
            await anyio.to_thread.run_sync(in_thread)

    anyio.run(main, backend=backend)
    assert captured.parent_of("child") == "parent"
    assert captured.parent_of("in thread") == "parent"


def test_a_trio_nursery_carries_the_span(captured: Captured) -> None:
    """trio itself, without anyio."""

    async def child() -> None:
        async with captured.span("child"):
            await trio.sleep(0)

    async def main() -> None:
        async with captured.session(), captured.span("parent"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)

    trio.run(main)
    assert captured.parent_of("child") == "parent"


@pytest.mark.asyncio
async def test_to_thread_carries_the_span(captured: Captured) -> None:
    """asyncio.to_thread copies the context, so nothing has to be done."""

    def work() -> None:
        with captured.span("in thread"):
            pass

    async with captured.session(), captured.span("parent"):
        await asyncio.to_thread(work)
    assert captured.parent_of("in thread") == "parent"


@pytest.mark.asyncio
async def test_a_task_that_outlives_its_parent_stays_in_the_trace(captured: Captured) -> None:
    """Fire and forget: the parent's event is long written when the task opens its span."""

    async def later() -> None:
        await asyncio.sleep(0.01)
        async with captured.span("late"):
            pass

    async with captured.session() as session, captured.span("parent"):
        task = asyncio.create_task(later())
    await task
    assert captured.parent_of("late") == "parent"
    assert captured.event("late")["session_id"] == session.session_id


@pytest.mark.asyncio
async def test_E03_left_in_another_task_it_ends_and_raises_nothing(captured: Captured) -> None:
    """A fixture or generator may be closed by another task than the one that opened it."""
    async with captured.session():
        span = captured.span("elsewhere")

        async def enter() -> None:
            await span.__aenter__()

        async def leave() -> None:
            await span.__aexit__(None, None, None)

        await asyncio.create_task(enter())
        await asyncio.create_task(leave())
    assert len(captured.events) == 1
    assert captured.current.get() is None


def test_E03_left_in_another_context_it_ends_and_raises_nothing(captured: Captured) -> None:
    """No token is held, so nothing can belong to "a different Context"."""
    span = captured.span("elsewhere")
    contextvars.copy_context().run(span.__enter__)
    contextvars.copy_context().run(span.__exit__, None, None, None)
    assert [kind for kind, _ in captured.records] == ["start", "event", "end"]


def _cancel_asyncio(body: Callable[[], Any]) -> None:
    async def main() -> None:
        task = asyncio.create_task(body())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def _cancel_anyio_on_trio(body: Callable[[], Any]) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.01):
            await body()

    anyio.run(main, backend="trio")


def _cancel_nursery(body: Callable[[], Any]) -> None:
    async def main() -> None:
        async def inner() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(body)
                nursery.start_soon(body)

        with trio.move_on_after(0.01):
            await inner()

    trio.run(main)


@pytest.mark.parametrize("cancel", [_cancel_asyncio, _cancel_anyio_on_trio, _cancel_nursery])
def test_E02_a_cancelled_step_is_cancelled_and_no_error(
    captured: Captured, cancel: Callable[[Callable[[], Any]], None]
) -> None:
    """The user closed the browser tab: that is not a failure of the step."""

    async def body() -> None:
        async with captured.span("s"):
            await anyio.sleep_forever()

    cancel(body)
    for event in captured.events:
        assert event["metadata"]["cancelled"] is True
        assert "error" not in event
    assert captured.events


def test_a_session_never_left_has_its_start_on_record(captured: Captured) -> None:
    """The process may die inside: the start is there, and no end."""
    captured.session("open").__enter__()
    assert [kind for kind, _ in captured.records] == ["start"]
    captured.current.set(None)
