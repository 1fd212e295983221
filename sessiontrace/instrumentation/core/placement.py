"""Where an event belongs: below the innermost open span, whichever system reports it.

Runs on the thread of the call. Invariant: a span that has ended is never a parent, whatever the
context says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sessiontrace.capture.handle import OPEN, Handle

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerState

__all__ = ["ForeignSpans", "deeper", "foreign_spans", "innermost", "is_inside_agent"]


class ForeignSpans(Protocol):
    """Another tracing system, whose open spans have events here."""

    def current(self, recorder: TracerState) -> Handle | None:
        """The event that a call made here belongs below; None where that system has no span."""
        ...

    def event_of(self, span_id: int) -> Handle | None:
        """The event that the children of an open span go below."""
        ...

    def model_opened(self, event: Handle) -> None:
        """A model event has opened here, which a span of that system may be about, too."""
        ...

    def __contains__(self, span_id: object) -> bool:
        """Whether this span of OpenTelemetry is open there."""
        ...


foreign_spans: list[ForeignSpans] = []
"""The other tracing systems that ``innermost`` asks."""


def innermost(recorder: TracerState) -> Handle | None:
    """The innermost open span of this context; one that ended in another context is skipped."""
    span = recorder.current.get()
    while span is not None and span.state != OPEN:
        span = span.parent
    for tracing in foreign_spans:
        span = tracing.current(recorder) or span
    return span


def deeper(here: Handle | None, reported: Handle | None) -> Handle | None:
    """Of two candidates for a parent the one that is inside the other; else the reported one.

    ``here``: the span that is open in this context. ``reported``: the one that a library reports.
    """
    if here is None or reported is None:
        return here or reported
    span: Handle | None = here
    while span is not None:
        if span is reported:
            return here
        span = span.parent
    return reported


def is_inside_agent(span: Handle | None, name: str) -> bool:
    """Whether the next agent around is the one of this name, without a tool in between.

    For agents with several methods, of which one calls the other: one turn is one event.
    """
    while span is not None and span.type != "tool":
        if span.type == "agent":
            return span.name == name
        span = span.parent
    return False
