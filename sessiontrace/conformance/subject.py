"""The subject of the suite, the spans it reports, and how checks compare them; pure.

Invariant: a failed expectation names the actual value and the expected one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

__all__ = ["Seen", "Subject", "called", "parent_is", "same", "the_one"]


class Seen(NamedTuple):
    """One finished span. ``error``: type and message, empty when none; ``parent``: its name."""

    name: str
    parent: str = ""
    error: str = ""
    cancelled: bool = False
    inputs: Any = None


class Subject(Protocol):
    """A tracing decorator under test."""

    def decorate(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """``fn`` traced, its span named like it."""
        ...

    def span(self, name: str) -> AbstractContextManager[Any]:
        """A span opened by hand, current inside the block."""
        ...

    def seen(self) -> list[Seen]:
        """All spans that finished since the last ``reset``."""
        ...

    def reset(self) -> None:
        """Forget all spans."""
        ...


def same(actual: object, expected: object, what: str) -> None:
    """Fail unless they are equal."""
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


def the_one(subject: Subject, name: str) -> Seen:
    """The one span of this name, which may be qualified."""
    spans = [span for span in subject.seen() if f".{span.name}".endswith(f".{name}")]
    same(len(spans), 1, f"spans named {name}")
    return spans[0]


def parent_is(subject: Subject, name: str, expected: str) -> None:
    """Fail unless the span has a parent of that name."""
    parent = the_one(subject, name).parent
    same(f".{parent}".endswith(f".{expected}"), True, f"parent of {name} is {parent!r}")


def called(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with another name."""
    fn.__name__ = fn.__qualname__ = name
    return fn
