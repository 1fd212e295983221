"""A tracer of OpenTelemetry's API whose spans become events, beside another tracer or alone.

    a framework ──start_span──> Tracer ──> a span of the user's tracer, where there is one
                                  │
                                  └──────> SpanProcessor ──> an event

For frameworks that trace themselves: Pydantic AI, Strands, Google ADK. The classes run inside the
runs. They need OTel's API, which these frameworks depend on, and no OTel SDK. Invariant: the user's
tracer gets every call that it would get without us, and a span that a processor of the user's
provider records already is not recorded here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from sessiontrace.instrumentation.opentelemetry import SpanProcessor

__all__ = ["Tracing"]

Completion = Callable[[dict[str, Any]], dict[str, Any]]


class Tracing:
    """The tracers that record to ``processor``. ``active``: False once uninstalled.

    ``completion``: called where a span starts; returns what adds attributes to those that the span
    has at its end, or None.
    """

    def __init__(
        self,
        api: Any,
        processor: SpanProcessor,
        completion: Callable[[], Completion | None] | None = None,
    ) -> None:
        self.active: bool = True
        self.completion = completion
        self._api = api
        self._processor = processor
        self._span_class: Any = type("Span", (_SpanMethods, api.Span), {})
        self._tracer_class: Any = type("Tracer", (_TracerMethods, api.Tracer), {})
        self._provider_class: Any = type(
            "TracerProvider", (_ProviderMethods, api.TracerProvider), {}
        )

    def beside(self, tracer: Any, scope: str = "") -> Any:
        """A tracer that hands on to ``tracer`` (None: to no other) what it records.

        ``scope``: the name of the library that makes the spans.
        """
        return tracer if self.has_made(tracer) else self._tracer_class(self, tracer, scope)

    def has_made(self, tracer: Any) -> bool:
        """Whether the tracer is one of these."""
        return isinstance(tracer, self._tracer_class)

    def provider(self) -> Any:
        """A provider of tracers that hand on to no other."""
        return self._provider_class(self)

    def is_of(self, span: Any) -> bool:
        """Whether the span records here."""
        return isinstance(span, self._span_class)

    def current_span(self) -> Any:
        """OpenTelemetry's current span."""
        return self._api.get_current_span()

    def lacks(self, span: Any, group: str) -> bool:
        """Whether the event of an open span has no such field yet."""
        event = self._processor.event_of(span.context.span_id)
        return event is None or event.lacks(group)

    def stop(self) -> None:
        """Record nothing more; what is handed on goes on."""
        self.active = False
        self._processor.shutdown()

    def start(self, theirs: Any, name: str, context: Any, attributes: Any, scope: str = "") -> Any:
        """A span that records, around the span ``theirs`` (None: without another)."""
        api = self._api
        current = api.get_current_span(context).get_span_context()
        parent = current if current.is_valid else None
        ids = None if theirs is None else theirs.get_span_context()
        if ids is None or not ids.is_valid or (parent and ids.span_id == parent.span_id):
            theirs = None  # there is no SDK: the API gives the parent's ids to its children
            ids = api.SpanContext(
                parent.trace_id if parent is not None else random.getrandbits(128) or 1,
                random.getrandbits(64) or 1,
                is_remote=False,
                trace_flags=api.TraceFlags(1),
            )
        span = self._span_class(name, ids, parent, attributes, theirs, self._processor.on_end)
        if scope:
            span.instrumentation_scope = _Scope(scope)
        if self.completion is not None:
            span.completion = self.completion()
        self._processor.on_start(span)
        return span

    def use(self, span: Any, options: dict[str, Any]) -> Any:
        """Make a span current for a ``with`` block."""
        return self._api.use_span(span, **options)


class _ProviderMethods:
    """The method of a tracer provider; mixed with the abstract class of OTel's API."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def get_tracer(self, *args: Any, **options: Any) -> Any:
        """A tracer that hands on to no other."""
        return self._tracing.beside(None)


class _TracerMethods:
    """The methods of a tracer; mixed with the abstract class of OTel's API."""

    def __init__(self, tracing: Tracing, theirs: Any, scope: str) -> None:
        self._tracing = tracing
        self._scope = scope
        self.theirs = theirs

    def start_span(self, name: str, context: Any = None, *args: Any, **options: Any) -> Any:
        """Start a span."""
        theirs = self.theirs
        span = None if theirs is None else theirs.start_span(name, context, *args, **options)
        if not self._tracing.active and span is not None:
            return span
        attributes = options.get("attributes", args[1] if len(args) > 1 else None)
        return self._tracing.start(span, name, context, attributes, self._scope)

    def start_as_current_span(self, name: str, *args: Any, **options: Any) -> Any:
        """Start a span that is current for a ``with`` block."""
        use_options: dict[str, Any] = {
            option: options.pop(option)
            for option in ("end_on_exit", "record_exception", "set_status_on_exception")
            if option in options
        }
        use_options.setdefault("end_on_exit", True)
        return self._tracing.use(self.start_span(name, *args, **options), use_options)


class _Scope:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Status:
    __slots__ = ("description", "status_code")

    def __init__(self, status_code: Any = None, description: Any = None) -> None:
        self.status_code = status_code
        self.description = description


class _Event:
    __slots__ = ("attributes", "name")

    def __init__(self, name: str, attributes: Any) -> None:
        self.name = name
        self.attributes = attributes or {}


class _SpanMethods:
    """The methods of a span; mixed with the abstract class of OTel's API."""

    def __init__(
        self, name: str, context: Any, parent: Any, attributes: Any, theirs: Any, end: Any
    ) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.status = _Status()
        self.events: list[_Event] = []
        self.start_time = time.time_ns()
        self.end_time = 0
        self._theirs = theirs
        self._end = end
        self.completion: Completion | None = None

    def __getattr__(self, name: str) -> Any:  # what the SDK's spans have beside the API
        theirs = self.__dict__.get("_theirs")
        if theirs is None:
            raise AttributeError(name)
        return getattr(theirs, name)

    def get_span_context(self) -> Any:
        """The span's ids."""
        return self.context

    def is_recording(self) -> bool:
        """Whether the span has not ended."""
        return not self.end_time

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.attributes[key] = value
        if self._theirs is not None:
            self._theirs.set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        """Set several attributes."""
        self.attributes.update(attributes)
        if self._theirs is not None:
            self._theirs.set_attributes(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: Any = None) -> None:
        """Add an event."""
        self.events.append(_Event(name, attributes))
        if self._theirs is not None:
            self._theirs.add_event(name, attributes, timestamp)

    def add_link(self, context: Any, attributes: Any = None) -> None:
        """Add a link, which no event has."""
        if self._theirs is not None:
            self._theirs.add_link(context, attributes)

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        """Add an exception, as an event."""
        kind = type(exception).__qualname__
        fields = {"exception.type": kind, "exception.message": str(exception)}
        self.events.append(_Event("exception", fields))
        if self._theirs is not None:
            self._theirs.record_exception(exception, *args, **kwargs)

    def set_status(self, status: Any, description: Any = None) -> None:
        """Set a status object, or a code and its description."""
        code = getattr(status, "status_code", status)
        self.status = _Status(code, getattr(status, "description", None) or description)
        if self._theirs is not None:
            self._theirs.set_status(status, description)

    def update_name(self, name: str) -> None:
        """Rename the span."""
        self.name = name
        if self._theirs is not None:
            self._theirs.update_name(name)

    def end(self, end_time: Any = None) -> None:
        """End the span; later calls do nothing."""
        if self._theirs is not None:
            self._theirs.end(end_time)
        if not self.end_time:
            self.end_time = time.time_ns()
            if self.completion is not None:
                self.attributes.update(self.completion(self.attributes))
            self._end(self)

    def __exit__(self, exc_type: object, error: BaseException | None, tb: object) -> None:
        if error is not None:
            self.record_exception(error)
        self.end()
