"""Observing a streamed answer while the user's code reads it.

Runs on whichever thread reads the stream. Invariant: a stream ends its call exactly once, however
it ends: exhausted, failed, closed, cancelled, dropped unread, or still open when the program ends.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from sessiontrace.capture.span import UNSET
from sessiontrace.capture.streams.forwarding import Forwarding
from sessiontrace.instrumentation.core.model_calls import Answer, ModelCall
from sessiontrace.instrumentation.core.stream_reading import (
    AsyncReader,
    LoopedReader,
    Reader,
    StreamReading,
)
from sessiontrace.model.ids import now_by
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = [
    "AsyncChunks",
    "Chunks",
    "LoopedChunks",
    "StreamAssembler",
    "StreamObserver",
    "observed",
]


class StreamAssembler(Protocol):
    """Puts an answer together from its chunks, and keeps only what the answer needs."""

    def add(self, chunk: Any) -> None:
        """Take in one chunk, as the user gets it."""
        ...

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        ...


class StreamObserver(StreamReading):
    """Collects one streamed answer and ends its call.

    ``assembler``: None when the chunks cannot be seen. ``extra``: metadata to add however the
    stream ends. ``describe_error(error)`` gives the metadata of an error. ``busy``: the library
    itself is at work, so that a close is its decision and not the user's.
    """

    __slots__ = (
        "__weakref__",
        "_describe_error",
        "_finalizer",
        "_first_ns",
        "call",
        "extra",
    )

    def __init__(
        self,
        call: ModelCall,
        assembler: StreamAssembler | None,
        extra: dict[str, Any],
        describe_error: Callable[[BaseException], dict[str, Any]],
    ) -> None:
        self.busy = False
        self.chunks: int = 0
        self.call: ModelCall = call
        self.assembler: StreamAssembler | None = assembler
        self.extra: dict[str, Any] = extra
        self._first_ns = 0
        self._describe_error = describe_error
        self._finalizer: weakref.finalize[..., Any] | None = None
        _remember(self)

    def follow(self, stream: Any) -> None:
        """End the call when ``stream`` is garbage collected before it was read or closed."""
        self.unfollow()
        try:
            self._finalizer = weakref.finalize(stream, self.end, "dropped")
            self._finalizer.atexit = False
        except TypeError:  # it takes no weak references
            pass

    def unfollow(self) -> None:
        """Stop watching for the collection of the followed stream."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    def chunk(self, chunk: Any) -> None:
        """Take in one chunk that goes to the user."""
        if not self.chunks:
            self._first_ns = now_by(self.call.span.offset_ns)
        self.chunks += 1
        assembler = self.assembler
        if assembler is not None:
            try:
                assembler.add(chunk)
            except Exception as error:
                raise_if_from_signal(error)
                self.skip()

    def skip(self) -> None:
        """Count a chunk of a form that the assembler does not know."""
        self.extra["unread_chunks"] = self.extra.get("unread_chunks", 0) + 1

    def end(self, how: str, error: BaseException | None = None) -> None:
        """End the call, once. ``how``: "exhausted", "failed", "closed" or "dropped"."""
        if self.call.ended:
            return
        _open.discard(self)
        outputs: Any = UNSET
        metadata = self.extra
        try:
            if self.assembler is not None:
                outputs, answer_metadata = self.assembler.answer()
                metadata = {**metadata, **answer_metadata}
            if how in ("closed", "dropped"):
                metadata["stream_end"] = how
            if error is not None:
                metadata = {**metadata, **self._describe_error(error)}
        except Exception as fault:
            raise_if_from_signal(fault)
            metadata["unread"] = type(fault).__name__
        metrics: dict[str, Any] | None = None
        if self.chunks:
            first = (self._first_ns - self.call.started) / 1_000_000
            metrics = {"time_to_first_chunk_ms": round(first, 3), "chunks": self.chunks}
        if error is None:
            self.call.end(outputs=outputs, metadata=metadata, metrics=metrics)
        else:
            self.call.fail(error, outputs=outputs, metadata=metadata, metrics=metrics)
        self.assembler = None
        self.unfollow()


_open: weakref.WeakSet[StreamObserver] = weakref.WeakSet()
_at_exit = False


def _remember(observer: StreamObserver) -> None:
    global _at_exit
    _open.add(observer)
    if not _at_exit:
        # The call's session has been recorded, so the tracer's exit hook is registered already and
        # runs after this one.
        _at_exit = True
        atexit.register(_end_open)


def _end_open() -> None:
    """Record the calls whose streams are half read when the program ends."""
    for observer in list(_open):
        observer.end("dropped")


class Chunks(Forwarding, Reader):
    """A plain iterator in the place of a stream's own one, observed."""

    __slots__ = ("__weakref__",)


class LoopedChunks(Forwarding, LoopedReader):
    """The inner iterator of a stream whose class loops over it."""

    __slots__ = ("__weakref__",)


class AsyncChunks(Forwarding, AsyncReader):
    """An async iterator in the place of a stream's own one, observed."""

    __slots__ = ("__weakref__",)


def observed(inner: Any, observer: StreamObserver) -> Chunks | AsyncChunks:
    """An iterator or async iterator, observed."""
    return AsyncChunks(inner, observer) if hasattr(inner, "__anext__") else Chunks(inner, observer)
