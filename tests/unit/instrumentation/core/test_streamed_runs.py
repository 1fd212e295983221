"""Runs that are read step by step: what is current inside of one is not current for its reader."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

import pytest

from sessiontrace.instrumentation.core.streamed_runs import async_steps, steps

current: ContextVar[str] = ContextVar("current", default="reader")


def run(name: str, seen: list[str]) -> Iterator[str]:
    """Makes its name current in its first step, and notes what is current in the others."""
    current.set(name)
    try:
        for step in ("one", "two"):
            yield f"{name} {step}"
            seen.append(current.get())
    finally:
        seen.append(f"end of {current.get()}")


async def async_run(name: str, seen: list[str]) -> AsyncIterator[str]:
    for step in run(name, seen):
        yield step


def test_two_runs_that_one_reader_reads_in_turn() -> None:
    """Each finds its own name current, and the reader finds its own in between."""
    seen: list[str] = []
    first, second = (steps(run(name, seen), current) for name in ("first", "second"))
    for _ in range(2):
        assert next(first).startswith("first")
        assert current.get() == "reader"
        assert next(second).startswith("second")
        assert current.get() == "reader"

    assert list(first) == []
    assert seen[-1] == "end of first"
    assert current.get() == "reader"


def test_async_runs_in_turn_and_one_that_is_closed() -> None:
    """The same for async runs; closing one early ends it inside of its own context."""
    seen: list[str] = []

    async def read() -> None:
        first, second = (
            async_steps(functools.partial(async_run, name, seen), current)
            for name in ("one", "two")
        )
        await first.__anext__()
        await second.__anext__()
        assert current.get() == "reader"
        await first.__anext__()
        await first.aclose()
        assert [step async for step in second] == ["two two"]
        assert current.get() == "reader"

    asyncio.run(read())
    assert [name for name in seen if "end" not in name] == ["one", "two", "two"]


def test_an_error_of_the_run_is_the_readers() -> None:
    """It arrives as it was raised, and the reader's own is current again."""

    def failing() -> Iterator[str]:
        current.set("run")
        yield "step"
        raise ValueError("boom")

    reading = steps(failing(), current)
    next(reading)
    with pytest.raises(ValueError, match="boom"):
        next(reading)
    assert current.get() == "reader"
