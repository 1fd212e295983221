"""Streams of LlamaIndex, in whose steps the provider's SDK belongs to the event of the stream.

The generator that a model returns makes its request when its reader asks for the first response:
after the step has ended, in the reader's context. Runs on whichever thread reads. Invariant: what
the reader calls between two responses is not part of the stream's call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from sessiontrace.instrumentation.core.model_calls import open_call, restore
from sessiontrace.instrumentation.core.stream_observer import AsyncChunks, Chunks, StreamObserver

__all__ = ["AsyncStream", "Stream"]


class Stream(Generator[Any, Any, Any]):
    """A generator of responses, observed."""

    def __init__(self, inner: Any, observer: StreamObserver) -> None:
        self._inner = inner
        self._observer = observer
        self._chunks = Chunks(inner, observer)
        observer.follow(self)

    def __next__(self) -> Any:
        token = open_call.set(self._observer.call)
        try:
            return next(self._chunks)
        finally:
            restore(token)

    def send(self, value: Any) -> Any:
        """Go on to the next response."""
        return next(self)

    def throw(self, *error: Any) -> Any:
        """Raise an exception inside the stream."""
        try:
            return self._inner.throw(*error)
        except BaseException as failure:
            self._observer.end("failed", failure)
            raise

    def close(self) -> None:
        """End the stream; what has arrived is its answer."""
        self._observer.end("closed")
        self._inner.close()


class AsyncStream(AsyncGenerator[Any, Any]):
    """An async generator of responses, observed."""

    def __init__(self, inner: Any, observer: StreamObserver) -> None:
        self._inner = inner
        self._observer = observer
        self._chunks = AsyncChunks(inner, observer)
        observer.follow(self)

    async def __anext__(self) -> Any:
        token = open_call.set(self._observer.call)
        try:
            return await self._chunks.__anext__()
        finally:
            restore(token)

    async def asend(self, value: Any) -> Any:
        """Go on to the next response."""
        return await self.__anext__()

    async def athrow(self, *error: Any) -> Any:
        """Raise an exception inside the stream."""
        try:
            return await self._inner.athrow(*error)
        except BaseException as failure:
            self._observer.end("failed", failure)
            raise

    async def aclose(self) -> None:
        """End the stream; what has arrived is its answer."""
        self._observer.end("closed")
        await self._inner.aclose()
