"""OpenTelemetry in: a span processor that makes events of the GenAI spans of other libraries.

Its methods run where spans start and end, in user code. It needs no OTel package itself and never
touches the global provider: ``provider.add_span_processor(st.otel.SpanProcessor())``. Invariant: a
call that is recorded by an instrumentor of ours as well stays one event.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core import model_calls
from sessiontrace.wire.span_reader import Event, event_of, type_of

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = ["SpanProcessor"]

_OPEN_MAX = 10_000


class _Open:
    """One OTel span that has not ended. ``span``: its event, or the one its children go under."""

    __slots__ = ("own", "parent", "span", "start")

    def __init__(self, span: Handle | None, parent: Handle | None, own: bool) -> None:
        self.span = span
        self.parent = parent
        self.own = own
        self.start = span.start_ns if span is not None and own else 0


class SpanProcessor:
    """Events from spans by the GenAI conventions of OTel, by OpenInference and by Traceloop.

    ``tracer``: where to record, default the tracer of the module's functions. Spans about anything
    else (HTTP, databases) are passed over, and their children go under the next one above.
    """

    def __init__(self, tracer: TracerProtocol | None = None) -> None:
        if tracer is None:
            from sessiontrace import api

            tracer = api.default_tracer
        self._switch = tracer
        self._open: dict[int, _Open] = {}
        self._lock = threading.Lock()
        model_calls.foreign_spans.append(self)

    # -- the interface of OpenTelemetry -----------------------------------------------------

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span has started."""
        try:
            self._started(span)
        except Exception:  # the program's span goes on without an event
            pass

    def on_end(self, span: Any) -> None:
        """A span has ended, with all its attributes."""
        try:
            self._ended(span)
        except Exception:
            pass

    def on_ending(self, span: Any) -> None:
        """Newer SDKs call this before a span ends."""

    _on_ending = on_ending

    def shutdown(self) -> None:
        """The provider shuts down; what is open stays open."""
        if self in model_calls.foreign_spans:
            model_calls.foreign_spans.remove(self)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here: events are in the spool when their span has ended."""
        return True

    # -- from spans to events ---------------------------------------------------------------

    def current(self, recorder: TracerState) -> Handle | None:
        """The event of the OTel span that is current here, or of the next one above."""
        trace = sys.modules.get("opentelemetry.trace")
        if trace is None or not self._open:
            return None
        held = self._open.get(trace.get_current_span().get_span_context().span_id)
        return None if held is None else held.span

    def _recorder(self) -> TracerState | None:
        switch = self._switch
        return None if switch.off else switch.recorder or switch.begin()

    def _started(self, span: Any) -> None:
        recorder = self._recorder()
        if recorder is None or len(self._open) >= _OPEN_MAX:
            return
        key = span.context.span_id
        above = self._open.get(span.parent.span_id) if span.parent is not None else None
        parent = _deeper(recorder.current.get(), above.span if above is not None else None)
        kind = type_of(span.attributes or {})
        if kind is None or (kind == "model" and model_calls.open_model(recorder) is not None):
            self._open[key] = _Open(parent, parent, own=False)
            return
        event = Span(recorder, span.name, kind)
        event.open(parent)
        if kind != "model":  # else what the program does while it reads a stream would be below
            recorder.current.set(event)
        self._open[key] = _Open(event, parent, own=True)

    def _ended(self, span: Any) -> None:
        held = self._open.pop(span.context.span_id, None)
        if held is None:
            return
        found = event_of(span.name, span.attributes or {})
        event = held.span
        if not held.own:
            if found is None or found.type == "model":  # told by the layer above
                return
            recorder = self._recorder()
            if recorder is None:
                return
            event = Span(recorder, found.name, found.type)
            event.open(held.parent)
        if event is None:
            return
        if found is not None:
            _fill(event, found)
        event.set(metadata={"otel": _ids(span)})
        _tell_error(event, span)
        if not held.own and span.end_time and span.start_time:
            event.start_ns -= span.end_time - span.start_time
        event.end()


def _deeper(ours: Handle | None, theirs: Handle | None) -> Handle | None:
    """Of two candidates for a parent the one that is inside the other."""
    if ours is None or theirs is None:
        return ours or theirs
    span: Handle | None = ours
    while span is not None:
        if span is theirs:
            return ours
        span = span.parent
    return theirs


def _fill(event: Handle, found: Event) -> None:
    event.type = found.type
    event.name = found.name
    event.set(
        inputs=found.inputs or None,
        outputs=UNSET if found.outputs is None else found.outputs,
        config=found.config or None,
        metadata=found.metadata or None,
        metrics=found.metrics or None,
        user_properties=found.user_properties or None,
    )


def _ids(span: Any) -> dict[str, str]:
    context = span.context
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _tell_error(event: Handle, span: Any) -> None:
    """A status of ERROR: its description, else the exception's message, else its type."""
    status = span.status
    if getattr(status.status_code, "name", "") != "ERROR":
        return
    attributes = span.attributes or {}
    kind = attributes.get("error.type")
    message = status.description
    for one in span.events or ():
        if one.name == "exception":
            kind = kind or one.attributes.get("exception.type")
            message = message or one.attributes.get("exception.message")
    event.set_error(str(message or kind or "error"))
    event.set(metadata={"error": {"type": str(kind or "error"), "message": str(message or "")}})
