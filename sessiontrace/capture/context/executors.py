"""The current span, carried into the threads and processes that run what a program starts.

Patches ``Thread.start`` and the ``submit`` of both pools once, for every thread of the program;
with no span open they do what they did before. Only our own context variable travels, not the
user's context. Context belongs to the work, not to the thread: work that is submitted carries its
own, and `shared_work` says which threads serve many. Invariant: a thread of a pool never keeps the
span of the task that started it, and no thread keeps a span that has ended.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sessiontrace.capture.context import shared_work
from sessiontrace.capture.context.carried_span import Carried, base
from sessiontrace.runtime import fork_hooks
from sessiontrace.runtime.reentrant_lock import ReentrantLock

__all__ = ["carry", "carry_into_processes", "release"]

_variables: list[ContextVar[Any]] = []
_process_wrappers: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = []
_patching = ReentrantLock()
_OURS = "sessiontrace-"  # our own threads carry nothing


def _after_fork() -> None:
    """In a child: the lock of another thread would stay locked; a worker works for many."""
    global _patching
    _patching = ReentrantLock()
    if shared_work.is_worker_process(sys._getframe()):
        for variable in _variables:
            variable.set(None)


fork_hooks.EXECUTORS.register(in_child=_after_fork)


def carry(variable: ContextVar[Any]) -> None:
    """From now on, threads and thread pools get the value of ``variable``."""
    import concurrent.futures  # imports logging: a tenth of the time that importing ours takes

    with _patching:
        if variable not in _variables:
            _variables.append(variable)
    _patch(threading.Thread, "start", _starting)
    _patch(concurrent.futures.ThreadPoolExecutor, "submit", _submitting)
    shared_work.patch_loaded(_patch, _now, _call)


def release(variable: ContextVar[Any]) -> None:
    """Undo ``carry``."""
    with _patching:
        if variable in _variables:
            _variables.remove(variable)


def carry_into_processes(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Process pools run ``wrap(fn)`` in place of ``fn``; what it returns must be picklable."""
    import concurrent.futures

    with _patching:
        _process_wrappers[:] = [wrap]
    if "ProcessPoolExecutor" in vars(concurrent.futures):
        _patch(concurrent.futures.ProcessPoolExecutor, "submit", _sending)
        return
    import_lazily = vars(concurrent.futures).get("__getattr__")
    if import_lazily is None or hasattr(import_lazily, "__wrapped__"):
        return

    @functools.wraps(import_lazily)
    def patch_on_import(name: str) -> Any:  # to import it now would load all of multiprocessing
        value = import_lazily(name)
        if name == "ProcessPoolExecutor":
            _patch(value, "submit", _sending)
        return value

    vars(concurrent.futures)["__getattr__"] = patch_on_import


def _patch(owner: Any, name: str, make: Callable[[Callable[..., Any]], Any]) -> None:
    with _patching:
        original = getattr(owner, name)
        if not hasattr(original, "__sessiontrace__"):
            updated = () if isinstance(original, type) else ("__dict__",)
            patched: Any = functools.wraps(original, updated=updated)(make(original))
            patched.__sessiontrace__ = True
            with contextlib.suppress(AttributeError, TypeError):  # a class in C, such as gevent's
                setattr(owner, name, patched)


def _now() -> Carried:
    return [(variable, value) for variable in _variables if (value := variable.get()) is not None]


def _inside(carried: Carried, call: Callable[[], Any]) -> Any:
    before = [(variable, variable.get()) for variable, _ in carried]
    for variable, value in carried:
        variable.set(value)
    try:
        return call()
    finally:
        for variable, value in before:
            variable.set(value)


def _call(carried: Carried, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return _inside(carried, functools.partial(fn, *args, **kwargs))


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread) -> None:
        shared_work.patch_loaded(_patch, _now, _call)
        carried = _now()
        if not carried or self.name.startswith(_OURS) or self.ident is not None:
            return original(self)  # type: ignore[no-any-return]
        if shared_work.is_of_a_pool(sys._getframe(1)):
            return original(self)  # type: ignore[no-any-return]
        own = self.__dict__.get("run")
        run = self.run

        def restore_run() -> None:
            if own is None:
                self.__dict__.pop("run", None)
            else:
                self.run = own  # type: ignore[method-assign]

        def carrying() -> None:
            restore_run()
            if not isinstance(self, threading.Timer):  # a timer has one task: the one it is for
                base.set(carried)
            _inside(carried, run)

        self.run = carrying  # type: ignore[method-assign]
        try:
            return original(self)  # type: ignore[no-any-return]
        except BaseException:
            restore_run()
            raise

    return start


def _submitting(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        carried = _now()
        if not carried:
            return original(self, fn, *args, **kwargs)

        carrying = functools.partial(_call, carried, fn)
        nothing: Carried = [(variable, None) for variable, _ in carried]
        return _inside(nothing, functools.partial(original, self, carrying, *args, **kwargs))

    return submit


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        carried = _now()
        if not carried or not _process_wrappers:
            return original(self, fn, *args, **kwargs)
        sent = _process_wrappers[0](fn)
        nothing: Carried = [(variable, None) for variable, _ in carried]
        return _inside(nothing, functools.partial(original, self, sent, *args, **kwargs))

    return submit
