"""Watched generators: real generators around the user's, driven step by step.

Run wherever the consumer runs. Invariant: the handle is the current one only while the inner frame
runs; it is set and taken back within one step, never with a context variable's token, so that a
generator may be left half-read, closed elsewhere or collected without a trace in anyone's context.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from sessiontrace.capture.decorators.signature import ANY, build, head_of
from sessiontrace.capture.span import _OPEN, Span
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan

__all__ = ["Start", "follow", "watched_async_generator", "watched_generator"]

Start = Callable[[tuple[Any, ...], dict[str, Any]], "tuple[StreamSpan | None, Any]"]
"""Begins one call at its first step: the flow to tell (None: nobody), and the inner generator."""

_SETTLED = frozenset({type(None), bool, int, float, str, bytes, dict, list, tuple})
"""Types of results that are there and will not stream."""

_GENERATOR = """
def make(_st_start, _st_drive):
    def traced(PARAMETERS):
        GIVEN
        return (yield from _st_drive(_st_start, _st_args, _st_kwargs))
    return traced
"""

# There is no `yield from` here, so the loop itself is in the function with the user's parameters.
_ASYNC_GENERATOR = """
def make(_st_start, _st_steps):
    async def traced(PARAMETERS):
        GIVEN
        _st = _st_steps(_st_start, _st_args, _st_kwargs)
        _st_take, _st_took = _st.take, _st.took
        while True:
            try:
                _st_item = await _st_take()
            except BaseException as _st_error:
                if _st.failed(_st_error):
                    return
                raise
            _st_took(_st_item)
            try:
                _st_sent = yield _st_item
            except GeneratorExit:
                await _st.close()
                raise
            except BaseException as _st_error:
                _st.throw(_st_error)
            else:
                if _st_sent is not None:
                    _st.send(_st_sent)
    return traced
"""


def watched_generator(fn: Callable[..., Any], start: Start) -> Callable[..., Any]:
    """A generator function with ``fn``'s parameters, driving the generator ``start`` gives."""
    made: Callable[..., Any] = build(_GENERATOR, head_of(fn))(start, _drive)
    return made


def watched_async_generator(fn: Callable[..., Any], start: Start) -> Callable[..., Any]:
    """``watched_generator`` for an async generator function."""
    made: Callable[..., Any] = build(_ASYNC_GENERATOR, head_of(fn))(start, AsyncGeneratorDriver)
    return made


def _drive(start: Start, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Any, Any, Any]:
    """One call of a traced generator function."""
    flow, inner = start(args, kwargs)
    if flow is None:
        return (yield from inner)
    current = flow.span._recorder.current
    get, put = current.get, current.set
    step, given = inner.send, None
    try:
        while True:
            outer = get()
            put(flow.inner)
            try:
                item = step(given)
            finally:
                flow.inner = get()
                put(outer)
            flow.chunk(item)
            try:
                given = yield item
                step = inner.send
            except GeneratorExit:
                _inside(flow, inner.close)
                raise
            except BaseException as error:
                step, given = inner.throw, error
    except StopIteration as stop:
        flow.end()
        return stop.value
    except BaseException as error:
        flow.end("closed" if isinstance(error, GeneratorExit) else "", error)
        raise


class AsyncGeneratorDriver:
    """One call of a traced async generator function, step by step: ``take``, then ``took``."""

    __slots__ = ("_call", "_flow", "_get", "_given", "_inner", "_next", "_outer", "_put")

    def __init__(self, start: Start, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        flow, self._inner = start(args, kwargs)
        self._flow: Any = NullStreamSpan() if flow is None else flow
        current = self._flow.span._recorder.current
        self._get, self._put = current.get, current.set
        self._outer: Any = None
        self._next = self._call = self._inner.__anext__
        self._given: tuple[Any, ...] = ()

    def take(self) -> Any:
        """Step inside; what to await for the next item."""
        self._outer = self._get()
        self._put(self._flow.inner)
        return self._call(*self._given)

    def took(self, item: Any) -> None:
        """Step outside again: the item goes to the consumer."""
        flow = self._flow
        flow.inner = self._get()
        self._put(self._outer)
        self._call, self._given = self._next, ()
        flow.chunk(item)

    def failed(self, error: BaseException) -> bool:
        """Step outside for good; whether that is the end of the items."""
        flow = self._flow
        flow.inner = self._get()
        self._put(self._outer)
        if isinstance(error, StopAsyncIteration):
            flow.end()
            return True
        flow.end("closed" if isinstance(error, GeneratorExit) else "", error)
        return False

    def send(self, value: Any) -> None:
        """The next step gives this value to the user's code."""
        self._call, self._given = self._inner.asend, (value,)

    def throw(self, error: BaseException) -> None:
        """The next step raises this error in the user's code."""
        self._call, self._given = _thrower(self._inner), (error,)

    async def close(self) -> None:
        """Close the user's generator, from inside."""
        flow = self._flow
        current = flow.span._recorder.current  # looked up again: see `collecting`
        outer = current.get()
        current.set(flow.inner)
        try:
            await _closing(self._inner)
        except BaseException as error:
            flow.end("", error)
            raise
        finally:
            current.set(outer)
        flow.end("closed")


class NullStreamSpan:
    """Takes the place of a flow, its span, their recorder and its variable: nothing is recorded."""

    def __init__(self) -> None:
        self.span = self._recorder = self.current = self
        self.inner: Any = None

    def get(self) -> None:
        return None

    def set(self, value: object) -> None:
        return None

    def chunk(self, item: object) -> None:
        return None

    def end(self, how: str = "", error: BaseException | None = None) -> None:
        return None


def _inside(flow: StreamSpan, call: Callable[[], Any]) -> None:
    current = flow.span._recorder.current
    outer = current.get()
    current.set(flow.inner)
    try:
        call()
    finally:
        current.set(outer)


async def _closing(inner: AsyncIterator[Any]) -> None:
    aclose = getattr(inner, "aclose", None)
    if aclose is not None:
        await aclose()


def _thrower(inner: AsyncIterator[Any]) -> Callable[[BaseException], Any]:
    return getattr(inner, "athrow", None) or _raise


async def _raise(error: BaseException) -> Any:
    raise error


# -- what a traced function returned ----------------------------------------------------------


def follow(span: Span, result: Any, capture: bool, reduce: Reduce | None) -> Any | None:
    """What to return in place of a result that is still to come; None when it is there.

    Generators, async generators and coroutines keep the span open until they are done, and run
    inside it; so does the body of a Starlette ``StreamingResponse``, which stays the object it is.
    """
    kind = type(result)
    try:
        return None if kind in _SETTLED else _later(span, result, kind, capture, reduce)
    except Exception:  # a metaclass without a hash, a response that cannot be changed
        return None


def _later(span: Span, result: Any, kind: type, capture: bool, reduce: Reduce | None) -> Any | None:
    if kind is types.CoroutineType:
        _step_out(span)
        return _awaited(span, result, capture)
    if kind is types.GeneratorType:
        return _kept_open(span, _drive, result, capture, reduce)
    if kind is types.AsyncGeneratorType:
        return _kept_open(span, _drive_async, result, capture, reduce)
    if any(base.__name__ == "StreamingResponse" for base in kind.__mro__):
        body = getattr(result, "body_iterator", None)
        if hasattr(type(body), "__anext__"):
            stream = _kept_open(span, _drive_async, body, capture, reduce)
            result.body_iterator = stream
            return result
    return None


_standing_in = build(_ASYNC_GENERATOR, ANY)


def _drive_async(start: Start, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _standing_in(start, AsyncGeneratorDriver)(*args, **kwargs)


def _kept_open(
    span: Span, drive: Callable[..., Any], inner: Any, capture: bool, reduce: Reduce | None
) -> Any:
    flow = StreamSpan(span, capture=capture, reduce=reduce)
    _step_out(span)
    stream = drive(lambda args, kwargs: (flow, inner), (), {})
    # One that is never begun runs no code of ours when it is dropped.
    weakref.finalize(stream, flow.end, "dropped")
    for name in ("__name__", "__qualname__"):
        setattr(stream, name, getattr(inner, name, name))
    return stream


def _step_out(span: Span) -> None:
    """The span stays open, but what the caller does now is not inside it."""
    current = span._recorder.current
    if current.get() is span:
        current.set(span._parent if span._implicit is None else None)


async def _awaited(span: Span, inner: Any, capture: bool) -> Any:
    current = span._recorder.current
    outer = current.get()
    if span._state == _OPEN:
        current.set(span)
    try:
        result = await inner
    except BaseException as error:
        span.__exit__(type(error), error, error.__traceback__)
        raise
    else:
        if capture:
            span.set(outputs=result)
        span.end()
        return result
    finally:
        span._recorder.current.set(outer)  # looked up again: see `collecting`
