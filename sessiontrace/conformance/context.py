"""Checks of where a span belongs: tasks, threads, pools, many requests at once.

Invariant: each waits for every thread and task it has started.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sessiontrace.conformance.subject import Subject, called, parent_is, same

__all__ = ["CHECKS"]


async def check_an_async_generator_read_in_another_task_keeps_its_parent(subject: Subject) -> None:
    async def body() -> AsyncIterator[int]:
        with subject.span("step"):
            yield 1

    @subject.decorate
    async def handler() -> AsyncIterator[int]:
        return body()

    async def read(stream: AsyncIterator[int]) -> list[int]:
        return [item async for item in stream]

    with subject.span("request"):
        stream = await handler()
    same(await asyncio.create_task(read(stream)), [1], "items")
    parent_is(subject, "step", "handler")


def check_thread_pools_keep_the_parent(subject: Subject) -> None:
    work = subject.decorate(called("work", lambda: None))
    with ThreadPoolExecutor(1) as pool, subject.span("parent"):
        pool.submit(work).result()
    parent_is(subject, "work", "parent")


async def check_run_in_executor_keeps_the_parent(subject: Subject) -> None:
    work = subject.decorate(called("work", lambda: None))
    with subject.span("parent"):
        await asyncio.get_running_loop().run_in_executor(None, work)
    parent_is(subject, "work", "parent")


async def check_to_thread_keeps_the_parent(subject: Subject) -> None:
    work = subject.decorate(called("work", lambda: None))
    with subject.span("parent"):
        await asyncio.to_thread(work)
    parent_is(subject, "work", "parent")


def check_raw_threads_keep_the_parent(subject: Subject) -> None:
    work = subject.decorate(called("work", lambda: None))
    with subject.span("parent"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    parent_is(subject, "work", "parent")


async def check_a_task_that_outlives_its_parent_keeps_it(subject: Subject) -> None:
    @subject.decorate
    async def late() -> None:
        await asyncio.sleep(0.005)

    with subject.span("parent"):
        task = asyncio.create_task(late())
    await task
    parent_is(subject, "late", "parent")


async def check_50_concurrent_requests_never_mix(subject: Subject) -> None:
    async def request(number: int) -> None:
        async def tool() -> None:
            await asyncio.sleep(0)

        with subject.span(f"request {number}"):
            await asyncio.sleep(0)
            await subject.decorate(called(f"tool_{number}", tool))()

    await asyncio.gather(*(request(number) for number in range(50)))
    for number in range(50):
        parent_is(subject, f"tool_{number}", f"request {number}")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    check_an_async_generator_read_in_another_task_keeps_its_parent,
    check_thread_pools_keep_the_parent,
    check_run_in_executor_keeps_the_parent,
    check_to_thread_keeps_the_parent,
    check_raw_threads_keep_the_parent,
    check_a_task_that_outlives_its_parent_keeps_it,
    check_50_concurrent_requests_never_mix,
)
