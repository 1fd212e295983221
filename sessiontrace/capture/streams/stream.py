"""Watched streams: the iterator of another library, recorded chunk by chunk as it is read.

They run wherever the consumer reads. Invariant: the stream stays usable as what it is (attributes,
``with`` and ``close`` pass through), and is read exactly as far as the consumer reads.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import Span
from sessiontrace.capture.streams.forwarding import ForwardingIterator
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.later_types import SELF

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF

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


class _Watched(ForwardingIterator):
    """What both kinds of stream have in common."""

    __slots__ = ("_inside", "_iterator", "_stream_span")

    def __init__(self, wrapped: Any, stream_span: StreamSpan, own: bool) -> None:
        super().__init__(wrapped)
        self._stream_span = stream_span
        self._inside = (
            stream_span if own else None
        )  # what runs in the iterator is inside its own span
        self._iterator: Any = None
        weakref.finalize(self, stream_span.end, "dropped")

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
                self._iterator = iter(self.__wrapped__)
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
        enter = getattr(self.__wrapped__, "__enter__", None)
        if enter is not None:
            enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: object) -> Any:
        self._stream_span.end("closed", error)
        leave = getattr(self.__wrapped__, "__exit__", None)
        return None if leave is None else leave(kind, error, tb)

    def close(self) -> Any:
        """Stop reading; closes the stream if it can be closed."""
        self._stream_span.end("closed")
        for iterator in (self._iterator, self.__wrapped__):
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
                self._iterator = self.__wrapped__.__aiter__()
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
        enter = getattr(self.__wrapped__, "__aenter__", None)
        if enter is not None:
            await enter()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, tb: object) -> Any:
        self._stream_span.end("closed", error)
        leave = getattr(self.__wrapped__, "__aexit__", None)
        return None if leave is None else await leave(kind, error, tb)

    async def aclose(self) -> None:
        """Stop reading; closes the stream if it can be closed."""
        self._stream_span.end("closed")
        for iterator in (self._iterator, self.__wrapped__):
            for name in ("aclose", "close"):
                if hasattr(iterator, name):
                    await getattr(iterator, name)()
                    return

    close = aclose
