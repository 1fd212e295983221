"""Methods whose calls are steps: of every kind, with what they give and raise as before."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer

from sessiontrace.instrumentation.core.method_steps import MethodSteps, Run
from sessiontrace.instrumentation.core.model_calls import CallRecorder


class StopError(Exception):
    """Ends a run on purpose."""


def give(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


def give_twice(value: Any) -> Iterator[Any]:
    yield from (value, value)


async def give_later(value: Any) -> Any:
    return give(value)


class Framework:
    """A library with a method of each kind."""

    def plain(self, value: Any) -> Any:
        return give(value)

    def either(self, value: Any) -> Any:
        return give_twice(value)

    def later(self, value: Any) -> Any:
        return give_later(value)

    def items(self, value: Any) -> Iterator[Any]:
        yield from give_twice(value)

    async def awaited(self, value: Any) -> Any:
        return give(value)

    async def items_async(self, value: Any) -> AsyncIterator[Any]:
        yield value
        yield value


class Reading(Run):
    def finish(self, result: Any) -> None:
        self.span.set(outputs=result)

    def see(self, item: Any) -> None:
        self.span.set(outputs=item)


def open_run(calls: CallRecorder, args: Any, options: Any) -> Run | None:
    span = calls.chain("step", inputs={"value": str(args[1])})
    return None if span is None else Reading(span)


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    tracer, method_steps = ModelTracer(), MethodSteps("framework")
    method_steps.start(CallRecorder(tracer), StopError)
    for name in ("plain", "either", "items", "awaited", "items_async"):
        method_steps.patch(Framework, name, open_run)
    method_steps.patch(Framework, "later", open_run, is_lazy=True)
    yield tracer
    method_steps.stop()


async def items_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


CALLS: dict[str, Callable[[], Any]] = {
    "plain": lambda: Framework().plain(1),
    "items": lambda: list(Framework().items(1)).pop(),
    "awaited": lambda: asyncio.run(Framework().awaited(1)),
    "items_async": lambda: asyncio.run(items_of(Framework().items_async(1)))[0],
}


@pytest.mark.parametrize("kind", CALLS)
def test_each_kind_of_method(tracing: ModelTracer, kind: str) -> None:
    """One step below the current span, with what the method gave; what follows is beside it."""
    with tracing.session(), tracing.span("caller"):
        assert CALLS[kind]() == 1
        with tracing.span("after"):
            pass

    assert tracing.paths == ["caller", "caller/after", "caller/step"]
    assert tracing.event("step")["outputs"] == {"result": 1}
    assert inspect.iscoroutinefunction(Framework.awaited)


def test_a_method_that_gives_one_thing_or_the_other(tracing: ModelTracer) -> None:
    """Its iterator or awaitable ends the step, and what its reader does is outside."""
    with tracing.session():
        for _ in Framework().either("text"):
            with tracing.span("render"):
                pass
        asyncio.run(Framework().later(2))

    assert tracing.paths == ["render", "render", "step", "step"]
    assert tracing.failed == []


def test_a_reader_that_stops(tracing: ModelTracer) -> None:
    """The step ends without an error."""
    with tracing.session():
        stream = Framework().items("text")
        next(stream)
        stream.close()

    assert tracing.event("step")["metadata"] == {"stream_end": "closed"}
    assert tracing.failed == []


def test_what_a_method_raises(tracing: ModelTracer) -> None:
    """A failure is the step's error; a way to end a run is none."""
    with tracing.session():
        with pytest.raises(ValueError, match="boom"):
            Framework().plain(ValueError("boom"))
        with pytest.raises(StopError):
            asyncio.run(Framework().awaited(StopError()))

    errors = [event.get("error") for event in tracing.events]
    assert "boom" in str(errors[0])
    assert errors[1:] == [None]
    assert tracing.events[-1]["metadata"] == {"control_flow": "StopError"}


def test_a_fault_of_ours_is_not_the_programs(tracing: ModelTracer) -> None:
    """A step that cannot be opened or read is left out, and the call goes on."""
    method_steps = MethodSteps("other")
    method_steps.start(CallRecorder(tracer := ModelTracer()))
    method_steps.patch(Framework, "plain", lambda *arguments: 1 / 0)  # type: ignore[arg-type]
    try:
        assert Framework().plain(3) == 3
    finally:
        method_steps.stop()
    assert tracer.events == []
