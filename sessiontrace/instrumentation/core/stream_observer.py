"""Streamed answers: read along while the user's code reads them, on whichever thread reads.

Invariant: a stream ends its call exactly once, however it ends: read out, failed, closed,
cancelled, dropped unread, or still open when the program ends.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from sessiontrace.capture.span import UNSET
from sessiontrace.instrumentation.core.model_calls import Answer, ModelCall
from sessiontrace.model.ids import now_ns

__all__ = ["AsyncChunks", "Chunks", "StreamAssembler", "StreamObserver", "watched"]


class StreamAssembler(Protocol):
    """Puts an answer together from its chunks, keeping only what the answer needs."""

    def add(self, chunk: Any) -> None:
        """Take in one chunk, as the user gets it."""
        ...

    def answer(self) -> Answer:
        """What has come so far."""
        ...


class StreamObserver:
    """The reading of one streamed answer: what has come, and how it ended.

    ``busy`` while the library itself is at work: what it closes then is no decision of the user's.
    ``gather`` may be None when the chunks cannot be seen. ``describe(error)`` gives the metadata
    of an error; ``extra`` is added to the metadata in any case.
    """

    __slots__ = (
        "__weakref__",
        "_describe",
        "_finalizer",
        "_first",
        "busy",
        "call",
        "chunks",
        "extra",
        "gather",
    )

    def __init__(
        self,
        call: ModelCall,
        gather: StreamAssembler | None,
        extra: dict[str, Any],
        describe: Callable[[BaseException], dict[str, Any]],
    ) -> None:
        self.call = call
        self.gather = gather
        self.extra = extra
        self.busy = False
        self.chunks = 0
        self._first = 0
        self._describe = describe
        self._finalizer: weakref.finalize[..., Any] | None = None
        _remember(self)

    def follow(self, stream: Any) -> None:
        """End the call when ``stream`` is collected without having been read or closed."""
        self.unfollow()
        try:
            self._finalizer = weakref.finalize(stream, self.end, "dropped")
            self._finalizer.atexit = False
        except TypeError:  # it takes no weak references
            pass

    def unfollow(self) -> None:
        """The stream is looked after otherwise, or over."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    def chunk(self, chunk: Any) -> None:
        """One chunk went to the user."""
        if not self.chunks:
            self._first = now_ns()
        self.chunks += 1
        gather = self.gather
        if gather is not None:
            try:
                gather.add(chunk)
            except Exception:  # a chunk of a form nobody told us of: count it, go on
                self.extra["unread_chunks"] = self.extra.get("unread_chunks", 0) + 1

    def end(self, how: str, error: BaseException | None = None) -> None:
        """The stream is over. ``how``: "exhausted", "failed", "closed" or "dropped"."""
        if self.call.ended:
            return
        _open.discard(self)
        outputs: Any = UNSET
        metadata = self.extra
        try:
            if self.gather is not None:
                outputs, found = self.gather.answer()
                metadata = {**metadata, **found}
            if how in ("closed", "dropped"):
                metadata["stream_end"] = how
            if error is not None:
                metadata = {**metadata, **self._describe(error)}
        except Exception as fault:
            metadata["unread"] = type(fault).__name__
        metrics: dict[str, Any] | None = None
        if self.chunks:
            first = (self._first - self.call.started) / 1_000_000
            metrics = {"time_to_first_chunk_ms": round(first, 3), "chunks": self.chunks}
        if error is None:
            self.call.end(outputs=outputs, metadata=metadata, metrics=metrics)
        else:
            self.call.fail(error, outputs=outputs, metadata=metadata, metrics=metrics)
        self.gather = None
        self.unfollow()


_open: weakref.WeakSet[StreamObserver] = weakref.WeakSet()
_at_exit = False


def _remember(reading: StreamObserver) -> None:
    global _at_exit
    _open.add(reading)
    if not _at_exit:
        # A call's session has been recorded by now, so the tracer's own exit is registered already
        # and comes after this one.
        _at_exit = True
        atexit.register(_end_open)


def _end_open() -> None:
    """The program ends with streams half read: their calls are told all the same."""
    for reading in list(_open):
        reading.end("dropped")


class Chunks:
    """An iterator in the place of a stream's own one.

    A class, not a generator: a generator around an (async) generator races with the closing of the
    inner one when a half-read stream is dropped.
    """

    __slots__ = ("__weakref__", "_inner", "_reading")

    def __init__(self, inner: Any, reading: StreamObserver) -> None:
        self._inner = inner
        self._reading = reading

    def __getattr__(self, name: str) -> Any:  # close, send, gi_frame: whatever the inner one has
        return getattr(self._inner, name)

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Any:
        reading = self._reading
        reading.busy = True
        try:
            chunk = self._inner.__next__()
        except StopIteration:
            reading.end("exhausted")
            raise
        except BaseException as error:
            reading.end("failed", error)
            raise
        finally:
            reading.busy = False
        reading.chunk(chunk)
        return chunk


class AsyncChunks:
    """``Chunks`` for an async iterator."""

    __slots__ = ("__weakref__", "_inner", "_reading")

    def __init__(self, inner: Any, reading: StreamObserver) -> None:
        self._inner = inner
        self._reading = reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> Any:
        reading = self._reading
        reading.busy = True
        try:
            chunk = await self._inner.__anext__()
        except StopAsyncIteration:
            reading.end("exhausted")
            raise
        except BaseException as error:
            reading.end("failed", error)
            raise
        finally:
            reading.busy = False
        reading.chunk(chunk)
        return chunk


def watched(inner: Any, reading: StreamObserver) -> Chunks | AsyncChunks:
    """An iterator or async iterator, watched."""
    return AsyncChunks(inner, reading) if hasattr(inner, "__anext__") else Chunks(inner, reading)
