"""Watched streams: an iterator of somebody else's, told about chunk by chunk as it is read.

Run wherever the consumer reads. Invariant: the stream stays usable as what it is (attributes,
``with``, ``close`` pass through), and is read exactly as far as the consumer reads it.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sessiontrace.capture.span import _OPEN, Span
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan

if TYPE_CHECKING:
    from typing_extensions import Self

    from sessiontrace.capture.tracer_state import TracerState

__all__ = ["AsyncStream", "Stream", "watch"]

T = TypeVar("T")


def watch(
    recorder: TracerState,
    iterable: Iterable[T] | AsyncIterable[T],
    *,
    name: str | None = None,
    reduce: Reduce | None = None,
) -> Stream[T] | AsyncStream[T]:
    """The iterable, watched: for the current span, or with a ``name`` (or without) its own one."""
    span = recorder.current.get()
    own = name is not None or span is None or span._state != _OPEN
    if own:
        parent = span
        span = Span(recorder, name or "stream", "model")
        span._open(parent)
    assert span is not None
    flow = StreamSpan(span, reduce=reduce, own=own)
    if hasattr(type(iterable), "__aiter__"):
        return AsyncStream(iterable, flow, own)
    return Stream(iterable, flow, own)


class _Watched:
    """What both kinds of stream have in common."""

    __slots__ = ("__weakref__", "_flow", "_inner", "_inside", "_iterator")

    def __init__(self, inner: Any, flow: StreamSpan, own: bool) -> None:
        self._inner = inner
        self._flow = flow
        self._inside = flow if own else None  # what runs in the iterator is inside its own span
        self._iterator: Any = None
        weakref.finalize(self, flow.end, "dropped")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _enter(self) -> Any:
        if self._inside is None:
            return None
        current = self._inside.span._recorder.current
        outer = current.get()
        current.set(self._inside.inner)
        return outer

    def _leave(self, outer: Any) -> None:
        if self._inside is not None:
            current = self._inside.span._recorder.current
            self._inside.inner = current.get()
            current.set(outer)


class Stream(_Watched, Generic[T]):
    """An iterator that tells its span of every chunk. Its other attributes are the stream's."""

    __slots__ = ()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        outer = self._enter()
        try:
            if self._iterator is None:
                self._iterator = iter(self._inner)
            item: T = next(self._iterator)
        except StopIteration:
            self._flow.end()
            raise
        except BaseException as error:
            self._flow.end("", error)
            raise
        finally:
            self._leave(outer)
        self._flow.chunk(item)
        return item

    def __enter__(self) -> Self:
        enter = getattr(self._inner, "__enter__", None)
        if enter is not None:
            enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> Any:
        self._flow.end("closed", error)
        leave = getattr(self._inner, "__exit__", None)
        return None if leave is None else leave(kind, error, tb)

    def close(self) -> Any:
        """Stop reading; closes the stream if it can be closed."""
        self._flow.end("closed")
        for one in (self._iterator, self._inner):
            if hasattr(one, "close"):
                return one.close()
        return None


class AsyncStream(_Watched, Generic[T]):
    """An async iterator that tells its span of every chunk. Other attributes are the stream's."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        outer = self._enter()
        try:
            if self._iterator is None:
                self._iterator = self._inner.__aiter__()
            item: T = await self._iterator.__anext__()
        except StopAsyncIteration:
            self._flow.end()
            raise
        except BaseException as error:
            self._flow.end("", error)
            raise
        finally:
            self._leave(outer)
        self._flow.chunk(item)
        return item

    async def __aenter__(self) -> Self:
        enter = getattr(self._inner, "__aenter__", None)
        if enter is not None:
            await enter()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, tb: object) -> Any:
        self._flow.end("closed", error)
        leave = getattr(self._inner, "__aexit__", None)
        return None if leave is None else await leave(kind, error, tb)

    async def aclose(self) -> None:
        """Stop reading; closes the stream if it can be closed."""
        self._flow.end("closed")
        for one in (self._iterator, self._inner):
            for name in ("aclose", "close"):
                if hasattr(one, name):
                    await getattr(one, name)()
                    return

    close = aclose
