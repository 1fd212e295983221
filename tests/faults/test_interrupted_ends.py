"""Catalogue B, signals at each place of our code: each block that began leaves one whole record."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
from support.recording_tracer import Captured
from support.signal_checks import HandlerError, raise_at

from sessiontrace.capture.non_recording import SuppressedScope

PLACES_MIN = 20 if sys.version_info < (3, 14) else 10
"""From 3.14 on a trace function sees fewer instructions of a function that is called once."""

Way = Callable[[Captured, list[str]], None]


def with_block(captured: Captured, entered: list[str]) -> None:
    with captured.span("step", inputs={"a": [1, "text"]}, metadata={"n": 1}) as span:
        entered.append("step")
        span.set(outputs={"b": object()}, metrics={"m": 1})


def failing_block(captured: Captured, entered: list[str]) -> None:
    try:
        with captured.span("step"):
            entered.append("step")
            raise ValueError("the user's")
    except ValueError:
        pass


def ended_block(captured: Captured, entered: list[str]) -> None:
    with captured.span("step") as span:
        entered.append("step")
        span.end(outputs={"b": 1})


def blocks_in_blocks(captured: Captured, entered: list[str]) -> None:
    with captured.span("step"):
        entered.append("step")
        try:
            with captured.span("inner"):
                entered.append("inner")
        except HandlerError:
            with captured.span("after"):
                entered.append("after")
            raise


async def in_async_block(captured: Captured, entered: list[str]) -> None:
    async with captured.span("step", inputs={"a": 1}) as span:
        entered.append("step")
        await asyncio.sleep(0)
        span.set(outputs={"b": 1})


def started(captured: Captured, entered: list[str]) -> None:
    span = captured.span("step")
    span.open(captured.current.get())
    entered.append("step")
    span.end(outputs={"b": object()})


def decorated(captured: Captured, entered: list[str]) -> None:
    @captured.trace(name="step")
    def work(value: Any) -> Any:
        entered.append("step")
        return {"value": value}

    work({"a": 1})


async def decorated_async(captured: Captured, entered: list[str]) -> None:
    @captured.trace(name="step")
    async def work(value: Any) -> Any:
        entered.append("step")
        await asyncio.sleep(0)
        return [value]

    await work(1)


async def deferred(captured: Captured, entered: list[str]) -> None:
    async def inner() -> int:
        entered.append("step")
        await asyncio.sleep(0)
        return 1

    answers: list[Coroutine[Any, Any, int]] = []

    @captured.trace(name="step")
    def work() -> Awaitable[int]:
        answers.append(inner())
        return answers[0]

    try:
        await work()
    finally:
        for answer in answers:
            answer.close()  # one that the signal kept from being awaited would warn in another test


def generated(captured: Captured, entered: list[str]) -> None:
    @captured.trace(name="step")
    def work() -> Iterator[Any]:
        entered.append("step")
        yield "a"
        yield "b"

    assert list(work()) == ["a", "b"]


def closed_generator(captured: Captured, entered: list[str]) -> None:
    @captured.trace(name="step")
    def work() -> Iterator[Any]:
        entered.append("step")
        yield "a"
        yield "b"

    items = work()
    next(items)
    items.close()


async def generated_async(captured: Captured, entered: list[str]) -> None:
    @captured.trace(name="step")
    async def work() -> AsyncIterator[Any]:
        entered.append("step")
        yield "a"
        yield "b"

    items = work()
    try:
        async for _ in items:
            pass
    finally:
        await items.aclose()


async def closed_async_generator(captured: Captured, entered: list[str]) -> None:
    @captured.trace(name="step")
    async def work() -> AsyncIterator[Any]:
        entered.append("step")
        yield "a"
        yield "b"

    items = work()
    await items.asend(None)
    await items.aclose()


def session_block(captured: Captured, entered: list[str]) -> None:
    with captured.session("inner session", user="ada"):
        with captured.span("step"):
            entered.append("step")


def session_decorator(captured: Captured, entered: list[str]) -> None:
    @captured.session("inner session")
    def work() -> None:
        with captured.span("step"):
            entered.append("step")

    work()


def session_generator(captured: Captured, entered: list[str]) -> None:
    @captured.session("inner session")
    def work() -> Iterator[int]:
        with captured.span("step"):
            entered.append("step")
            yield 1

    list(work())


def suppressed(captured: Captured, entered: list[str]) -> None:
    with SuppressedScope(captured.recorder), captured.span("silent"):
        pass
    with captured.span("step"):
        entered.append("step")


def outside(captured: Captured, entered: list[str]) -> None:
    token = captured.current.set(None)
    try:
        with captured.span("step"):
            entered.append("step")
    finally:
        captured.current.reset(token)


WAYS: list[Callable[..., Any]] = [
    with_block,
    failing_block,
    ended_block,
    blocks_in_blocks,
    in_async_block,
    started,
    decorated,
    decorated_async,
    deferred,
    generated,
    closed_generator,
    generated_async,
    closed_async_generator,
    session_block,
    session_decorator,
    session_generator,
    suppressed,
    outside,
]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("way", WAYS)
def test_B28_wherever_a_handler_raises_the_record_is_whole(way: Callable[..., Any]) -> None:
    """The handler raises at the first place of our code where one can, then at the second, to the
    last. Each block whose body began has one record, each session a start and an end, what follows
    is recorded where it belongs, and the handler's exception arrives.
    """
    gc.disable()  # Python itself ignores what is raised within a callback of a collection
    try:
        place = 0
        while interrupted(way, place):
            place += 1
        assert place > PLACES_MIN
    finally:
        gc.enable()


def interrupted(way: Callable[..., Any], place: int) -> str:
    captured, entered = Captured(), []
    arrivals: list[str] = []
    with captured.session("outer") as outer:

        def work() -> None:
            try:
                done = way(captured, entered)
                if done is not None:
                    done.send(None)
                    while True:
                        done.send(None)
            except StopIteration:
                pass
            except HandlerError as error:
                arrivals.append(str(error))
                raise

        reached = raise_at(place, work)
        assert not reached or arrivals, reached
        assert captured.current.get() is outer, arrivals
        with captured.span("next"):
            pass
    names = [event["event_name"] for event in captured.events]
    for name in {*entered, "next"}:
        assert names.count(name) == 1, (name, arrivals, names)
    assert captured.parent_of("next") == "outer", arrivals
    if "after" in entered:
        assert captured.parent_of("after") == "step", arrivals
    for kind in ("start", "end"):
        ids = [record["event_id"] for record in captured.of(kind)]
        assert len(set(ids)) == len(ids), arrivals
    starts, ends = (
        {record["event_id"] for record in captured.of(kind)} for kind in ("start", "end")
    )
    assert starts == ends, arrivals
    ids = {event["event_id"] for event in captured.events} | starts
    for event in [*captured.events, *captured.of("end")]:
        assert ids.issuperset(event.get("children_ids", ())), arrivals
    assert not captured.drops, arrivals
    return reached
