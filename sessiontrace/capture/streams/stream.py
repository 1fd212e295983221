"""Watched streams: the iterator of another library, recorded chunk by chunk as it is read.

They run wherever the consumer reads. Invariant: the stream stays usable as what it is (attributes,
``with`` and ``close`` pass through), and is read exactly as far as the consumer reads.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import Span
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan
from sessiontrace.capture.tracer_state import TracerState

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncStream", "Stream", "watch"]

T = TypeVar("T")


def watch(
    recorder: TracerState,
    iterable: Iterable[T] | AsyncIterable[T],
    *,
    name: str | None = None,
    reduce: Reduce | None = None,
) -> Stream[T] | AsyncStream[T]:
    """The iterable, watched for the current span; with a ``name``, or outside, for its own one."""
    handle: Handle | None = recorder.current.get()
    own = name is not None or handle is None or handle.state != OPEN
    if own:
        parent, handle = handle, Span(recorder, name or "stream", "model")
        handle.open(parent)
    assert handle is not None
    stream_span = StreamSpan(handle, reduce=reduce, own=own)
    if hasattr(type(iterable), "__aiter__"):
        return AsyncStream(iterable, stream_span, own)
    return Stream(iterable, stream_span, own)


def _unwatched(iterable: Any) -> Any:
    """What becomes of a watched stream in another process."""
    return iterable


class _Watched:
    """What both kinds of stream have in common."""

    __slots__ = ("__weakref__", "_inner", "_inside", "_iterator", "_stream_span")

    def __init__(self, inner: Any, stream_span: StreamSpan, own: bool) -> None:
        self._inner = inner
        self._stream_span = stream_span
        self._inside = (
            stream_span if own else None
        )  # what runs in the iterator is inside its own span
        self._iterator: Any = None
        weakref.finalize(self, stream_span.end, "dropped")

    def __getattr__(self, name: str) -> Any:
        if name in _Watched.__slots__:  # a copy in the making has none of ours yet
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __copy__(self) -> Any:  # as without us, and not watched: the span reads one stream
        return copy.copy(self._inner)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self._inner, memo)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unwatched, (self._inner,)

    def _enter(self) -> Any:
        if self._inside is None:
            return None
        current = self._inside.span.recorder.current
        outer = current.get()
        current.set(self._inside.inner)
        return outer

    def _leave(self, outer: Any) -> None:
        if self._inside is not None:
            current = self._inside.span.recorder.current
            self._inside.inner = current.get()
            current.set(outer)


class Stream(_Watched, Generic[T]):
    """An iterator whose span records every chunk. Its other attributes are the stream's."""

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
            self._stream_span.end()
            raise
        except BaseException as error:
            self._stream_span.end("", error)
            raise
        finally:
            self._leave(outer)
        self._stream_span.chunk(item)
        return item

    def __enter__(self) -> Self:
        enter = getattr(self._inner, "__enter__", None)
        if enter is not None:
            enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> Any:
        self._stream_span.end("closed", error)
        leave = getattr(self._inner, "__exit__", None)
        return None if leave is None else leave(kind, error, tb)

    def close(self) -> Any:
        """Stop reading; closes the stream if it can be closed."""
        self._stream_span.end("closed")
        for iterator in (self._iterator, self._inner):
            if hasattr(iterator, "close"):
                return iterator.close()
        return None


class AsyncStream(_Watched, Generic[T]):
    """An async iterator whose span records every chunk. Its other attributes are the stream's."""

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
            self._stream_span.end()
            raise
        except BaseException as error:
            self._stream_span.end("", error)
            raise
        finally:
            self._leave(outer)
        self._stream_span.chunk(item)
        return item

    async def __aenter__(self) -> Self:
        enter = getattr(self._inner, "__aenter__", None)
        if enter is not None:
            await enter()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, tb: object) -> Any:
        self._stream_span.end("closed", error)
        leave = getattr(self._inner, "__aexit__", None)
        return None if leave is None else await leave(kind, error, tb)

    async def aclose(self) -> None:
        """Stop reading; closes the stream if it can be closed."""
        self._stream_span.end("closed")
        for iterator in (self._iterator, self._inner):
            for name in ("aclose", "close"):
                if hasattr(iterator, name):
                    await getattr(iterator, name)()
                    return

    close = aclose
