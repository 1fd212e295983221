"""Checks of generators and async generators; each runs in the calling thread.

Invariant: the consumer and the generator exchange what they exchange without a tracer.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from sessiontrace.conformance.subject import Subject, parent_is, same, the_one

__all__ = ["CHECKS"]


def check_a_generator_span_lasts_until_exhausted(subject: Subject) -> None:
    @subject.decorate
    def numbers() -> Iterator[int]:
        for number in range(2):
            with subject.span(f"child {number}"):
                yield number

    for _ in numbers():
        same([span.name for span in subject.seen() if "numbers" in span.name], [], "ended early")
    parent_is(subject, "child 0", "numbers")
    parent_is(subject, "child 1", "numbers")


def check_a_span_of_the_consumer_between_yields_is_the_consumers(subject: Subject) -> None:
    @subject.decorate
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    with subject.span("consumer"):
        for number in numbers():
            with subject.span(f"use {number}"):
                pass
    parent_is(subject, "use 1", "consumer")
    parent_is(subject, "use 2", "consumer")


def check_breaking_out_of_a_generator_is_no_error(subject: Subject) -> None:
    @subject.decorate
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    for _ in numbers():
        break
    gc.collect()
    same(the_one(subject, "numbers").error, "", "error")


async def check_breaking_out_of_an_async_generator_logs_nothing(subject: Subject) -> None:
    @subject.decorate
    async def numbers() -> AsyncIterator[int]:
        with subject.span("inner"):
            yield 1
            yield 2

    async for _ in numbers():
        break
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    same(the_one(subject, "numbers").error, "", "error")


def check_send_and_throw_reach_a_generator(subject: Subject) -> None:
    @subject.decorate
    def talk() -> Any:
        got = yield "ready"
        try:
            yield f"got {got}"
        except KeyError:
            yield "caught"
        return "bye"

    running = talk()
    same(next(running), "ready", "next")
    same(running.send("x"), "got x", "send")
    same(running.throw(KeyError()), "caught", "throw")
    try:
        next(running)
    except StopIteration as stop:
        same(stop.value, "bye", "return value")


async def check_asend_and_athrow_reach_an_async_generator(subject: Subject) -> None:
    @subject.decorate
    async def talk() -> Any:
        got = yield "ready"
        try:
            yield f"got {got}"
        except KeyError:
            yield "caught"

    running = talk()
    same(await running.__anext__(), "ready", "anext")
    same(await running.asend("x"), "got x", "asend")
    same(await running.athrow(KeyError()), "caught", "athrow")
    await running.aclose()


def check_contextmanager_on_top_runs_the_users_except(subject: Subject) -> None:
    rolled_back = []

    @contextlib.contextmanager
    @subject.decorate
    def transaction() -> Iterator[None]:
        try:
            yield
        except ValueError:
            rolled_back.append(True)
            raise

    try:
        with transaction():
            raise ValueError("the user's")
    except ValueError:
        pass
    same(rolled_back, [True], "rollback")


async def check_asynccontextmanager_on_top_runs_the_users_except(subject: Subject) -> None:
    rolled_back = []

    @contextlib.asynccontextmanager
    @subject.decorate
    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except ValueError:
            rolled_back.append(True)
            raise

    try:
        async with transaction():
            raise ValueError("the user's")
    except ValueError:
        pass
    same(rolled_back, [True], "rollback")


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    check_a_generator_span_lasts_until_exhausted,
    check_a_span_of_the_consumer_between_yields_is_the_consumers,
    check_breaking_out_of_a_generator_is_no_error,
    check_breaking_out_of_an_async_generator_logs_nothing,
    check_send_and_throw_reach_a_generator,
    check_asend_and_athrow_reach_an_async_generator,
    check_contextmanager_on_top_runs_the_users_except,
    check_asynccontextmanager_on_top_runs_the_users_except,
)
