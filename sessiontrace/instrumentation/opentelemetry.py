"""OpenTelemetry in: a span processor that records the GenAI spans of other libraries as events.

Its methods run where spans start and end, in user code. The module needs no OTel package itself and
never touches the global provider. ``sessiontrace.otel`` is its public face.
``wire.span_reader`` reads the spans, as it does for the server. Invariant: a call that one of our
instrumentors records as well stays one event.
"""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.model_calls import open_model
from sessiontrace.instrumentation.core.placement import deeper, foreign_spans
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import SpanFields, event_type, read_span

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = ["SpanProcessor"]

_OPEN_MAX = 10_000


class _OpenSpan:
    """One OTel span that has not ended.

    ``event``: the event of the span where it is ``own``, else the event that its children go under.
    """

    __slots__ = ("event", "own", "parent")

    def __init__(self, event: Handle | None, parent: Handle | None, own: bool) -> None:
        self.event = event
        self.parent = parent
        self.own = own


class SpanProcessor:
    """Events from spans by the GenAI conventions of OTel, by OpenInference and by Traceloop.

    ``tracer``: where to record. Spans about anything else (HTTP, databases) are passed over, and
    their children go under the next one above.
    """

    def __init__(self, tracer: TracerProtocol) -> None:
        self._tracer = tracer
        self._open: dict[int, _OpenSpan] = {}
        foreign_spans.append(self)

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
        except Exception:  # as above
            pass

    def on_ending(self, span: Any) -> None:
        """Newer SDKs call this before a span ends."""

    _on_ending = on_ending

    def shutdown(self) -> None:
        """The provider shuts down; spans that are open stay open."""
        if self in foreign_spans:
            foreign_spans.remove(self)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here: the event of a span that has ended is in the spool."""
        return True

    # -- from spans to events ---------------------------------------------------------------

    def current(self, recorder: TracerState) -> Handle | None:
        """The event of the OTel span that is current here, or of the next one above."""
        trace = sys.modules.get("opentelemetry.trace")
        if trace is None or not self._open:
            return None
        open_span = self._open.get(trace.get_current_span().get_span_context().span_id)
        return None if open_span is None else open_span.event

    def __contains__(self, span_id: object) -> bool:
        return span_id in self._open

    def _recorder(self) -> TracerState | None:
        tracer = self._tracer
        return None if tracer.off else tracer.recorder or tracer.begin()

    def _started(self, span: Any) -> None:
        recorder = self._recorder()
        if recorder is None or len(self._open) >= _OPEN_MAX:
            return
        key = span.context.span_id
        if any(key in other for other in foreign_spans if other is not self):
            return  # it is an event already, by another processor
        above = self._open.get(span.parent.span_id) if span.parent is not None else None
        parent = deeper(recorder.current.get(), above.event if above is not None else None)
        kind = _event_type(span)
        if kind is None or (kind == "model" and open_model(recorder) is not None):
            self._open[key] = _OpenSpan(parent, parent, own=False)
            return
        event = Span(recorder, span.name, kind)
        event.open(parent)
        if kind != "model":  # else the program's work between a stream's chunks would go below it
            recorder.current.set(event)
        self._open[key] = _OpenSpan(event, parent, own=True)

    def _ended(self, span: Any) -> None:
        open_span = self._open.pop(span.context.span_id, None)
        if open_span is None:
            return
        event = open_span.event
        if not open_span.own:
            kind = _event_type(span)  # attributes that came after the start count too
            if kind is None or kind == "model":  # our instrumentor records the model call
                return
            recorder = self._recorder()
            if recorder is None:
                return
            event = Span(recorder, span.name, kind)
            event.open(open_span.parent)
            if span.end_time and span.start_time:
                event.start_ns -= span.end_time - span.start_time
        if event is None:
            return
        _fill(event, read_span(_received(span)))
        event.end()


def _event_type(span: Any) -> str | None:
    """The event type of a span; a session of other telemetry is a step of the session here."""
    kind = event_type(span.attributes or {})
    return "chain" if kind == "session" else kind


def _fill(event: Handle, fields: SpanFields) -> None:
    event.type = "chain" if fields.type == "session" else fields.type
    event.name = fields.name
    event.set(
        inputs=fields.inputs or None,
        outputs=UNSET if fields.outputs is None else fields.outputs,
        config=fields.config or None,
        metadata=fields.metadata,
        metrics=fields.metrics or None,
        feedback=fields.feedback or None,
        user_properties=fields.user_properties or None,
    )
    if fields.error is not None:
        event.set_error(fields.error)


def _received(span: Any) -> ReceivedSpan:
    """The SDK's span as an OTLP exporter would send it."""
    status = span.status
    return ReceivedSpan(
        trace_id=f"{span.context.trace_id:032x}",
        span_id=f"{span.context.span_id:016x}",
        parent_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        name=span.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=_attributes(span.attributes),
        resource={},
        scope="",
        failed=getattr(status.status_code, "name", "") == "ERROR",
        message=status.description or "",
        events=[(event.name, _attributes(event.attributes)) for event in span.events or ()],
    )


def _attributes(attributes: Any) -> dict[str, Any]:
    return {
        key: value if value.__class__ in _SCALARS else _plain(value)
        for key, value in (attributes or {}).items()
    }


_SCALARS = frozenset({str, int, float, bool})


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
