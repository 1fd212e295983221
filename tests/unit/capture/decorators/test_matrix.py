"""Every row on which tracing decorators have been seen to break user code, ours on each.

The names of the tests are the rows. Arguments are the plain ones and the hostile ones; the rows
that have only plain ones here are in test_decorator_matrix_hostile.py again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import logging
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.hostile_values import hostile
from support.recording_tracer import Captured


@pytest.fixture
def captured(caplog: pytest.LogCaptureFixture) -> Iterator[Captured]:
    """Also fails a test that logged anything, or left a span current."""
    caplog.set_level(logging.DEBUG)
    captured = Captured()
    yield captured
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert captured.current.get() is None
    assert captured.drops == []


def test_kind_kept_async_gen_asyncgen(captured: Captured) -> None:
    """Frameworks dispatch on these four."""

    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    async def asyncgen() -> AsyncIterator[int]:
        yield 1

    def plain() -> None: ...

    asks = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    for fn in (coroutine, generator, asyncgen, plain):
        for ask in (*asks, inspect.isfunction):
            assert ask(captured.trace(fn)) == ask(fn)
    assert inspect.isgenerator(captured.trace(generator)())
    assert inspect.isasyncgen(captured.trace(asyncgen)())


@hostile
def test_gen_span_lasts_until_exhausted_children_nest_in_it(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """The work of a generator happens while it is read."""

    @captured.trace
    def numbers(value: object) -> Iterator[object]:
        for number in range(3):
            with captured.span(f"child {number}"):
                pass
            yield value

    with captured.session():
        for _ in numbers(argument()):
            assert "numbers" not in [event["event_name"] for event in captured.events]
    for number in range(3):
        assert captured.parent_of(f"child {number}") == "numbers"
    assert captured.event("numbers")["metrics"]["chunks"] == 3
    assert "metadata" not in captured.event("numbers")


def test_span_made_by_the_consumer_between_yields_parents_to_consumer(captured: Captured) -> None:
    """What the consumer does with a chunk is not part of making it."""

    @captured.trace
    def numbers() -> Iterator[int]:
        with captured.span("held open across the yield"):
            yield 1
        with captured.span("after"):
            yield 2

    with captured.session(), captured.span("consumer"):
        for number in numbers():
            with captured.span(f"use {number}"):
                pass
    assert captured.parent_of("use 1") == captured.parent_of("use 2") == "consumer"
    assert captured.parent_of("held open across the yield") == "numbers"
    assert captured.parent_of("after") == "numbers"


@pytest.mark.asyncio
async def test_span_made_by_the_consumer_of_an_async_gen_parents_to_consumer(
    captured: Captured,
) -> None:
    """The same for async generators, with real waiting on both sides."""

    @captured.trace
    async def numbers() -> AsyncIterator[int]:
        async with captured.span("held open across the yield"):
            await asyncio.sleep(0)
            yield 1
            await asyncio.sleep(0)
            yield 2

    async with captured.session(), captured.span("consumer"):
        async for number in numbers():
            await asyncio.sleep(0)
            async with captured.span(f"use {number}"):
                await asyncio.sleep(0)
    assert captured.parent_of("use 1") == captured.parent_of("use 2") == "consumer"
    assert captured.parent_of("held open across the yield") == "numbers"


@hostile
def test_break_out_of_gen_span_exported_not_an_error(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """Reading only the first chunks is normal; what came so far is kept."""
    cleaned = []

    @captured.trace
    def numbers(value: object) -> Iterator[object]:
        try:
            yield "one"
            yield value
            yield "three"
        finally:
            with captured.span("clean-up"):
                cleaned.append(True)

    with captured.session():
        for index, _ in enumerate(numbers(argument())):
            if index == 1:
                break
        gc.collect()
    event = captured.event("numbers")
    assert cleaned == [True]
    assert "error" not in event
    assert event["metadata"]["stream_end"] == "closed"
    assert event["metrics"]["chunks"] == 2
    assert "outputs" in event
    assert captured.parent_of("clean-up") == "numbers"


@pytest.mark.asyncio
@pytest.mark.parametrize("close", [True, False], ids=["aclose", "left to the collector"])
async def test_E04_break_out_of_async_gen_no_failed_to_detach_context_log(
    captured: Captured, close: bool
) -> None:
    """The loop closes a dropped async generator in another task, hence in another context."""
    cleaned = asyncio.Event()

    @captured.trace
    async def numbers() -> AsyncIterator[int]:
        try:
            async with captured.span("inner"):
                yield 1
                yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    async with captured.session():
        running = numbers()
        async for _ in running:
            break
        if close:
            await running.aclose()  # type: ignore[attr-defined]
        del running
        gc.collect()
        await asyncio.wait_for(cleaned.wait(), 5)
        await asyncio.sleep(0)
        assert captured.current.get() is not None
    event = captured.event("numbers")
    assert "error" not in event
    assert event["metadata"]["stream_end"] == "closed"
    assert captured.parent_of("inner") == "numbers"


def test_gen_send_gen_throw_reach_user_code(captured: Captured) -> None:
    """And the return value comes back."""

    @captured.trace
    def talk() -> Any:
        got = yield "ready"
        try:
            yield f"got {got}"
        except KeyError as error:
            yield f"caught {error}"
        return "bye"

    with captured.session():
        running = talk()
        assert next(running) == "ready"
        assert running.send("x") == "got x"
        assert running.throw(KeyError("k")) == "caught 'k'"
        with pytest.raises(StopIteration) as stop:
            next(running)
    assert stop.value.value == "bye"
    assert captured.event("talk")["metrics"]["chunks"] == 3

    def delegate() -> Any:
        return (yield from talk())

    assert list(delegate()) == ["ready", "got None"]


def test_a_gen_that_does_not_catch_what_is_thrown_fails_with_it(captured: Captured) -> None:
    """throw() into a generator without a handler: the span is an error, the exception passes."""

    @captured.trace
    def numbers() -> Iterator[int]:
        yield 1

    with captured.session():
        running = numbers()
        next(running)
        with pytest.raises(KeyError):
            running.throw(KeyError("k"))  # type: ignore[attr-defined]
    assert captured.event("numbers")["error"] == "KeyError: 'k'"


@pytest.mark.asyncio
async def test_agen_asend_value_reaches_user_code(captured: Captured) -> None:
    """And athrow, and aclose."""

    @captured.trace
    async def talk() -> Any:
        got = yield "ready"
        try:
            yield f"got {got}"
        except KeyError as error:
            yield f"caught {error}"

    async with captured.session():
        running = talk()
        assert await running.__anext__() == "ready"
        assert await running.asend("x") == "got x"
        assert await running.athrow(KeyError("k")) == "caught 'k'"
        with pytest.raises(StopAsyncIteration):
            await running.__anext__()
        other = talk()
        await other.__anext__()
        await other.aclose()
        with pytest.raises(StopAsyncIteration):
            await other.__anext__()
    assert [event["metrics"]["chunks"] for event in captured.events] == [3, 1]


@hostile
def test_contextmanager_over_decorated_gen_users_except_runs_on_error(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """A transaction must be rolled back, traced or not."""
    rolled_back = []

    @contextlib.contextmanager
    @captured.trace
    def transaction(value: object) -> Iterator[object]:
        try:
            yield value
        except ValueError:
            rolled_back.append(True)
            raise

    @contextlib.contextmanager
    @captured.trace
    def swallow() -> Iterator[None]:
        with contextlib.suppress(KeyError):
            yield

    with captured.session():
        with pytest.raises(ValueError, match="users"), transaction(argument()):
            raise ValueError("users")
        with swallow():
            raise KeyError
        with transaction(argument()):
            with captured.span("in the block"):
                pass
    assert rolled_back == [True]
    assert captured.parent_of("in the block") == "session"
    errors = [event.get("error") for event in captured.events if "trans" in event["event_name"]]
    assert errors == ["ValueError: users", None]


@pytest.mark.asyncio
async def test_asynccontextmanager_over_decorated_gen_users_except_runs_on_error(
    captured: Captured,
) -> None:
    """The async half of the row."""
    rolled_back = []

    @contextlib.asynccontextmanager
    @captured.trace
    async def transaction() -> AsyncIterator[int]:
        try:
            await asyncio.sleep(0)
            yield 1
        except ValueError:
            await asyncio.sleep(0)
            rolled_back.append(True)
            raise

    async with captured.session():
        with pytest.raises(ValueError, match="users"):
            async with transaction() as value:
                assert value == 1
                raise ValueError("users")
    assert rolled_back == [True]
    assert captured.event("transaction")["error"] == "ValueError: users"


@pytest.mark.asyncio
async def test_E04_async_gen_created_in_traced_handler_consumed_in_another_task_keeps_parent(
    captured: Captured,
) -> None:
    """The shape of every streaming web endpoint: the server reads what the handler returned."""

    async def body() -> AsyncIterator[str]:
        async with captured.span("step"):
            await asyncio.sleep(0)
            yield "a"

    @captured.trace
    async def inner() -> AsyncIterator[str]:
        async with captured.span("deep step"):
            yield "b"

    @captured.trace
    async def handler(which: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
        return which()

    async def consume(stream: AsyncIterator[str]) -> list[str]:
        return [chunk async for chunk in stream]

    async with captured.session():
        stream = await handler(body)
        other = await handler(inner)
        async with captured.span("meanwhile"):
            pass
    assert inspect.isasyncgen(stream)
    assert await asyncio.create_task(consume(stream)) == ["a"]
    assert await asyncio.create_task(consume(other)) == ["b"]
    by_id = {event["event_id"]: event["event_name"] for event in captured.events}
    parents = {event["event_name"]: by_id.get(event["parent_id"]) for event in captured.events}
    assert parents["step"] == parents["inner"] == "handler"
    assert parents["deep step"] == "inner"
    assert captured.parent_of("meanwhile") == "session"


class StreamingResponse:
    """As Starlette's: the body is an async iterator the server reads later."""

    def __init__(self, content: Any) -> None:
        self.body_iterator = content


@pytest.mark.asyncio
async def test_a_handler_that_returns_a_streaming_response_stays_open_until_it_is_sent(
    captured: Captured,
) -> None:
    """The response object is the user's own; only its body is watched."""
    responses = []

    async def body() -> AsyncIterator[str]:
        for word in ("a", "b"):
            async with captured.span(f"make {word}"):
                yield word

    @captured.trace
    async def handler() -> StreamingResponse:
        responses.append(StreamingResponse(body()))
        return responses[0]

    async with captured.session():
        response = await handler()
    assert response is responses[0]
    assert captured.events == []
    assert [chunk async for chunk in response.body_iterator] == ["a", "b"]
    assert captured.event("handler")["outputs"] == {"result": "ab"}
    assert captured.parent_of("make a") == captured.parent_of("make b") == "handler"


def test_a_returned_generator_that_is_never_read_ends_the_span(captured: Captured) -> None:
    """Whoever drops it unread must not leave a span open for ever."""

    @captured.trace
    def make() -> Iterator[int]:
        return (number for number in range(3))

    with captured.session():
        make()
        gc.collect()
    assert captured.event("make")["metadata"]["stream_end"] == "dropped"


@hostile
@pytest.mark.asyncio
async def test_task_that_outlives_its_parent_span_stays_in_the_same_trace(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """Fire and forget."""

    @captured.trace
    async def late(value: object) -> None:
        await asyncio.sleep(0.005)

    @captured.trace
    async def parent() -> asyncio.Task[None]:
        return asyncio.create_task(late(argument()))

    async with captured.session():
        await (await parent())
    assert captured.parent_of("late") == "parent"


@hostile
@pytest.mark.asyncio
async def test_50_concurrent_requests_never_mix(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """Decorated functions and generators of fifty requests, interleaved."""

    async def request(number: int) -> None:
        @captured.trace(name=f"tool {number}")
        async def tool(value: object) -> int:
            await asyncio.sleep(0)
            return number

        @captured.trace(name=f"stream {number}")
        async def stream() -> AsyncIterator[int]:
            for _ in range(3):
                yield await tool(argument())

        async with captured.session(f"request {number}"):
            async for _ in stream():
                await asyncio.sleep(0)

    await asyncio.gather(*(request(number) for number in range(50)))
    by_id = {body["event_id"]: body for _, body in captured.records}
    assert len(captured.events) == 200
    for event in captured.events:
        number = event["event_name"].split()[1]
        parent = by_id[event["parent_id"]]["event_name"]
        expected = "stream" if event["event_name"].startswith("tool") else "request"
        assert parent == f"{expected} {number}"


@hostile
def test_argument_whose_repr_raises_or_is_too_deep_user_call_survives(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """The function gets the very object, and gives the very object back."""
    value = argument()

    @captured.trace
    def echo(value: object, *others: object, **extra: object) -> object:
        return value

    with captured.session():
        assert echo(value, value, key=value) is value
    assert set(captured.event("echo")["inputs"]) == {"value", "others", "key"}


@hostile
@pytest.mark.asyncio
async def test_argument_whose_repr_raises_async_user_call_survives(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """The same for coroutine functions and async generators."""
    value = argument()

    @captured.trace
    async def echo(value: object) -> object:
        return value

    @captured.trace
    async def stream(value: object) -> AsyncIterator[object]:
        yield value

    async with captured.session():
        assert await echo(value) is value
        (chunk,) = [chunk async for chunk in stream(value)]
        assert chunk is value
    assert len(captured.events) == 2


def test_one_nan_in_a_payload_spoils_nothing(captured: Captured) -> None:
    """JSON has no NaN: it becomes null, here and in the events around it nothing changes."""

    @captured.trace
    def score(values: list[float]) -> float:
        return float("nan")

    with captured.session():
        score([1.0, float("nan"), float("inf")])
    assert captured.event("score")["inputs"] == {"values": [1.0, None, None]}
    assert captured.event("score")["outputs"] == {"result": None}


def test_input_mutated_later_by_the_function_original_captured(captured: Captured) -> None:
    """The event shows what the function was given, not what it made of it."""

    @captured.trace
    def consume(items: list[int]) -> list[int]:
        items.clear()
        return items

    with captured.session():
        result = consume([1, 2])
        result.append(9)
    assert captured.event("consume")["inputs"] == {"items": [1, 2]}
    assert captured.event("consume")["outputs"] == {"result": []}


@hostile
def test_exception_type_message_stack(captured: Captured, argument: Callable[[], Any]) -> None:
    """All three, in one event."""

    class OwnError(Exception):
        pass

    @captured.trace
    def fail(value: object) -> None:
        raise OwnError(value)

    with captured.session(), pytest.raises(OwnError):
        fail(argument())
    (event,) = captured.events
    assert event["error"].startswith(OwnError.__qualname__)
    assert event["metadata"]["error"]["type"].endswith("OwnError")
    assert "in fail" in event["metadata"]["error"]["stack"]


@pytest.mark.asyncio
async def test_task_cancelled_span_shows_it(captured: Captured) -> None:
    """In a coroutine and in the middle of an async generator."""

    @captured.trace
    async def wait() -> None:
        await asyncio.sleep(60)

    @captured.trace
    async def stream() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(60)

    async def read() -> None:
        async for _ in stream():
            pass

    async with captured.session():
        for work in (wait, read):
            task = asyncio.create_task(work())
            await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    for name in ("wait", "stream"):
        assert captured.event(name)["metadata"]["cancelled"] is True
        assert "error" not in captured.event(name)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_keyboardinterrupt_systemexit_span_shows_it(
    captured: Captured, kind: type[BaseException]
) -> None:
    """The last thing the program did is the thing one wants to see."""

    @captured.trace
    def fail() -> None:
        raise kind

    @captured.trace
    def stream() -> Iterator[int]:
        yield 1
        raise kind

    with captured.session():
        with pytest.raises(kind):
            fail()
        with pytest.raises(kind):
            list(stream())
    assert [event["error"] for event in captured.events] == [kind.__name__] * 2


@hostile
def test_no_warning_and_no_log_whatever_the_argument(
    captured: Captured, argument: Callable[[], Any]
) -> None:
    """No "never awaited", no "detached context", nothing unraisable, under -W error and debug."""

    @captured.trace
    async def stream(value: object) -> AsyncIterator[object]:
        yield value
        yield value

    @captured.trace
    async def work(value: object) -> None:
        async for _ in stream(value):
            break
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.sleep(0.001)), 0.01)

    async def main() -> None:
        async with captured.session():
            await asyncio.gather(*(work(argument()) for _ in range(3)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main(), debug=True)
        gc.collect()
    assert len(captured.of("end")) == 1
    assert len([event for event in captured.events if event["event_name"] == "work"]) == 3


def test_decorators_in_any_order_keep_working(captured: Captured) -> None:
    """Ours above and below functools' and contextlib's."""

    def twice(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            fn(*args)
            return fn(*args)

        return inner

    @captured.trace(name="outer")
    @twice
    @captured.trace(name="inner")
    def work(x: int) -> int:
        return x

    with captured.session():
        assert work(3) == 3
    assert [event["event_name"] for event in captured.events] == ["inner", "inner", "outer"]
    assert captured.events[0]["parent_id"] == captured.events[2]["event_id"]
