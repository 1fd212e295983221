"""A guard for Python before 3.12: no finaliser sets a context variable during a collection.

Before 3.12 a garbage collection may begin in the middle of ``ContextVar.set``. A finaliser that
sets a variable then (a span in ``__del__``, a traced generator that is collected half-read) crashes
the interpreter. So while a collection runs, recorders hold a stand-in for their variable, which the
collecting thread can only read; what finalisers record belongs to the span that was current
outside. From 3.12 on a collection waits until a running call is over, and the guard does nothing.
Invariant: outside of a collection every recorder holds its own variable.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from contextvars import ContextVar
from typing import Any, Protocol

__all__ = ["guard"]

NEEDED = sys.version_info < (3, 12)


class Owner(Protocol):
    """A tracer: its recorder may be replaced, and both may go."""

    @property
    def recorder(self) -> Any: ...


class _ReadOnly:
    """Stands for a context variable: ``collector`` (a thread's ident, 0 for none) only reads."""

    __slots__ = ("_variable", "collector")

    def __init__(self, variable: ContextVar[Any]) -> None:
        self._variable = variable
        self.collector = 0

    def get(self) -> Any:
        return self._variable.get()

    def set(self, value: Any) -> None:
        # Other threads, and code that keeps the stand-in for later, may write.
        if threading.get_ident() != self.collector:
            self._variable.set(value)


_owners: list[weakref.ref[Owner]] = []
_swapped: list[tuple[Any, ContextVar[Any], _ReadOnly]] = []


def guard(owner: Owner) -> None:
    """From now on, collections leave the current span of this tracer alone."""
    if not NEEDED:
        return
    _owners[:] = [other for other in _owners if other() not in (None, owner)] + [weakref.ref(owner)]
    if _turn not in gc.callbacks:
        gc.callbacks.append(_turn)


def _turn(phase: str, info: dict[str, int]) -> None:
    """Called by the collector; only one collection runs at a time, and none within it."""
    if phase == "start":
        for reference in _owners:
            owner = reference()
            recorder = None if owner is None else owner.recorder
            if recorder is not None:
                variable = recorder.current
                stand_in = _ReadOnly(variable)
                stand_in.collector = threading.get_ident()
                recorder.current = stand_in
                _swapped.append((recorder, variable, stand_in))
    else:
        while _swapped:
            recorder, variable, stand_in = _swapped.pop()
            stand_in.collector = 0
            recorder.current = variable
