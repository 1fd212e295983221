"""A thread works for a coroutine: its answer arrives, or is dropped where nobody waits for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sessiontrace.runtime.threadsafe_future import ThreadsafeFuture


def test_a_coroutine_gets_what_another_thread_sets() -> None:
    """The plain case, both ways it can end."""

    async def main() -> None:
        result, failure = ThreadsafeFuture[int](), ThreadsafeFuture[int]()
        threading.Thread(target=result.set_result, args=(7,)).start()
        threading.Thread(target=failure.set_exception, args=(OSError("disk"),)).start()
        assert await result == 7
        with pytest.raises(OSError, match="disk"):
            await failure

    asyncio.run(main())


def test_an_answer_that_comes_after_the_cancellation_is_dropped() -> None:
    """The client went away while its request was written."""
    faults: list[dict[str, object]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        future = ThreadsafeFuture[int]()
        task = asyncio.ensure_future(asyncio.wait_for(future, 0.01))
        with pytest.raises(asyncio.TimeoutError):
            await task
        future.set_result(1)
        future.set_exception(OSError())
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert faults == []


def test_an_answer_for_a_closed_loop_is_dropped() -> None:
    """The interpreter is on its way out, and the worker still finishes its job."""
    futures: list[ThreadsafeFuture[int]] = []

    async def main() -> None:
        futures.append(ThreadsafeFuture())

    asyncio.run(main())
    futures[0].set_result(1)
    futures[0].set_exception(OSError())
