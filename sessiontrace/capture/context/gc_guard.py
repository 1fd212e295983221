"""Collecting: no context variable is set by what a garbage collection calls, before Python 3.12.

There a collection may begin in the middle of ``ContextVar.set``, and a finaliser that sets one then
(a span in ``__del__``, a traced generator that is collected half-read) crashes the interpreter. So
for as long as a collection runs, recorders hold a stand-in that lets the collecting thread only
read. What finalisers record then belongs to the span that was current outside. Invariant: outside
of a collection nothing is in anyone's way, and from 3.12 on nothing is done at all: collections
there wait until a running call is over.
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
        # Who got hold of this in another thread, or keeps it for later, is not in the way.
        if threading.get_ident() != self.collector:
            self._variable.set(value)


_owners: list[weakref.ref[Owner]] = []
_swapped: list[tuple[Any, ContextVar[Any], _ReadOnly]] = []


def guard(owner: Owner) -> None:
    """From now on, collections leave the current span of this tracer alone."""
    if not NEEDED:
        return
    _owners[:] = [one for one in _owners if one() not in (None, owner)] + [weakref.ref(owner)]
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
