"""A guard for Python before 3.12: no finaliser sets a context variable during a collection.

Before 3.12 a garbage collection may begin in the middle of ``ContextVar.set``. A finaliser that
sets a variable then (a span in ``__del__``, a traced generator that is collected half-read) crashes
the interpreter. So while a collection runs, recorders hold a stand-in for their variable, which the
collecting thread can only read; what finalisers record belongs to the span that was current
outside. From 3.12 on a collection waits until a running call is over, and the guard does nothing.

Python ignores what is raised in a callback of a collection. So that no signal handler raises there,
our callbacks call nothing and loop nowhere: the interpreter does not check for signals in them.
Invariant: outside of a collection every recorder holds its own variable.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from sessiontrace.runtime.signals import without_entry_check

__all__ = ["guard"]

NEEDED = sys.version_info < (3, 12) and hasattr(gc, "callbacks")  # PyPy has none

_Callback = Callable[[str, "dict[str, int]"], None]

_collecting = threading.local()  # ``phase``: "start" in the thread that collects


class Owner(Protocol):
    """A tracer: its recorder may be replaced, and both may go."""

    @property
    def recorder(self) -> Any: ...


class _ReadOnly:
    """Stands for a context variable, which the collecting thread only reads."""

    __slots__ = ("_variable",)

    def __init__(self, variable: ContextVar[Any]) -> None:
        self._variable = variable

    def get(self) -> Any:
        return self._variable.get()

    def set(self, value: Any) -> None:
        # Other threads, and code that keeps the stand-in for later, may write.
        if getattr(_collecting, "phase", "") != "start":
            self._variable.set(value)


_finalizers: weakref.WeakKeyDictionary[Owner, weakref.finalize[..., Owner]] = (
    weakref.WeakKeyDictionary()
)


def guard(owner: Owner) -> None:
    """From now on, collections leave the current span of this tracer alone."""
    if not NEEDED:
        return
    if _note_phase not in gc.callbacks:
        gc.callbacks.append(_note_phase)
    if (former := _finalizers.pop(owner, None)) is not None:
        former()
    if owner.recorder is not None:
        callback = _callback(owner.recorder)
        gc.callbacks.append(callback)
        _finalizers[owner] = finalizer = weakref.finalize(owner, _remove, callback)
        finalizer.atexit = False


def _remove(callback: _Callback) -> None:
    with contextlib.suppress(ValueError):
        gc.callbacks.remove(callback)


def _callback(recorder: Any) -> _Callback:
    """What the collector calls; only one collection runs at a time, and none within it."""
    variable = recorder.current
    by_phase = {"start": _ReadOnly(variable), "stop": variable}

    @without_entry_check
    def swap(phase: str, info: dict[str, int]) -> None:
        try:
            recorder.current = by_phase[phase]
        finally:  # 3.10 checks for signals at jumps, and where a function does not begin with `try`
            pass

    return swap


@without_entry_check
def _note_phase(phase: str, info: dict[str, int]) -> None:
    try:
        _collecting.phase = phase
    finally:
        pass
