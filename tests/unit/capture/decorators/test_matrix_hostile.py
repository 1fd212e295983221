"""The rows of the matrix that are about flow, once more with every hostile argument.

What passes through the decorated function is the very object, whatever it is, and the row holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.hostile_values import hostile
from support.recording_tracer import Captured

from sessiontrace.capture.context import executors
from sessiontrace.capture.redaction.redactor import Redactor

pytestmark = [hostile, pytest.mark.asyncio]

Make = Callable[[], Any]


@pytest.fixture
def captured(caplog: pytest.LogCaptureFixture) -> Iterator[Captured]:
    """Also fails a test that logged anything, dropped anything, or left a span current."""
    caplog.set_level(logging.WARNING)
    captured = Captured()
    executors.carry(captured.current)
    yield captured
    executors.release(captured.current)
    assert caplog.records == []
    assert captured.current.get() is None
    assert captured.drops == []


async def test_kind_kept_async_gen_asyncgen(captured: Captured, argument: Make) -> None:
    """Each kind gives what the bare function gives."""

    @captured.trace
    async def coroutine(value: object) -> object:
        return value

    @captured.trace
    def generator(value: object) -> Iterator[object]:
        yield value

    @captured.trace
    async def asyncgen(value: object) -> AsyncIterator[object]:
        yield value

    value = argument()
    async with captured.session():
        assert inspect.iscoroutinefunction(coroutine)
        assert await coroutine(value) is value
        assert inspect.isgenerator(generator(value))
        assert [item is value for item in generator(value)] == [True]
        assert inspect.isasyncgen(asyncgen(value))
        assert [item is value async for item in asyncgen(value)] == [True]


async def test_span_made_by_the_consumer_between_yields_parents_to_consumer(
    captured: Captured, argument: Make
) -> None:
    """Of generators and of async generators."""

    @captured.trace
    def numbers(value: object) -> Iterator[object]:
        yield value

    @captured.trace
    async def later(value: object) -> AsyncIterator[object]:
        yield value

    async with captured.session(), captured.span("consumer"):
        for _ in numbers(argument()):
            with captured.span("use"):
                pass
        async for _ in later(argument()):
            with captured.span("use later"):
                pass
    assert captured.parent_of("use") == captured.parent_of("use later") == "consumer"


async def test_break_out_of_async_gen_no_failed_to_detach_context_log(
    captured: Captured, argument: Make
) -> None:
    """Dropped in the middle, closed by the loop in another task."""
    cleaned = asyncio.Event()

    @captured.trace
    async def numbers(value: object) -> AsyncIterator[object]:
        try:
            async with captured.span("inner"):
                yield value
                yield value
        finally:
            cleaned.set()

    async with captured.session():
        async for _ in numbers(argument()):
            break
        gc.collect()
        await asyncio.wait_for(cleaned.wait(), 30)
        await asyncio.sleep(0)
    assert "error" not in captured.event("numbers")
    assert captured.event("numbers")["metadata"]["stream_end"] == "closed"


async def test_gen_send_gen_throw_reach_user_code(captured: Captured, argument: Make) -> None:
    """The very value, and the very error with the value in it."""

    @captured.trace
    def talk(value: object) -> Any:
        got = yield value
        try:
            yield got
        except KeyError as error:
            yield error
        return value

    value, error = argument(), KeyError(argument())
    with captured.session():
        running = talk(value)
        assert next(running) is value
        assert running.send(value) is value
        assert running.throw(error) is error
        with pytest.raises(StopIteration) as stop:
            next(running)
    assert stop.value.value is value


async def test_agen_asend_value_reaches_user_code(captured: Captured, argument: Make) -> None:
    """And athrow."""

    @captured.trace
    async def talk(value: object) -> Any:
        got = yield value
        try:
            yield got
        except KeyError as error:
            yield error

    value, error = argument(), KeyError(argument())
    async with captured.session():
        running = talk(value)
        assert await running.__anext__() is value
        assert await running.asend(value) is value
        assert await running.athrow(error) is error
        await running.aclose()
    assert captured.event("talk")["metrics"]["chunks"] == 3


async def test_asynccontextmanager_over_decorated_gen_users_except_runs_on_error(
    captured: Captured, argument: Make
) -> None:
    """The rollback sees the user's own error."""
    rolled_back = []

    @contextlib.asynccontextmanager
    @captured.trace
    async def transaction(value: object) -> AsyncIterator[object]:
        try:
            yield value
        except ValueError as error:
            rolled_back.append(error)
            raise

    failure = ValueError(argument())
    async with captured.session():
        with pytest.raises(ValueError):
            async with transaction(argument()):
                raise failure
    assert rolled_back == [failure]


async def test_async_gen_created_in_traced_handler_consumed_in_another_task_keeps_parent(
    captured: Captured, argument: Make
) -> None:
    """A streaming endpoint."""

    async def body(value: object) -> AsyncIterator[object]:
        async with captured.span("step"):
            yield value

    @captured.trace
    async def handler(value: object) -> AsyncIterator[object]:
        return body(value)

    async def consume(stream: AsyncIterator[object]) -> list[object]:
        return [chunk async for chunk in stream]

    value = argument()
    async with captured.session():
        stream = await handler(value)
    (chunk,) = await asyncio.create_task(consume(stream))
    assert chunk is value
    assert captured.parent_of("step") == "handler"


async def test_threadpoolexecutor_submit_run_in_executor_to_thread_raw_thread_keep_parent(
    captured: Captured, argument: Make
) -> None:
    """All four ways into a thread."""
    back = []

    def worker(name: str) -> Callable[[object], None]:
        @captured.trace(name=name)
        def work(value: object) -> None:
            back.append(value)

        return work

    value = argument()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        async with captured.session(), captured.span("parent"):
            pool.submit(worker("submit"), value).result()
            await loop.run_in_executor(pool, worker("executor"), value)
            await asyncio.to_thread(worker("to_thread"), value)
            thread = threading.Thread(target=worker("thread"), args=(value,))
            thread.start()
            thread.join()
    assert [item is value for item in back] == [True] * 4
    for name in ("submit", "executor", "to_thread", "thread"):
        assert captured.parent_of(name) == "parent"


async def test_input_mutated_later_by_the_function_original_captured(
    captured: Captured, argument: Make
) -> None:
    """Beside a hostile value the others are still there as they were."""

    @captured.trace
    def consume(items: list[Any], value: object) -> None:
        items.clear()

    with captured.session():
        consume([1, 2], argument())
    assert captured.event("consume")["inputs"]["items"] == [1, 2]


async def test_one_nan_in_a_payload_spoils_nothing(captured: Captured, argument: Make) -> None:
    """Nor does any of the others: what is beside it is recorded."""

    @captured.trace
    def score(values: dict[str, Any]) -> dict[str, Any]:
        return values

    with captured.session():
        score({"hostile": argument(), "nan": float("nan"), "kept": "kept"})
    event = captured.event("score")
    assert event["inputs"]["values"]["kept"] == event["outputs"]["kept"] == "kept"
    assert event["inputs"]["values"]["nan"] is None


async def test_task_cancelled_span_shows_it(captured: Captured, argument: Make) -> None:
    """Whatever it was working on."""
    under_way = asyncio.Event()

    @captured.trace
    async def wait(value: object) -> None:
        under_way.set()
        await asyncio.Event().wait()

    async with captured.session():
        task = asyncio.create_task(wait(argument()))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert captured.event("wait")["metadata"]["cancelled"] is True
    assert "error" not in captured.event("wait")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_keyboardinterrupt_systemexit_span_shows_it(
    captured: Captured, argument: Make, kind: type[BaseException]
) -> None:
    """With a hostile argument of the function and of the exception."""

    @captured.trace
    def leave(value: object) -> None:
        raise kind(value)

    with captured.session(), pytest.raises(kind):
        leave(argument())
    assert captured.event("leave")["error"].startswith(kind.__name__)


async def test_mask_scrub_hook_also_covers_exception_text(argument: Make) -> None:
    """Message, stack and cause of an error beside a hostile value."""
    secret = "sk-" + "a1B2c3D4" * 6
    captured = Captured(redact=Redactor())

    @captured.trace
    def fail(value: object) -> None:
        raise ValueError(f"bad key {secret}") from KeyError(secret, value)

    with captured.session(), pytest.raises(ValueError, match="bad key"):
        fail(argument())
    assert captured.event("fail")["error"].startswith("ValueError: bad key")
    for body in captured.bodies:
        assert secret.encode() not in body
