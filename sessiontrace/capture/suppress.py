"""Suppression: a stretch of code inside which nothing is recorded; in the user's task.

Invariant: everything opened inside is silent, in whatever task or thread it runs, and counts
nowhere, because nobody wanted it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sessiontrace.capture.context.w3c import RemoteSpan
from sessiontrace.capture.decorators.block import traced_block
from sessiontrace.capture.handle import SUPPRESSED
from sessiontrace.capture.tracer_state import TracerState

__all__ = ["SuppressedScope"]

F = TypeVar("F", bound=Callable[..., Any])


class SuppressedScope(RemoteSpan):
    """``with suppress():`` (or ``async with``, or a decorator). Truthy only while it does it."""

    __slots__ = ()

    def __init__(self, recorder: TracerState) -> None:
        super().__init__(recorder, "", "", chosen=True)
        self._skip(SUPPRESSED)

    def __call__(self, fn: F) -> F:
        """As a decorator: nothing inside any call of ``fn`` is recorded."""
        recorder = self.recorder
        return traced_block(lambda: SuppressedScope(recorder), fn)
