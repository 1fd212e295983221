"""Watching the objects through which a stream is read, so that nobody can tell.

Runs on whichever thread reads. The user's stream object stays what it is: its inner iterator is
exchanged, or its class, and the class of that one HTTP response until it is closed. Invariant: no
reference to a stream or response is kept that would keep it, or its connection, from going.
"""

from __future__ import annotations

import inspect
from types import AsyncGeneratorType
from typing import Any

from sessiontrace.instrumentation.core.stream_observer import AsyncChunks, Chunks, StreamObserver

__all__ = ["watch_object", "watch_response", "watch_stream"]


def watch_stream(stream: Any, reading: StreamObserver) -> None:
    """Exchange the inner iterator of an SDK's ``Stream`` or ``AsyncStream`` that is still unread.

    The async iterator is made anew *after* the object that goes around it. The collector finalises
    the nested generators of a dropped stream in the order of their making; with the outermost not
    in front, one is closed by two tasks at once ("asynchronous generator is already running").
    """
    reading.follow(stream)
    if not hasattr(type(stream), "__anext__"):
        stream._iterator = Chunks(stream._iterator, reading)
        return
    chunks = AsyncChunks(None, reading)
    made = stream.__dict__.get("_iterator")
    if isinstance(made, AsyncGeneratorType) and made.ag_code is type(stream).__stream__.__code__:
        made = stream.__stream__()
    chunks._inner = stream._iterator if made is None else made
    stream._iterator = chunks


def watch_response(response: Any, reading: StreamObserver) -> None:
    """Hear of the closing of an HTTP response, by its user or by the library.

    By its class, not by functions in its ``__dict__``: those would form a cycle with it and delay
    the release of its connection; and a weak reference is cleared before a generator's own
    clean-up runs, so that the response would never be closed.
    """
    kind = type(response)
    if "_sessiontrace_reading" in response.__dict__:
        return
    try:
        response.__class__ = _watched_class(kind)
    except TypeError:  # a stand-in with slots, or an extension type
        return
    response.__dict__["_sessiontrace_reading"] = reading


def watch_object(stream: Any, reading: StreamObserver) -> None:
    """Watch a stream object that iterates by methods of its own class, by the class it has."""
    kind = type(stream)
    stream.__class__ = _iterating_class(kind)
    stream.__dict__["_sessiontrace_reading"] = reading
    reading.follow(stream)


_iterating_classes: dict[type, type] = {}


def _iterating_class(kind: type) -> type:
    known = _iterating_classes.get(kind)
    if known is not None:
        return known
    base: Any = kind
    body: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}

    def step(self: Any) -> Any:
        return next(Chunks(_Step(base, self), self.__dict__["_sessiontrace_reading"]))

    async def step_later(self: Any) -> Any:
        reading = self.__dict__["_sessiontrace_reading"]
        return await AsyncChunks(_Step(base, self), reading).__anext__()

    def walk(self: Any) -> Any:
        yield from Chunks(base.__iter__(self), self.__dict__["_sessiontrace_reading"])

    def close(self: Any) -> Any:
        _closing(self, base)
        return base.close(self)

    async def aclose(self: Any) -> Any:
        reading = self.__dict__.get("_sessiontrace_reading")
        if reading is not None and not reading.busy:
            _closing(self, base)
        return await base.aclose(self)

    steps = {"__next__": step, "__anext__": step_later, "close": close, "aclose": aclose}
    if not hasattr(base, "__next__"):
        steps["__iter__"] = walk
    body.update((name, method) for name, method in steps.items() if hasattr(base, name))
    made = _iterating_classes[kind] = type(kind.__name__, (kind,), body)
    return made


class _Step:
    """One step of a stream object by the methods of its own class."""

    __slots__ = ("_base", "_stream")

    def __init__(self, base: Any, stream: Any) -> None:
        self._base = base
        self._stream = stream

    def __next__(self) -> Any:
        return self._base.__next__(self._stream)

    def __anext__(self) -> Any:
        return self._base.__anext__(self._stream)


_watched_classes: dict[type, type] = {}


def _watched_class(kind: type) -> type:
    known = _watched_classes.get(kind)
    if known is not None:
        return known
    body: dict[str, Any] = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    base: Any = kind

    def close(self: Any) -> Any:
        _closing(self, base)
        return base.close(self)

    async def aclose(self: Any) -> Any:
        _closing(self, base)
        return await base.aclose(self)

    if hasattr(base, "close") and not inspect.iscoroutinefunction(base.close):
        body["close"] = close
    if hasattr(base, "aclose"):
        body["aclose"] = aclose
    made = _watched_classes[kind] = type(kind.__name__, (kind,), body)
    return made


def _closing(response: Any, base: type) -> None:
    """The response is what it was again, and the call ends unless the library is still reading."""
    try:
        reading = response.__dict__.pop("_sessiontrace_reading", None)
        response.__class__ = base
        if reading is not None and not reading.busy:
            reading.end("closed")
    except Exception:  # whatever it was, the response must be closed
        pass
