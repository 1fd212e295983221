"""Watched generators: real generators around the user's, driven step by step.

Run wherever the consumer runs. Invariant: the handle is the current one only while the inner frame
runs; it is set and taken back within one step, never with a context variable's token, so that a
generator may be left half-read, closed elsewhere or collected without a trace in anyone's context.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import Any

from sessiontrace.capture.flow import Flow, Reduce
from sessiontrace.capture.span import _OPEN, Span

__all__ = ["Start", "follow", "watched_async_generator", "watched_generator"]

Start = Callable[[tuple[Any, ...], dict[str, Any]], "tuple[Flow | None, Any]"]
"""Begins one call at its first step: the flow to tell (None: nobody), and the inner generator."""

_SETTLED = frozenset({type(None), bool, int, float, str, bytes, dict, list, tuple})
"""Types of results that are there and will not stream."""


def watched_generator(start: Start) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function whose generators drive the one that ``start`` gives."""

    def watched(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
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

    return watched


def watched_async_generator(start: Start) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An async generator function whose generators drive the one that ``start`` gives."""

    async def watched(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        flow, inner = start(args, kwargs)
        if flow is None:  # there is no `yield from` here: the same steps, telling nobody
            flow = _Nobody()  # type: ignore[assignment]
        assert flow is not None
        current = flow.span._recorder.current
        get, put = current.get, current.set
        step: Callable[..., Any] = inner.__anext__
        given: tuple[Any, ...] = ()
        try:
            while True:
                outer = get()
                put(flow.inner)
                try:
                    item = await step(*given)
                finally:
                    flow.inner = get()
                    put(outer)
                flow.chunk(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    outer = get()
                    put(flow.inner)
                    try:
                        await _closing(inner)
                    finally:
                        put(outer)
                    raise
                except BaseException as error:
                    step, given = _thrower(inner), (error,)
                else:
                    step, given = (inner.__anext__, ()) if sent is None else (inner.asend, (sent,))
        except StopAsyncIteration:
            flow.end()
        except BaseException as error:
            flow.end("closed" if isinstance(error, GeneratorExit) else "", error)
            raise

    return watched


class _Nobody:
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


def _inside(flow: Flow, call: Callable[[], Any]) -> None:
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
        return _kept_open(span, watched_generator, result, capture, reduce)
    if kind is types.AsyncGeneratorType:
        return _kept_open(span, watched_async_generator, result, capture, reduce)
    if any(base.__name__ == "StreamingResponse" for base in kind.__mro__):
        body = getattr(result, "body_iterator", None)
        if hasattr(type(body), "__anext__"):
            stream = _kept_open(span, watched_async_generator, body, capture, reduce)
            result.body_iterator = stream
            return result
    return None


def _kept_open(
    span: Span, make: Callable[[Start], Any], inner: Any, capture: bool, reduce: Reduce | None
) -> Any:
    flow = Flow(span, capture=capture, reduce=reduce)
    _step_out(span)
    stream = make(lambda args, kwargs: (flow, inner))()
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
        current.set(outer)
