"""Capture without a pipeline: a tracer whose records land in ``sessiontrace.testing.Captured``."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from sessiontrace import testing
from sessiontrace.capture.decorators.function import TraceOptions, decorate
from sessiontrace.capture.first_use import Session, Span, UnrecordedSpan
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import Handle
from sessiontrace.capture.tracer_state import TracerState

__all__ = ["Captured"]


class Captured:
    """A tracer. ``records``: what it recorded, as ``(kind, record)``; ``bodies``: as bytes."""

    def __init__(self, **options: Any) -> None:
        self.off = False
        self.captured = testing.Captured()
        self.records = self.captured.records
        self.drops = self.captured.dropped
        self.bodies: list[bytes] = []
        self.current: ContextVar[Handle | None] = ContextVar("captured", default=None)
        self.recorder: TracerState = TracerState(
            offer=self._offer,
            holds=self.captured.holds,
            drop=self.drops.append,
            current=self.current,
            session_class=Session,
            span_class=Span,
            unrecorded_class=UnrecordedSpan,
            frame_headers=FrameHeaders(b"start", b"event", b"end", b"update"),
            source="test",
            service="tests",
            **options,
        )

    def _offer(self, header: bytes, body: bytes) -> bool:
        accepted = self.captured.offer(header, body)
        self.bodies.append(body)
        return accepted

    def begin(self) -> TracerState | None:
        return self.recorder

    def session(self, name: str = "session", **arguments: Any) -> Session:
        return Session(self, name, **arguments)

    def span(self, name: str = "span", type: str = "chain", **arguments: Any) -> Span:
        return Span(self.recorder, name, type, **arguments)

    def trace(self, fn: Any = None, /, **options: Any) -> Any:
        trace_options = TraceOptions(**options)
        if fn is None:
            return lambda fn: decorate(self, fn, trace_options)
        return decorate(self, fn, trace_options)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [body for record_kind, body in self.records if record_kind == kind]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.captured.events

    def event(self, name: str) -> dict[str, Any]:
        """The one event of that name."""
        (event,) = (event for event in self.events if event["event_name"] == name)
        return event

    def parent_of(self, name: str) -> str:
        """The name of the event or session that is the parent of that event."""
        parent_id = self.event(name)["parent_id"]
        for body in [*self.events, *self.of("start")]:
            if body["event_id"] == parent_id:
                return str(body["event_name"])
        raise AssertionError(f"{name} has a parent that was never recorded: {parent_id}")
