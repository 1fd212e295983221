"""The readers of a stream: both forms pass on and note the same, however the stream goes."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sessiontrace.instrumentation.core import _stream_reading_py, stream_reading

FORMS = [_stream_reading_py, stream_reading]
both_forms = pytest.mark.parametrize("form", FORMS, ids=["python", "in use"])


def reading_of(form: Any, *, add: Callable[[Any], None] | None = None) -> Any:
    """A reading that notes what is reported to it, with an assembler where ``add`` is given."""

    class Reading(form.StreamReading):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.log: list[Any] = []
            self.assembler = None if add is None else types.SimpleNamespace(add=add)

        def chunk(self, chunk: Any) -> None:
            self.chunks += 1
            self.log.append(chunk)

        def skip(self) -> None:
            self.log.append("skipped")

        def end(self, how: str, error: BaseException | None = None) -> None:
            self.log.append((how, type(error)))

    return Reading()


@types.coroutine
def pause(value: Any) -> Any:
    return (yield value)


async def counted(*numbers: Any, error: BaseException | None = None) -> Any:
    for number in numbers:
        await asyncio.sleep(0)
        yield number
    if error is not None:
        raise error


async def read_out(reader: Any) -> Any:
    return [chunk async for chunk in reader]


@both_forms
def test_an_iterator_is_read_out(form: Any) -> None:
    """Every chunk goes to the reader and to the reading, whatever kind of object it is."""
    values = [1, (), (1, 2), ValueError("a value"), StopIteration(5), None]
    for kind in (form.Reader, form.LoopedReader):
        reading = reading_of(form)
        assert list(kind(iter(values), reading)) == values
        assert reading.log == [*values, ("exhausted", type(None))]
        assert not reading.busy


@both_forms
def test_an_async_iterator_is_read_out(form: Any) -> None:
    """A tuple or an exception is a chunk too, which ``StopIteration`` must not take apart."""
    values = [1, (), (1, 2), ValueError("a value"), StopIteration(5), None]
    reading = reading_of(form)
    assert asyncio.run(read_out(form.AsyncReader(counted(*values), reading))) == values
    assert reading.log == [*values, ("exhausted", type(None))]
    assert not reading.busy


@both_forms
def test_an_error_of_the_stream_is_the_readers(form: Any) -> None:
    """The very object, after the chunks that came before it."""
    error = ConnectionError("broken")

    def numbers() -> Iterator[int]:
        yield 1
        raise error

    reading = reading_of(form)
    with pytest.raises(ConnectionError) as plain:
        list(form.Reader(numbers(), reading))
    assert plain.value is error
    assert reading.log == [1, ("failed", ConnectionError)]

    reading = reading_of(form)
    with pytest.raises(ConnectionError) as later:
        asyncio.run(read_out(form.AsyncReader(counted(1, error=error), reading)))
    assert later.value is error
    assert any(entry.name == "counted" for entry in later.traceback)
    assert reading.log == [1, ("failed", ConnectionError)]
    assert not reading.busy


@both_forms
def test_a_chunk_that_cannot_be_read_is_skipped(form: Any) -> None:
    """After the first the assembler takes each itself; its error is not the reader's."""

    def add(chunk: Any) -> None:
        if chunk == 3:
            raise KeyError(chunk)

    reading = reading_of(form, add=add)
    assert list(form.Reader(iter([1, 2, 3]), reading)) == [1, 2, 3]
    assert reading.log == [1, "skipped", ("exhausted", type(None))]
    assert reading.chunks == 3

    reading = reading_of(form, add=add)
    assert asyncio.run(read_out(form.AsyncReader(counted(1, 2, 3), reading))) == [1, 2, 3]
    assert reading.log == [1, "skipped", ("exhausted", type(None))]
    assert reading.chunks == 3


@both_forms
def test_a_step_of_any_awaitable_is_awaited(form: Any) -> None:
    """A stream's step may be a coroutine, an object of its own, or a generator's coroutine."""

    class Future:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return 2

    @types.coroutine
    def generator() -> Any:
        yield from asyncio.sleep(0).__await__()
        return 3

    class Steps:
        def __init__(self) -> None:
            self.left = [self.coroutine, Future, generator]

        async def coroutine(self) -> int:
            await asyncio.sleep(0)
            return 1

        def __anext__(self) -> Any:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)()

    reading = reading_of(form)
    assert asyncio.run(read_out(form.AsyncReader(Steps(), reading))) == [1, 2, 3]
    assert reading.log[:3] == [1, 2, 3]
    assert not reading.busy


@both_forms
def test_a_cancelled_reader_fails_the_stream(form: Any) -> None:
    """The stream sees the cancellation, and its call ends with it."""
    seen: list[str] = []

    async def endless() -> Any:
        try:
            yield 1
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main(reading: Any) -> None:
        task = asyncio.ensure_future(read_out(form.AsyncReader(endless(), reading)))
        for _ in range(3):
            await asyncio.sleep(0)
        assert reading.busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    reading = reading_of(form)
    asyncio.run(main(reading))
    assert seen == ["cancelled"]
    assert reading.log == [1, ("failed", asyncio.CancelledError)]
    assert not reading.busy


@both_forms
def test_a_stream_may_answer_what_is_thrown_into_it(form: Any) -> None:
    """A chunk, its end or another await may follow; it takes what is sent to it, too."""

    async def stubborn() -> Any:
        for number in (1, 2):
            try:
                sent = await pause("paused")
            except ValueError:
                sent = await pause("paused again")
            yield number, sent
        try:
            await pause("paused")
        except ValueError:
            return

    reading = reading_of(form)
    reader = form.AsyncReader(stubborn(), reading)
    step = reader.__anext__().__await__()
    assert step.send(None) == "paused"
    with pytest.raises(StopIteration) as stop:
        step.send("a value")
    assert stop.value.value == (1, "a value")
    step = reader.__anext__().__await__()
    assert step.send(None) == "paused"
    assert step.throw(ValueError("once")) == "paused again"
    with pytest.raises(StopIteration) as stop:
        step.send(None)
    assert stop.value.value == (2, None)
    step = reader.__anext__().__await__()
    assert step.send(None) == "paused"
    with pytest.raises(StopAsyncIteration):
        step.throw(ValueError("at the end"))
    assert reading.log == [(1, "a value"), (2, None), ("exhausted", type(None))]


@both_forms
def test_a_step_that_is_left_is_closed(form: Any) -> None:
    """As when the task around it is dropped in the middle of an await."""

    async def endless() -> Any:
        yield await pause("paused")

    async def outer(reader: Any) -> None:
        async for _ in reader:
            pass

    reading = reading_of(form)
    coroutine = outer(form.AsyncReader(endless(), reading))
    assert coroutine.send(None) == "paused"
    assert reading.busy
    coroutine.close()
    assert reading.log == [("failed", GeneratorExit)]
    assert not reading.busy


@both_forms
def test_a_step_is_an_awaitable_of_its_own(form: Any) -> None:
    """Two steps in a row, each in a task, as a program with a time limit for each reads."""

    async def main() -> None:
        reader = form.AsyncReader(counted(1, 2), reading_of(form))
        step = reader.__anext__()
        assert inspect.isawaitable(step)
        assert await asyncio.wait_for(step, 5) == 1
        assert await anext(reader) == 2
        assert await anext(reader, "none") == "none"

    asyncio.run(main())


@both_forms
def test_the_stream_can_be_exchanged(form: Any) -> None:
    """Until it is read, the one that was there first does not count."""
    reading = reading_of(form)
    reader = form.AsyncReader(None, reading)
    reader.exchange(counted(7))
    assert asyncio.run(read_out(reader)) == [7]
