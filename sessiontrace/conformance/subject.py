"""What is examined, what it tells of its spans, and how the checks look at that; pure.

Invariant: a failed expectation names what was found and what was wanted.
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
    """What is examined."""

    def decorate(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """``fn`` traced, its span named like it."""
        ...

    def span(self, name: str) -> AbstractContextManager[Any]:
        """A span opened by hand, current inside the block."""
        ...

    def seen(self) -> list[Seen]:
        """Everything that has finished since the last ``reset``."""
        ...

    def reset(self) -> None:
        """Forget what was seen."""
        ...


def same(found: object, wanted: object, what: str) -> None:
    """Fail unless they are equal."""
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


def the_one(subject: Subject, name: str) -> Seen:
    """The one span of this name, which may be qualified."""
    found = [one for one in subject.seen() if one.name == name or one.name.endswith("." + name)]
    same(len(found), 1, f"spans named {name}")
    return found[0]


def parent_is(subject: Subject, name: str, wanted: str) -> None:
    """Fail unless the span has a parent of that name."""
    found = the_one(subject, name).parent
    same(found == wanted or found.endswith("." + wanted), True, f"parent of {name} is {found!r}")


def called(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with another name."""
    fn.__name__ = fn.__qualname__ = name
    return fn
