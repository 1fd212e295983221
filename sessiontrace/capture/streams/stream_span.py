"""The stream of one span: what its chunks add up to, and when they came.

Runs wherever the consumer runs. Records the time to the first chunk, the number of chunks, the
largest gap and the sum of the chunks. Invariant: a stream ends its span exactly once, however it
ends, and a chunk costs about half a microsecond, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.capture.encoding.encoder import encode_object
from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.streams.chunk_accumulator import ChunkAccumulator
from sessiontrace.capture.updates import update_ended
from sessiontrace.model.ids import now_by
from sessiontrace.runtime.signals import raise_if_from_signal, without_entry_check

__all__ = ["Reduce", "StreamSpan"]

Reduce = Callable[[list[Any]], Any]
"""The type of ``reduce=``: a function from all chunks to the outputs."""

_REDUCE_MAX = 10_000  # chunks that a `reduce` of the user's gets


class StreamSpan:
    """The stream of one handle. ``inner``: the handle that is current inside the stream.

    ``own``: the handle is there for the stream and ends with it.
    """

    __slots__ = (
        "_chunks",
        "_ended",
        "_gap",
        "_last",
        "_own",
        "_reduce",
        "_sum",
        "count",
        "first",
        "inner",
        "span",
    )

    @classmethod
    def opened(
        cls, span: Handle, *, capture: bool = True, reduce: Reduce | None = None
    ) -> StreamSpan:
        """The stream of a handle that opens with it, below what is current."""
        try:
            span.open(span.recorder.current.get())
            return cls(span, capture=capture, reduce=reduce)
        except BaseException as error:  # a signal's
            span.__exit__(None, error, error.__traceback__)
            raise

    def __init__(
        self,
        span: Handle,
        *,
        capture: bool = True,
        reduce: Reduce | None = None,
        own: bool = True,
    ) -> None:
        self.span: Handle = span
        self._own = own  # else the span goes on after the stream, or ended before it
        self._ended = False
        self.inner: Handle | None = span
        self.count: int = 0
        self.first: int = 0
        self._last = 0
        self._gap = 0
        self._reduce = reduce
        self._chunks: list[Any] | None = [] if capture and reduce is not None else None
        self._sum = ChunkAccumulator() if capture and reduce is None else None

    def chunk(self, item: Any) -> None:
        """One chunk goes to the consumer now."""
        now = now_by(self.span.offset_ns)
        if self.count:
            gap = now - self._last
            if gap > self._gap:
                self._gap = gap
        else:
            self.first = now
        self._last = now
        self.count += 1
        if self._sum is not None:
            self._sum.add(item)
        elif self._chunks is not None and self.count <= _REDUCE_MAX:
            self._chunks.append(item)

    @without_entry_check
    def end(self, how: str = "", error: BaseException | None = None) -> None:
        """The stream is over: exhausted (``how`` empty), "closed" or "dropped", or failed."""
        if self._ended:
            return
        self._ended = True
        span = self.span
        try:
            self._add_parts(how)
        except BaseException:  # a signal's: only a `reduce` of the user's is not called again
            if self._reduce is None:
                self._add_parts(how)
            raise
        finally:
            if self._own and span.state == OPEN:
                span.__exit__(None, error, None if error is None else error.__traceback__)
            self._sum = self._chunks = None

    def _add_parts(self, how: str) -> None:
        """Give the span what the stream came to, also where the span has ended before it."""
        span = self.span
        if span.state == OPEN:
            span.merge_stream(self._parts(how), replace=self._own)
        elif not self._own and self.count:
            update_ended(span, self._parts(how))

    def _parts(self, how: str) -> dict[str, Any]:
        parts: dict[str, Any] = {"metadata": {"stream_end": how}} if how else {}
        if self.count:
            parts["metrics"] = self.metrics()
            if self.span.recorder.capture and (outputs := self.outputs()) is not None:
                parts["outputs"] = outputs
        return parts

    def metrics(self) -> dict[str, Any]:
        """``time_to_first_chunk_ms`` (since the span began), ``chunks``, ``largest_gap_ms``."""
        metrics: dict[str, Any] = {
            "time_to_first_chunk_ms": (self.first - self.span.start_ns) / 1_000_000,
            "chunks": self.count,
        }
        if self.count > 1:
            metrics["largest_gap_ms"] = self._gap / 1_000_000
        return metrics

    def outputs(self) -> bytes | None:
        """The sum of the chunks, encoded as an object; None when outputs are not captured."""
        if self._sum is not None:
            return self._sum.encoded()
        if self._chunks is None or self._reduce is None:
            return None
        try:
            return encode_object(self._reduce(self._chunks), "result")
        except Exception as error:
            raise_if_from_signal(error)
            return encode_object({"_unreduced": kind_name(type(error))}, "result")
