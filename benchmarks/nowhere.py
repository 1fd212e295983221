"""A tracer without a spool, so that only the work in the user's thread is measured.

Belongs to the thread of the benchmark. Invariant: every record is made in full before it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sessiontrace.capture.api_methods import Tracing
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.capture.unrecorded_span import UnrecordedSpan

__all__ = ["Nowhere"]


def _dropped(head: bytes, body: bytes) -> bool:
    return True


class Nowhere(Tracing):
    """Gives its records to ``offer``, by default to nothing. ``redact``: mask secrets."""

    off = False

    def __init__(
        self, offer: Callable[[bytes, bytes], bool] = _dropped, redact: bool = False
    ) -> None:
        self._current: ContextVar[Any] = ContextVar("benchmark", default=None)
        self.recorder: Any = TracerState(
            offer=offer,
            drop=lambda reason: None,
            current=self._current,
            session_class=Session,
            span_class=Span,
            unrecorded_class=UnrecordedSpan,
            frame_headers=FrameHeaders(b" start * ", b" event * ", b" end * "),
            source="benchmark",
            service="benchmark",
            redact=Redactor() if redact else None,
        )

    def begin(self) -> Any:
        """The recorder."""
        return self.recorder
