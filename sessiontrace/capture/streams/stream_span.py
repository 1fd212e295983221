"""Flow: one stream of chunks as its span tells it; wherever the consumer runs.

Time to the first chunk, number of chunks, largest gap, and what the chunks add up to. Invariant:
a flow ends its span exactly once, however the stream ends, and a chunk costs about half a
microsecond, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.capture.encoding.encoder import encode_object
from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.span import _OPEN, Span
from sessiontrace.capture.streams.chunk_accumulator import ChunkAccumulator
from sessiontrace.capture.updates import update_ended
from sessiontrace.model.ids import now_ns

__all__ = ["Reduce", "StreamSpan"]

Reduce = Callable[[list[Any]], Any]
"""What ``reduce=`` takes: a function from all chunks to the outputs."""

_KEPT_MAX = 10_000  # chunks kept for a `reduce` of the user's


class StreamSpan:
    """The watched stream of one handle. ``inner``: the handle that is current inside it."""

    __slots__ = (
        "_fold",
        "_gap",
        "_kept",
        "_last",
        "_over",
        "_own",
        "_reduce",
        "count",
        "first",
        "inner",
        "span",
    )

    def __init__(
        self,
        span: Span,
        *,
        capture: bool = True,
        reduce: Reduce | None = None,
        own: bool = True,
    ) -> None:
        self.span = span
        self._own = own  # else the span goes on after the stream, or ended before it
        self._over = False
        self.inner: Span | None = span
        self.count = 0
        self.first = 0
        self._last = 0
        self._gap = 0
        self._reduce = reduce
        self._kept: list[Any] | None = [] if capture and reduce is not None else None
        self._fold = ChunkAccumulator() if capture and reduce is None else None

    def chunk(self, item: Any) -> None:
        """One chunk goes to the consumer now."""
        now = now_ns()
        if self.count:
            gap = now - self._last
            if gap > self._gap:
                self._gap = gap
        else:
            self.first = now
        self._last = now
        self.count += 1
        if self._fold is not None:
            self._fold.add(item)
        elif self._kept is not None and self.count <= _KEPT_MAX:
            self._kept.append(item)

    def end(self, how: str = "", error: BaseException | None = None) -> None:
        """The stream is over: exhausted (``how`` empty), "closed" or "dropped", or failed."""
        if self._over:
            return
        self._over = True
        span = self.span
        if span._state == _OPEN:
            self._tell(how)
            if self._own:
                span.__exit__(None, error, None if error is None else error.__traceback__)
        elif not self._own and self.count:
            update_ended(span, self._parts(how))
        self._fold = self._kept = None

    def _tell(self, how: str) -> None:
        """Give the open span what came."""
        span = self.span
        for name, found in self._parts(how).items():
            if name == "outputs":
                if self._own or span._outputs is None:
                    span._outputs = found
                    span._needs_redaction = True
            else:
                span._merge(name, found)

    def _parts(self, how: str) -> dict[str, Any]:
        found: dict[str, Any] = {"metadata": {"stream_end": how}} if how else {}
        if self.count:
            found["metrics"] = self.metrics()
            if self.span._recorder.capture and (outputs := self.outputs()) is not None:
                found["outputs"] = outputs
        return found

    def metrics(self) -> dict[str, Any]:
        """``time_to_first_chunk_ms`` (since the span began), ``chunks``, ``largest_gap_ms``."""
        found: dict[str, Any] = {
            "time_to_first_chunk_ms": (self.first - self.span._start) / 1_000_000,
            "chunks": self.count,
        }
        if self.count > 1:
            found["largest_gap_ms"] = self._gap / 1_000_000
        return found

    def outputs(self) -> bytes | None:
        """What the chunks add up to, encoded as an object; None when it is not wanted."""
        if self._fold is not None:
            return self._fold.encoded()
        if self._kept is None or self._reduce is None:
            return None
        try:
            return encode_object(self._reduce(self._kept), "result")
        except Exception as error:
            return encode_object({"_unreduced": kind_name(type(error))}, "result")
