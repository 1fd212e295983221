"""Checks of single calls: the kind, arguments, result and exceptions of a function.

Invariant: a value that a check passes in comes back as the same object.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from sessiontrace.conformance.subject import Subject, called, same, the_one

__all__ = ["CHECKS"]


def check_the_kind_of_function_is_kept(subject: Subject) -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    async def asyncgen() -> AsyncIterator[int]:
        yield 1

    for fn in (coroutine, generator, asyncgen):
        for ask in (
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        ):
            same(ask(subject.decorate(fn)), ask(fn), f"{ask.__name__} of {fn.__name__}")


def check_name_docs_and_signature_are_kept(subject: Subject) -> None:
    def work(a: int, *, b: str = "b") -> None:
        """Docs."""

    traced = subject.decorate(work)
    same((traced.__name__, traced.__doc__), ("work", "Docs."), "name and docs")
    same(inspect.signature(traced), inspect.signature(work), "signature")


def check_wrong_arguments_fail_at_the_call(subject: Subject) -> None:
    def plain(a: int) -> None: ...

    async def coroutine(a: int) -> None: ...

    def generator(a: int) -> Iterator[int]:
        yield a

    async def asyncgen(a: int) -> AsyncIterator[int]:
        yield a

    for fn in (plain, coroutine, generator, asyncgen):
        try:
            result: Any = subject.decorate(fn)()
        except TypeError:
            continue
        if inspect.iscoroutine(result):
            result.close()  # else the collector warns of it in the middle of the next check
        raise AssertionError(f"calling {fn.__name__} without its argument raised nothing")


def check_hostile_arguments_reach_the_function(subject: Subject) -> None:
    @subject.decorate
    def echo(value: object) -> object:
        return value

    for value in (Hostile(), deep(), Endless(), math.nan, "\ud83d", 2**80):
        same(echo(value) is value, True, f"echo of {type(value).__name__}")
    same(len(subject.seen()), 6, "spans")


def check_the_input_is_captured_before_it_is_mutated(subject: Subject) -> None:
    @subject.decorate
    def consume(items: list[str]) -> None:
        items.clear()

    consume(["original"])
    same("original" in str(the_one(subject, "consume").inputs), True, "original input recorded")


def check_an_exception_passes_and_is_recorded(subject: Subject) -> None:
    error = ValueError("the user's")

    @subject.decorate
    def fail() -> None:
        raise error

    try:
        fail()
    except ValueError as caught:
        same(caught is error, True, "the same exception")
    recorded = the_one(subject, "fail").error
    same("ValueError" in recorded and "the user's" in recorded, True, f"recorded as {recorded!r}")


async def check_a_cancelled_task_shows_as_cancelled(subject: Subject) -> None:
    @subject.decorate
    async def wait() -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.005)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    span = the_one(subject, "wait")
    same(span.cancelled or "Cancel" in span.error, True, "cancelled")


def check_keyboard_interrupt_and_system_exit_are_recorded(subject: Subject) -> None:
    for kind in (KeyboardInterrupt, SystemExit):

        def leave(kind: type[BaseException] = kind) -> None:
            raise kind("the user's")

        subject.reset()
        with contextlib.suppress(kind):
            subject.decorate(called("leave", leave))()
        same(kind.__name__ in the_one(subject, "leave").error, True, f"{kind.__name__} recorded")


class Hostile:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Endless:
    """Has every attribute, and each of those has."""

    def __getattr__(self, name: str) -> Endless:
        return Endless()


def deep() -> list[Any]:
    """Deeper than any recursion goes."""
    value: list[Any] = []
    for _ in range(3_000):
        value = [value]
    return value


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    check_the_kind_of_function_is_kept,
    check_name_docs_and_signature_are_kept,
    check_wrong_arguments_fail_at_the_call,
    check_hostile_arguments_reach_the_function,
    check_the_input_is_captured_before_it_is_mutated,
    check_an_exception_passes_and_is_recorded,
    check_a_cancelled_task_shows_as_cancelled,
    check_keyboard_interrupt_and_system_exit_are_recorded,
)
