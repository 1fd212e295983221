"""A tracer that keeps its records in a list, for tests that look at single events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import orjson

from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import Handle
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.instrumentation.registry import Instruments

__all__ = ["Listening", "listening_to"]


class Listening:
    """A switch (what capture asks for a recorder) whose records are decoded at once."""

    def __init__(self) -> None:
        self.off = False
        self.records: list[tuple[bytes, dict[str, Any]]] = []
        current: ContextVar[Handle | None] = ContextVar("test.current", default=None)
        self.recorder: TracerState | None = TracerState(
            offer=self._offer,
            drop=lambda reason: None,
            current=current,
            new_session=Session,
            frame_headers=FrameHeaders(b"start", b"event", b"end"),
            source="test",
            service="test",
        )

    def begin(self) -> TracerState | None:
        """The recorder, which is always there."""
        return self.recorder

    def _offer(self, head: bytes, body: bytes) -> bool:
        self.records.append((head, orjson.loads(body)))
        return True

    def session(self, name: str = "test") -> Session:
        """A session that is recorded here."""
        return Session(self, name)

    def span(self, name: str, type: str = "chain") -> Span:
        """A span that is recorded here."""
        assert self.recorder is not None
        return Span(self.recorder, name, type)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The finished events, in order."""
        return [body for head, body in self.records if head == b"event"]

    @property
    def model(self) -> dict[str, Any]:
        """The one model event; the test fails when there are none or several."""
        models = [event for event in self.events if event["event_type"] == "model"]
        assert len(models) == 1, [event["event_name"] for event in self.events]
        return models[0]


@contextmanager
def listening_to(*names: str, waiting: bool = False) -> Iterator[Listening]:
    """What these libraries do is heard; the test fails when the first of them is not there.

    ``waiting``: it need not be imported yet.
    """
    listening = Listening()
    instruments = Instruments(listening)
    report = instruments.add(names, ())
    found = {**report.active, **report.waiting} if waiting else report.active
    assert names[0] in found, str(report)
    try:
        yield listening
    finally:
        instruments.remove()
