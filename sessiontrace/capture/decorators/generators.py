"""Watched generators: real generators around the user's, driven step by step.

They run wherever the consumer runs. Invariant: the handle is the current one only while the inner
frame runs. Each step sets the handle and restores the one before, never with a token of the context
variable: a generator may be left half-read, closed elsewhere or collected, and leaves nothing in
any context.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from sessiontrace.capture.decorators.response_body import streamed_body
from sessiontrace.capture.decorators.signature import ANY, build, signature_of
from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan
from sessiontrace.runtime.signals import raise_if_from_signal, without_entry_check

__all__ = ["Start", "follow", "watched_async_generator", "watched_generator"]

Start = Callable[[tuple[Any, ...], dict[str, Any]], "tuple[StreamSpan | None, Any]"]
"""Begins one call at its first step: its stream (None: not recorded), and the inner generator."""

_SETTLED = frozenset({type(None), bool, int, float, str, bytes, dict, list})
"""Types of results that are complete and do not stream."""

_BESIDE_A_BODY = frozenset({int, str, dict, list, tuple})
"""Types of a status and of headers in the tuple that a view of Flask returns."""

_GENERATOR = """
def make(_st_start, _st_drive):
    def traced(PARAMETERS):
        COLLECT
        return (yield from _st_drive(_st_start, _st_args, _st_kwargs))
    return traced
"""

# There is no `yield from` here, so the loop itself is in the function with the user's parameters.
_ASYNC_GENERATOR = """
def make(_st_start, _st_steps):
    async def traced(PARAMETERS):
        COLLECT
        _st = _st_steps(_st_start, _st_args, _st_kwargs)
        _st_enter, _st_leave = _st.enter, _st.leave
        try:
            while True:
                try:
                    _st_item = await _st_enter()
                    _st_leave(_st_item)
                except BaseException as _st_error:
                    if _st.failed(_st_error):
                        return
                    raise
                try:
                    _st_sent = yield _st_item
                    if _st_sent is not None:
                        _st.send(_st_sent)
                except GeneratorExit:
                    await _st.close()
                    raise
                except BaseException as _st_error:
                    _st.throw(_st_error)
        except BaseException as _st_error:
            _st.stop(_st_error)
            raise
    return traced
"""


def watched_generator(fn: Callable[..., Any], start: Start) -> Callable[..., Any]:
    """A generator function with ``fn``'s parameters, driving the generator ``start`` gives."""
    wrapper: Callable[..., Any] = build(_GENERATOR, signature_of(fn))(start, _drive)
    return wrapper


def watched_async_generator(fn: Callable[..., Any], start: Start) -> Callable[..., Any]:
    """``watched_generator`` for an async generator function."""
    make = build(_ASYNC_GENERATOR, signature_of(fn))
    wrapper: Callable[..., Any] = make(start, AsyncGeneratorDriver)
    return wrapper


def _drive(start: Start, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Any, Any, Any]:
    """One call of a traced generator function."""
    stream, inner = start(args, kwargs)
    if stream is None:
        return (yield from inner)
    current = stream.span.recorder.current
    get, put = current.get, current.set
    step, sent = inner.send, None
    try:
        while True:
            outer = get()
            put(stream.inner)
            try:
                item = step(sent)
            finally:
                stream.inner = get()
                put(outer)
            stream.chunk(item)
            try:
                sent = yield item
                step = inner.send
            except GeneratorExit:
                _inside(stream, inner.close)
                raise
            except BaseException as error:
                step, sent = inner.throw, error
    except StopIteration as stop:
        stream.end()
        return stop.value
    except BaseException as error:
        stream.end("closed" if error.__class__ is GeneratorExit else "", error)
        raise


class AsyncGeneratorDriver:
    """One call of a traced async generator function, step by step: ``enter``, ``leave``."""

    __slots__ = (
        "_arguments",
        "_begin",
        "_call",
        "_get",
        "_inner",
        "_next",
        "_outer",
        "_put",
        "_stream",
        "_throw",
    )

    def __init__(self, start: Start, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._begin = start, args, kwargs
        self._stream: Any = None  # until the first step

    def _start(self) -> None:
        start, args, kwargs = self._begin
        stream, self._inner = start(args, kwargs)
        self._stream = NullStreamSpan() if stream is None else stream
        span = self._stream.span
        self._outer: Any = span.parent  # until the first step
        self._get, self._put = span.recorder.current.get, span.recorder.current.set
        self._next = self._call = self._inner.__anext__
        self._throw = getattr(self._inner, "athrow", None) or _raise
        self._arguments: tuple[Any, ...] = ()

    def enter(self) -> Any:
        """Step inside; what to await for the next item."""
        if self._stream is None:
            self._start()
        self._outer = self._get()
        self._put(self._stream.inner)
        return self._call(*self._arguments)

    def leave(self, item: Any) -> None:
        """Step outside again: the item goes to the consumer."""
        stream = self._stream
        stream.inner = self._get()
        self._put(self._outer)
        self._call, self._arguments = self._next, ()
        stream.chunk(item)

    @without_entry_check
    def failed(self, error: BaseException) -> bool:
        """Step outside for good; whether that is the end of the items."""
        stream, exhausted = self._stream, False
        if stream is None:
            return False
        try:
            exhausted = isinstance(error, StopAsyncIteration)
            stream.inner = self._get()
            self._put(self._outer)
        finally:
            if exhausted:
                stream.end()
            else:
                stream.end("closed" if error.__class__ is GeneratorExit else "", error)
        return exhausted

    @without_entry_check
    def stop(self, error: BaseException) -> None:
        """Between two steps, a signal handler raised this error."""
        if self._stream is not None:
            self._stream.end("", error)

    def send(self, value: Any) -> None:
        """The next step gives this value to the user's code."""
        self._call, self._arguments = self._inner.asend, (value,)

    @without_entry_check
    def throw(self, error: BaseException) -> None:
        """The next step raises this error in the user's code."""
        self._call, self._arguments = self._throw, (error,)

    @without_entry_check
    async def close(self) -> None:
        """Close the user's generator, from inside."""
        stream = self._stream
        try:
            current = stream.span.recorder.current  # looked up again: see `gc_guard`
            outer = current.get()
            current.set(stream.inner)
            try:
                await _closing(self._inner)
            finally:
                current.set(outer)
        except BaseException as error:
            stream.end("", error)
            raise
        stream.end("closed")


class NullStreamSpan:
    """The stream of a call that is not recorded; also its own span, recorder and variable."""

    def __init__(self) -> None:
        self.span = self.recorder = self.current = self
        self.inner: Any = None
        self.parent: Any = None

    def get(self) -> None:
        return None

    def set(self, value: object) -> None:
        return None

    def chunk(self, item: object) -> None:
        return None

    def end(self, how: str = "", error: BaseException | None = None) -> None:
        return None


def _inside(stream: StreamSpan, call: Callable[[], Any]) -> None:
    current = stream.span.recorder.current
    outer = current.get()
    current.set(stream.inner)
    try:
        call()
    finally:
        current.set(outer)


async def _closing(inner: AsyncIterator[Any]) -> None:
    aclose = getattr(inner, "aclose", None)
    if aclose is not None:
        await aclose()


async def _raise(error: BaseException) -> Any:
    raise error


# -- the result of a traced function -----------------------------------------------------------


def follow(span: Handle, result: Any, capture: bool, reduce: Reduce | None) -> Any | None:
    """What to return in place of a result that is still to come; None when it is complete.

    Generators, async generators and coroutines keep the span open until they are done, and run
    inside it; so does the body of a streamed HTTP response, which stays the object it is.
    """
    kind = type(result)
    try:
        return None if kind in _SETTLED else _pending_result(span, result, kind, capture, reduce)
    except Exception as error:  # a metaclass without a hash, a response that cannot be changed
        raise_if_from_signal(error)
        return None


def _pending_result(
    span: Handle, result: Any, kind: type, capture: bool, reduce: Reduce | None
) -> Any | None:
    if kind is tuple:
        return _pending_tuple(span, result, capture, reduce)
    if kind is types.CoroutineType:
        span.step_out()
        return _awaited(span, result, capture)
    if kind is types.GeneratorType:
        return _watched(span, _drive, result, capture, reduce)
    if kind is types.AsyncGeneratorType:
        return _watched(span, _drive_async, result, capture, reduce)
    body = streamed_body(result, kind)
    if body is None:
        return None
    drive = _drive_async if hasattr(type(body.iterator), "__anext__") else _drive
    body.replace(_watched(span, drive, body.iterator, capture, reduce))
    return result


_standing_in = build(_ASYNC_GENERATOR, ANY)


def _drive_async(start: Start, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _standing_in(start, AsyncGeneratorDriver)(*args, **kwargs)


def _watched(
    span: Handle, drive: Callable[..., Any], inner: Any, capture: bool, reduce: Reduce | None
) -> Any:
    stream = StreamSpan(span, capture=capture, reduce=reduce)
    span.step_out()
    watched = drive(lambda args, kwargs: (stream, inner), (), {})
    # A generator that is dropped before its first step runs no code of ours.
    weakref.finalize(watched, stream.end, "dropped")
    for name in ("__name__", "__qualname__"):
        setattr(watched, name, getattr(inner, name, name))
    return watched


def _pending_tuple(
    span: Handle, result: tuple[Any, ...], capture: bool, reduce: Reduce | None
) -> Any | None:
    """A body or response with its status and headers, as views of Flask and Quart return."""
    if not 2 <= len(result) <= 3 or type(result[0]) in _SETTLED or type(result[0]) is tuple:
        return None
    if not _BESIDE_A_BODY.issuperset(map(type, result[1:])):
        return None
    kind = type(result[0])
    if kind is types.CoroutineType:
        return None
    body = _pending_result(span, result[0], kind, capture, reduce)
    return None if body is None else (body, *result[1:])


@without_entry_check
async def _awaited(span: Handle, inner: Any, capture: bool) -> Any:
    outer = span.parent
    try:
        current = span.recorder.current
        outer = current.get()
        if span.state == OPEN:
            current.set(span)
        result = await inner
        if capture:
            span.set(outputs=result)
        span.end()
        return result
    except BaseException as error:
        span.__exit__(type(error), error, error.__traceback__)
        raise
    finally:
        span.recorder.current.set(outer)  # looked up again: see `gc_guard`
