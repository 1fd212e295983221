"""The handle that takes the place of a span or session where tracing is off; any thread uses it.

Invariant: it takes every call that a span or session takes, and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sessiontrace.model.later_types import SELF

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF

__all__ = ["NOOP", "Noop"]

F = TypeVar("F", bound=Callable[..., Any])


class Noop:
    """A span and a session that record nothing. Its ids are empty strings; it is falsy."""

    __slots__ = ()

    event_id = ""
    session_id = ""
    name = ""
    type = ""
    source = ""

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    def __call__(self, fn: F) -> F:
        """As a decorator: the function itself."""
        return fn

    def set(self, **parts: object) -> Self:
        """Does nothing; returns itself."""
        return self

    def end(self, *, outputs: object = None, error: object = None) -> None:
        """Does nothing."""

    def __repr__(self) -> str:
        return "<sessiontrace no-op>"

    def __reduce__(self) -> str:
        return "NOOP"


NOOP = Noop()
