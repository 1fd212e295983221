"""OpenTelemetry in: a span processor that records the GenAI spans of other libraries as events.

Its methods run where spans start and end, in user code. The module needs no OTel package itself and
never touches the global provider. ``sessiontrace.otel`` is its public face.
``wire.span_reader`` reads the spans, as it does for the server. Invariant: what one of our
instrumentors, or another span, reports as well stays one event:

    a span                                    becomes
    ----------------------------------------  ----------------------------------------------------
    of a framework that an instrumentor       nothing; its children go below the event that is
    reports (``reporters``)                   current
    the same, of a model, where that          nothing where the SDK's call is an event meanwhile,
    instrumentor leaves models to SDKs        else the event
    of a model, inside a model event          nothing; it adds what the event lacks
    of a model, around a model event          the event; the calls inside add what it lacks
    of a framework's model, beside which an   a step: the SDK's call is the model event
    SDK's call is an event meanwhile
    that says at its end that it was a        nothing, or a step, where a model event opened
    model                                     beside it meanwhile; else the event
    of another processor, with the same id    nothing
    of anything else with a kind              an event
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.capture.updates import update_ended
from sessiontrace.instrumentation.core.contribution import add_missing
from sessiontrace.instrumentation.core.model_calls import open_model
from sessiontrace.instrumentation.core.placement import deeper, foreign_spans
from sessiontrace.instrumentation.core.reporters import (
    framework_of,
    is_reported,
    reports_models,
)
from sessiontrace.instrumentation.core.token_counts import TOKEN_COUNTS, summed
from sessiontrace.instrumentation.otel_sdk.kinds import kind_by_name
from sessiontrace.instrumentation.otel_sdk.log_events import readers, take_events
from sessiontrace.instrumentation.otel_sdk.sdk_span import received_span, scope_name
from sessiontrace.model.later_types import later
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.runtime.signals import raise_if_from_signal
from sessiontrace.wire.span_reader import SpanFields, event_type, read_span

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState
else:
    TracerProtocol = later("sessiontrace.capture.tracer_state", "TracerProtocol")
    TracerState = later("sessiontrace.capture.tracer_state", "TracerState")

__all__ = ["SpanProcessor"]

_OPEN_MAX = 10_000
_PAST_MAX = 1_000
_ATTEMPT = "pydantic_ai.model_request.attempt"
_SAYS_LATE = "openinference."
"""The scopes whose spans may say at their end only what they are."""


class _OpenSpan:
    """One OTel span that has not ended.

    ``event``: the event of the span where it is ``own``, else the event that its children go under.
    ``covered``: another event is about the same thing.
    """

    __slots__ = ("covered", "event", "own", "parent", "parent_id", "places")

    def __init__(
        self,
        span: Any,
        event: Handle | None,
        parent: Handle | None,
        *,
        own: bool,
        covered: bool = False,
    ) -> None:
        self.event = event
        self.parent = parent
        self.own = own
        self.covered = covered
        self.parent_id: int | None = None if span.parent is None else span.parent.span_id
        self.places: set[int] = set()


class SpanProcessor:
    """Events from spans by the GenAI conventions of OTel, by OpenInference and by Traceloop.

    ``tracer``: where to record. Spans about anything else (HTTP, databases) are passed over, and
    their children go under the next one above.
    """

    def __init__(self, tracer: TracerProtocol) -> None:
        self._tracer = tracer
        self._open: dict[int, _OpenSpan] = {}
        self._undecided: dict[int, list[_OpenSpan]] = {}  # those of no kind yet, by their places
        self._events: set[str] = set()  # the ids of the events that are open here
        self._past: LruCache[int | str, Handle] = LruCache(_PAST_MAX)  # by span, and by answer
        foreign_spans.append(self)
        readers.add(self)

    # -- the interface of OpenTelemetry -----------------------------------------------------

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span has started."""
        try:
            self._started(span)
        except Exception as fault:  # the program's span goes on without an event
            raise_if_from_signal(fault)

    def on_end(self, span: Any) -> None:
        """A span has ended, with all its attributes."""
        try:
            self._ended(span)
        except Exception as fault:  # as above
            raise_if_from_signal(fault)

    def on_ending(self, span: Any) -> None:
        """Newer SDKs call this before a span ends."""

    _on_ending = on_ending

    def shutdown(self) -> None:
        """The provider shuts down; spans that are open stay open."""
        if self in foreign_spans:
            foreign_spans.remove(self)
        readers.discard(self)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here: the event of a span that has ended is in the spool."""
        return True

    # -- from spans to events ---------------------------------------------------------------

    def current(self, recorder: TracerState) -> Handle | None:
        """The event of the OTel span that is current here, or of the next one above."""
        open_span = self._open.get(_current_span_id()) if self._open else None
        if open_span is None or open_span.own:
            return None if open_span is None else open_span.event
        here = recorder.current.get()  # what has opened inside of the span, which has no event
        while here is not None and (here.state != OPEN or here.event_id in self._events):
            here = here.parent
        return deeper(here, open_span.event)

    def __contains__(self, span_id: object) -> bool:
        return span_id in self._open

    def event_of(self, span_id: int) -> Handle | None:
        """The event that the children of an open span go below."""
        open_span = self._open.get(span_id)
        return None if open_span is None else open_span.event

    def model_opened(self, event: Handle) -> None:
        """A model event has opened: a span around it that says later what it is, is that call."""
        for open_span in self._undecided.get(id(event.parent), ()):
            open_span.covered = open_span.event is not event

    def _wait(self, open_span: _OpenSpan, *places: Handle | None) -> None:
        """Look out for model events that open below these places until the span has ended."""
        open_span.places = {id(place) for place in places}
        for key in open_span.places:
            self._undecided.setdefault(key, []).append(open_span)

    def _decided(self, open_span: _OpenSpan) -> None:
        for key in open_span.places:
            undecided = self._undecided[key]
            undecided.remove(open_span)
            if not undecided:
                del self._undecided[key]

    def _recorder(self) -> TracerState | None:
        tracer = self._tracer
        return None if tracer.off else tracer.recorder or tracer.begin()

    def _started(self, span: Any) -> None:
        recorder = self._recorder()
        if recorder is None or len(self._open) >= _OPEN_MAX:
            return
        key = span.context.span_id
        if any(key in other for other in foreign_spans):
            return  # it is an event already, by this processor or another
        here = self._here(recorder, span)
        parent = deeper(here, None if span.parent is None else _event_of(span.parent.span_id))
        scope = scope_name(span)
        kind = _event_type(span) or kind_by_name(span.name, scope)
        outer = open_model(recorder, parent) if kind == "model" else None
        reported = is_reported(scope)
        if reported and kind == "model" and outer is None and not reports_models(scope):
            open_span = self._open[key] = _OpenSpan(span, parent, parent, own=False)
            self._wait(open_span, parent)
            return
        if reported or (outer is not None and _ATTEMPT not in span.attributes):
            self._open[key] = _OpenSpan(span, outer or parent, parent, own=False, covered=True)
            return
        late = kind is None and scope.startswith(_SAYS_LATE)
        if kind is None and not late:
            open_span = self._open[key] = _OpenSpan(span, parent, parent, own=False)
            self._wait(open_span, parent)
            return
        event = Span(recorder, span.name, kind or "chain")
        event.open(parent)
        open_span = self._open[key] = _OpenSpan(span, event, parent, own=True)
        self._events.add(event.event_id)
        if late:
            self._wait(open_span, event, here, parent)
        elif kind != "model":  # else the program's work between a stream's chunks would go below it
            recorder.current.set(event)
        elif framework_of(scope) is not None:
            self._wait(open_span, parent)
        else:
            for tracing in foreign_spans:
                tracing.model_opened(event)

    def _here(self, recorder: TracerState, span: Any) -> Handle | None:
        """The current event, but for those of spans that this one is not inside of.

        A span that was started without becoming current leaves its event current all the same.
        """
        around = set()
        for span_id in (_current_span_id(), span.parent and span.parent.span_id):
            while (open_span := self._open.get(span_id or 0)) is not None:
                around.add(id(open_span.event))
                span_id = open_span.parent_id
        here = recorder.current.get()
        while here is not None and here.event_id in self._events and id(here) not in around:
            here = here.parent
        return here

    def _ended(self, span: Any) -> None:
        open_span = self._open.pop(span.context.span_id, None)
        if open_span is None:
            return
        self._decided(open_span)
        event = open_span.event
        events = take_events(span)
        kind = _event_type(span)  # attributes that came after the start count too
        if open_span.own and event is not None:
            self._events.discard(event.event_id)
            fields = read_span(received_span(span, events))
            if fields.type in CALL_TYPES and (open_span.covered or _is_step(span, fields)):
                fields = _as_step(span, fields)
            fields = _with_provider(event, fields)
        else:
            if kind in CALL_TYPES and event is not None and event.type in CALL_TYPES:
                _complete(event, read_span(received_span(span, events)))
            recorder = self._recorder()
            if kind is None or open_span.covered or recorder is None:
                return
            event = Span(recorder, span.name, kind)
            event.open(open_span.parent)
            if span.end_time and span.start_time:
                event.start_ns -= span.end_time - span.start_time
            fields = read_span(received_span(span, events))
        _fill(event, fields)
        event.end()
        self._past.put(span.context.span_id, event)
        if isinstance(answer := fields.metadata.get("response_id"), str):
            self._past.put(answer, event)

    def add_scores(self, key: tuple[int, int] | str, scores: dict[str, Any]) -> bool:
        """Add scores to the event of a span that has ended; whether the event is here."""
        event = self._past.get(key if isinstance(key, str) else key[1])
        if event is not None:
            update_ended(event, dict(scores))
        return event is not None


def _event_of(span_id: int) -> Handle | None:
    """The event of a span that is open, by whichever processor has it."""
    for tracing in foreign_spans:
        if (event := tracing.event_of(span_id)) is not None:
            return event
    return None


def _current_span_id() -> int:
    trace = sys.modules.get("opentelemetry.trace")
    return 0 if trace is None else int(trace.get_current_span().get_span_context().span_id)


def _is_step(span: Any, fields: SpanFields) -> bool:
    """Whether a framework's span of a model's method is about no call: no answer and no tokens."""
    return (
        fields.error is None
        and "role" not in (fields.outputs or {})
        and "choices" not in (fields.outputs or {})
        and not any(name in fields.metadata for name in TOKEN_COUNTS)
        and framework_of(scope_name(span)) is not None
    )


def _as_step(span: Any, fields: SpanFields) -> SpanFields:
    """A model's span as the step around the model event."""
    metadata = {name: fields.metadata[name] for name in fields.metadata if name not in TOKEN_COUNTS}
    return fields._replace(type="chain", name=span.name, metadata=metadata)


def _with_provider(event: Handle, fields: SpanFields) -> SpanFields:
    """The provider that the SDK inside has named: a framework's span may name the framework."""
    provider = (event.field_group("config") or {}).get("provider")
    return (
        fields
        if provider is None
        else fields._replace(config={**fields.config, "provider": provider})
    )


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


def _complete(event: Handle, fields: SpanFields) -> None:
    """Add what a span inside a model event knows beyond it; its tokens are the event's."""
    if event.lacks("inputs"):
        event.set(inputs=fields.inputs or None)
    if fields.outputs is not None and event.lacks("outputs"):
        event.set(outputs=fields.outputs)
    metadata = {name: value for name, value in fields.metadata.items() if name != "error"}
    counted = event.field_group("metadata") or {}
    counts = {} if any(name in counted for name in TOKEN_COUNTS) else summed({}, metadata)
    add_missing(event, fields.config, metadata, counts, fields.metrics or None)
