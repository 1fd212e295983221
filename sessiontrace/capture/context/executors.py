"""Into other threads and processes: the current span goes along with what is started there.

Patches ``Thread.start`` and the ``submit`` of both pools once; with no span open they do what they
always did. Only our own context variable travels, not the user's context. Invariant: a thread of a
pool never keeps the span of the task that happened to start it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sessiontrace.runtime import fork_hooks

__all__ = ["carry", "carry_into_processes", "release"]

Carried = list["tuple[ContextVar[Any], Any]"]

_variables: list[ContextVar[Any]] = []
_elsewhere: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = []
_patching = threading.Lock()
_OURS = "sessiontrace-"  # our own threads carry nothing


def _unlock() -> None:
    global _patching
    _patching = threading.Lock()


fork_hooks.EXECUTORS.register(in_child=_unlock)  # another thread's lock stays locked for ever


def carry(variable: ContextVar[Any]) -> None:
    """From now on, ``variable`` goes along into threads and thread pools."""
    import concurrent.futures  # it brings logging, a tenth of the time to import ours

    with _patching:
        if variable not in _variables:
            _variables.append(variable)
    _patch(threading.Thread, "start", _starting)
    _patch(concurrent.futures.ThreadPoolExecutor, "submit", _submitting)


def release(variable: ContextVar[Any]) -> None:
    """It stays behind again."""
    with _patching:
        if variable in _variables:
            _variables.remove(variable)


def carry_into_processes(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """What is submitted to a process pool goes through ``wrap``, whose result must be picklable."""
    import concurrent.futures

    with _patching:
        _elsewhere[:] = [wrap]
    if "ProcessPoolExecutor" in vars(concurrent.futures):
        _patch(concurrent.futures.ProcessPoolExecutor, "submit", _sending)
        return
    lazily = vars(concurrent.futures).get("__getattr__")
    if lazily is None or hasattr(lazily, "__wrapped__"):
        return

    @functools.wraps(lazily)
    def arriving(name: str) -> Any:  # importing it now would load all of multiprocessing
        found = lazily(name)
        if name == "ProcessPoolExecutor":
            _patch(found, "submit", _sending)
        return found

    vars(concurrent.futures)["__getattr__"] = arriving


def _patch(owner: type, name: str, make: Callable[[Callable[..., Any]], Any]) -> None:
    with _patching:
        original = getattr(owner, name)
        if not hasattr(original, "__sessiontrace__"):
            patched: Any = functools.wraps(original)(make(original))
            patched.__sessiontrace__ = True
            setattr(owner, name, patched)


def _now() -> Carried:
    return [(one, held) for one in _variables if (held := one.get()) is not None]


def _inside(carried: Carried, call: Callable[[], Any]) -> Any:
    before = [(variable, variable.get()) for variable, _ in carried]
    for variable, held in carried:
        variable.set(held)
    try:
        return call()
    finally:
        for variable, held in before:
            variable.set(held)


def _call(carried: Carried, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return _inside(carried, functools.partial(fn, *args, **kwargs))


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread) -> None:
        carried = _now()
        if not carried or self.name.startswith(_OURS) or self.ident is not None:
            return original(self)  # type: ignore[no-any-return]
        own = self.__dict__.get("run")
        run = self.run

        def restored() -> None:
            if own is None:
                self.__dict__.pop("run", None)
            else:
                self.run = own  # type: ignore[method-assign]

        def carrying() -> None:
            restored()
            _inside(carried, run)

        self.run = carrying  # type: ignore[method-assign]
        try:
            return original(self)  # type: ignore[no-any-return]
        except BaseException:
            restored()
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
        if not carried or not _elsewhere:
            return original(self, fn, *args, **kwargs)
        sent = _elsewhere[0](fn)
        nothing: Carried = [(variable, None) for variable, _ in carried]
        return _inside(nothing, functools.partial(original, self, sent, *args, **kwargs))

    return submit
