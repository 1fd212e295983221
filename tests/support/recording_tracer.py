"""Capture without a pipeline: a switch and a recorder whose records land in a list."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import orjson

from sessiontrace.capture.decorators.function import TraceOptions, decorate
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import Handle
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState

__all__ = ["Captured"]


class Captured:
    """What a tracer is to capture: ``off``, ``recorder``, ``begin``. ``records`` hold the rest."""

    def __init__(self, **options: Any) -> None:
        self.off = False
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.bodies: list[bytes] = []
        self.drops: list[str] = []
        self.current: ContextVar[Handle | None] = ContextVar("captured", default=None)
        self.recorder: TracerState = TracerState(
            offer=self._offer,
            drop=self.drops.append,
            current=self.current,
            new_session=Session,
            frame_headers=FrameHeaders(b"start", b"event", b"end", b"update"),
            source="test",
            service="tests",
            **options,
        )

    def _offer(self, head: bytes, body: bytes) -> bool:
        self.bodies.append(body)
        self.records.append((head.decode(), orjson.loads(body)))
        return True

    def begin(self) -> TracerState | None:
        return self.recorder

    def session(self, name: str = "session", **given: Any) -> Session:
        return Session(self, name, **given)

    def span(self, name: str = "span", type: str = "chain", **given: Any) -> Span:
        return Span(self.recorder, name, type, **given)

    def trace(self, fn: Any = None, /, **plan: Any) -> Any:
        made = TraceOptions(**plan)
        return (lambda fn: decorate(self, fn, made)) if fn is None else decorate(self, fn, made)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [body for found, body in self.records if found == kind]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.of("event")

    def event(self, name: str) -> dict[str, Any]:
        """The one event of that name."""
        (found,) = (event for event in self.events if event["event_name"] == name)
        return found

    def parent_of(self, name: str) -> str:
        """The name of the event or session that is the parent of that event."""
        wanted = self.event(name)["parent_id"]
        for body in [*self.events, *self.of("start")]:
            if body["event_id"] == wanted:
                return str(body["event_name"])
        raise AssertionError(f"{name} has a parent that was never recorded: {wanted}")
