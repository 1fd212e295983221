"""Tasks that run at the same time: all end before the function that started them returns."""

from __future__ import annotations

import asyncio

import pytest

from sessiontrace.runtime.tasks import end, together

pytestmark = pytest.mark.asyncio


async def test_when_one_fails_the_others_are_ended_and_the_failure_is_raised() -> None:
    """A fault in one request leaves no other one under way."""
    ended = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("wait")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        await together((wait(), fail(), wait()), at_once=4)
    assert ended == ["wait", "wait"]


async def test_a_cancelled_caller_ends_what_it_started() -> None:
    """Also where not all of them have begun yet."""
    begun, ended = [], []

    async def wait(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)

    caller = asyncio.ensure_future(together((wait(number) for number in range(8)), at_once=2))
    while len(begun) < 4:
        await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert sorted(ended) == begun


async def test_what_ignores_its_cancellation_is_cancelled_again() -> None:
    """A library may swallow a cancellation that comes just as it finishes."""
    ignored = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ignored.append(True)
        await asyncio.sleep(60)

    async def done() -> None:
        raise ValueError("not reported by the loop")

    tasks = [asyncio.ensure_future(stubborn()), asyncio.ensure_future(done())]
    await asyncio.sleep(0)
    await end(tasks)
    assert ignored == [True]
    assert all(task.done() for task in tasks)
