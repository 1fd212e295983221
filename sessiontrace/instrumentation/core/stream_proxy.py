"""Observing the object through which a user reads a stream, without the user noticing.

A proxy object would show: ``type(stream)``, ``isinstance``, ``stream.response``. So the user keeps
the object that the library made, and this module changes one of three things about it:

    what the library returned               changed                       by
    --------------------------------------  ----------------------------  ----------------
    an SDK's ``Stream`` around an iterator  its ``_iterator``             watch_stream
    an object that iterates by methods of   its ``__class__``, for good   watch_object
    its own class
    the HTTP response below either          its ``__class__``, until it   watch_response
                                            is closed

    user ──next()──> Stream ──next()──> Chunks ──next()──> the SDK's own iterator
                       │                  │                       │
                       │                  └─chunk, end─┐          │ closes at its end
                     close()                           v          v
                       └──────────────────────> [StreamObserver]  response (observed class)
                                                       ^                 │
                                                       └──end("closed")──┘

An observed class is a subclass, made once for each class, with the same name, module and docstring.
Its methods call those of the original class and report to the observer, which is in the object's
``__dict__``. A close while ``observer.busy`` is the library's own, at the end of a stream, and does
not count as the user's.

Why the class and not functions in the object's ``__dict__``, and why not a weak reference: such
functions form a reference cycle with the object and delay the release of its connection; and a
weak reference is cleared before a generator's own clean-up runs, so that the response would never
be closed.

Runs on whichever thread reads. Invariant: this module keeps no reference to a stream or response
that would keep it, or its connection, alive.
"""

from __future__ import annotations

import copyreg
import inspect
from types import AsyncGeneratorType
from typing import Any

from sessiontrace.instrumentation.core.stream_observer import (
    AsyncChunks,
    Chunks,
    LoopedChunks,
    StreamObserver,
)
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["watch_object", "watch_response", "watch_stream"]

_KEY = "_sessiontrace_observer"


def watch_stream(stream: Any, observer: StreamObserver) -> None:
    """Exchange the inner iterator of an SDK's unread ``Stream`` or ``AsyncStream``.

    The async iterator is created again, *after* the object that goes around it. The garbage
    collector finalises the nested generators of a dropped stream in the order of their creation;
    unless the outermost is the first, two tasks close one of them at once ("asynchronous generator
    is already running").
    """
    observer.follow(stream)
    if not hasattr(type(stream), "__anext__"):
        stream._iterator = LoopedChunks(stream._iterator, observer)
        return
    chunks = AsyncChunks(None, observer)
    inner = stream.__dict__.get("_iterator")
    if isinstance(inner, AsyncGeneratorType) and inner.ag_code is type(stream).__stream__.__code__:
        inner = stream.__stream__()
    chunks.exchange(stream._iterator if inner is None else inner)
    stream._iterator = chunks


def watch_response(response: Any, observer: StreamObserver) -> None:
    """Report the closing of an HTTP response, by its user or by the library."""
    if _KEY in response.__dict__:
        return
    try:
        response.__class__ = _closing_class(type(response))
    except TypeError:  # an object with slots, or of an extension type
        return
    response.__dict__[_KEY] = observer


def watch_object(stream: Any, observer: StreamObserver) -> None:
    """Observe a stream object that iterates by methods of its own class."""
    stream.__class__ = _iterating_class(type(stream))
    stream.__dict__[_KEY] = observer
    observer.follow(stream)


_iterating_classes: dict[type, type] = {}


def _iterating_class(base: Any) -> type:
    """``base`` with iteration and closing observed."""
    existing = _iterating_classes.get(base)
    if existing is not None:
        return existing

    def step(self: Any) -> Any:
        return next(Chunks(_Step(base, self), self.__dict__[_KEY]))

    async def async_step(self: Any) -> Any:
        return await AsyncChunks(_Step(base, self), self.__dict__[_KEY]).__anext__()

    def iterate(self: Any) -> Any:
        yield from Chunks(base.__iter__(self), self.__dict__[_KEY])

    def close(self: Any) -> Any:
        _on_close(self, base)
        return base.close(self)

    async def aclose(self: Any) -> Any:
        observer = self.__dict__.get(_KEY)
        if observer is not None and not observer.busy:
            _on_close(self, base)
        return await base.aclose(self)

    methods = {"__next__": step, "__anext__": async_step, "close": close, "aclose": aclose}
    if not hasattr(base, "__next__"):
        methods["__iter__"] = iterate
    body: dict[str, Any] = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__reduce_ex__": _reduce_as(base),
    }
    body.update((name, method) for name, method in methods.items() if hasattr(base, name))
    observed_class = _iterating_classes[base] = type(base.__name__, (base,), body)
    return observed_class


class _Step:
    """One step of a stream object by the methods of its original class."""

    __slots__ = ("_base", "_stream")

    def __init__(self, base: Any, stream: Any) -> None:
        self._base = base
        self._stream = stream

    def __next__(self) -> Any:
        return self._base.__next__(self._stream)

    def __anext__(self) -> Any:
        return self._base.__anext__(self._stream)


_closing_classes: dict[type, type] = {}


def _closing_class(base: Any) -> type:
    """``base`` with closing observed."""
    existing = _closing_classes.get(base)
    if existing is not None:
        return existing

    def close(self: Any) -> Any:
        _on_close(self, base)
        return base.close(self)

    async def aclose(self: Any) -> Any:
        _on_close(self, base)
        return await base.aclose(self)

    body: dict[str, Any] = {
        "__slots__": (),
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__reduce_ex__": _reduce_as(base),
    }
    if hasattr(base, "close") and not inspect.iscoroutinefunction(base.close):
        body["close"] = close
    if hasattr(base, "aclose"):
        body["aclose"] = aclose
    observed_class = _closing_classes[base] = type(base.__name__, (base,), body)
    return observed_class


def _reduce_as(base: Any) -> Any:
    """The ``__reduce_ex__`` of an observed class: a copy or pickle is a plain ``base``."""

    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: value for name, value in part.items() if name != _KEY}
        return part

    def reduce(self: Any, protocol: Any) -> Any:
        reduced = base.__reduce_ex__(self, protocol)
        if not isinstance(reduced, tuple):
            return reduced
        function, arguments, *others = reduced
        arguments = tuple(base if part is type(self) else part for part in arguments)
        if others:
            state = others[0]
            whole = tuple(map(plain, state)) if isinstance(state, tuple) else plain(state)
            others = [whole, *others[1:]]
        if function is copyreg.__newobj__:  # type: ignore[attr-defined]
            function = base.__new__  # pickle insists that the former gets the object's own class
        return (base if function is type(self) else function, arguments, *others)

    return reduce


def _on_close(response: Any, base: type) -> None:
    """Give the object its class back; end the call unless the library is the one that closes."""
    try:
        observer = response.__dict__.pop(_KEY, None)
        response.__class__ = base
        if observer is not None and not observer.busy:
            observer.end("closed")
    except Exception as fault:  # the caller must close the response in any case
        raise_if_from_signal(fault)
