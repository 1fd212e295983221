"""The span that a thread was started with, and when to let go of it; in that thread.

A thread may outlive what started it and then do the work of others. Invariant: what begins in a
thread never belongs to a carried span that has ended.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from sessiontrace.capture.handle import ENDED, Handle

__all__ = ["Carried", "base", "leave", "let_go"]

Carried = list["tuple[ContextVar[Any], Any]"]
"""Context variables with the handles that travel in them."""

base: ContextVar[Carried | None] = ContextVar("sessiontrace.carried", default=None)
"""What the running thread was started with; None in a thread that carries nothing."""


def let_go(handle: Handle | None) -> Handle | None:
    """``handle``; in place of a carried one that has ended, what is still open around it."""
    if handle is None or handle.state != ENDED or (carried := base.get()) is None:
        return handle
    if not any(_is_around(handle, value) for _, value in carried):
        return handle  # of a task or a block that ran in this thread
    while handle is not None and handle.state == ENDED:
        handle = handle.parent
    return handle


def leave() -> None:
    """Let go of what the running thread was started with."""
    for variable, value in base.get() or ():
        if _is_around(variable.get(), value):
            variable.set(None)
    base.set(None)


def _is_around(handle: Handle | None, inner: Handle | None) -> bool:
    """Whether it is ``inner``, or a handle that ``inner`` began in."""
    while inner is not None and inner is not handle:
        inner = inner.parent
    return inner is not None
