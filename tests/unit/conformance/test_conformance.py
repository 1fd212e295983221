"""The conformance suite: ours passes all of it, and it finds the faults of others."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace import conformance
from sessiontrace.conformance import Seen
from sessiontrace.testing import Captured, capture

pytestmark = pytest.mark.timeout(300)  # every check collects all garbage of the test process


class Ours:
    """sessiontrace itself."""

    def __init__(self, traces: Captured) -> None:
        self.traces = traces

    def decorate(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return st.trace(fn)

    def span(self, name: str) -> Any:
        return st.span(name)

    def reset(self) -> None:
        self.traces.records.clear()

    def seen(self) -> list[Seen]:
        names = {e["event_id"]: e["event_name"] for _, e in self.traces.records}
        return [
            Seen(
                event["event_name"],
                names.get(event["parent_id"], ""),
                event.get("error") or "",
                "cancelled" in event.get("metadata", {}),
                event["inputs"],
            )
            for event in self.traces.events
        ]


class Naive:
    """The decorator everybody writes first."""

    def __init__(self) -> None:
        self.found: list[Seen] = []
        self.stack: list[str] = []

    def decorate(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with self.span(fn.__name__):
                return fn(*args, **kwargs)

        return inner

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        parent = self.stack[-1] if self.stack else ""
        self.stack.append(name)
        try:
            yield
        finally:
            self.stack.pop()
            self.found.append(Seen(name, parent))

    def seen(self) -> list[Seen]:
        return self.found

    def reset(self) -> None:
        self.found.clear()
        self.stack.clear()


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__[6:])
def test_ours_passes(check: Callable[..., Any]) -> None:
    """Every check, each on its own."""
    with capture() as traces:
        result = conformance.run_check(check, Ours(traces))
    assert result.passed, result.reason


def test_a_naive_decorator_is_found_out() -> None:
    """A suite that everything passes would be worth nothing."""
    results = conformance.run(Naive())
    failed = {result.name for result in results if not result.passed}
    assert "the kind of function is kept" in failed
    assert "a generator span lasts until exhausted" in failed
    assert "50 concurrent requests never mix" in failed
    assert "keyboard interrupt and system exit are recorded" in failed
    passed = {result.name for result in results if result.passed}
    assert "name docs and signature are kept" in passed
    assert "send and throw reach a generator" in passed


class Late(Naive):
    """Binds the arguments of coroutine functions when they are awaited."""

    def decorate(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            return await fn(*args, **kwargs)

        return inner if inspect.iscoroutinefunction(fn) else super().decorate(fn)


def test_a_decorator_that_binds_arguments_late_is_found_out() -> None:
    """A wrong call must fail where it is made, not where its result is awaited."""
    results = {result.name: result for result in conformance.run(Late())}
    assert "coroutine" in results["wrong arguments fail at the call"].reason
    results = {result.name: result for result in conformance.run(Naive())}
    assert results["wrong arguments fail at the call"].passed


def test_the_report_reads_as_a_list() -> None:
    """For a terminal."""
    with capture() as traces:
        text = conformance.report(conformance.run(Ours(traces)))
    assert text.splitlines()[0] == "ok   the kind of function is kept"
    assert text.endswith(f"{len(conformance.CHECKS)} of {len(conformance.CHECKS)} passed")
