"""Pydantic AI: its agents get a tracer provider whose spans become events.

The provider runs inside the runs. It needs OTel's API, which Pydantic AI depends on, and no OTel
SDK. Invariant: the global provider is never touched, and an agent with settings of its own keeps
them.
"""

from __future__ import annotations

import random
import time
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder


class PydanticAi:
    """The instrumentor of pydantic-ai."""

    def __init__(self) -> None:
        self._agent: Any = None
        self._processor: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Instrument all agents with a provider whose spans become events."""
        if self._agent is not None:
            return
        from opentelemetry import trace
        from pydantic_ai.models.instrumented import InstrumentationSettings

        from sessiontrace.instrumentation.opentelemetry import SpanProcessor

        self._processor = SpanProcessor(calls.tracer)
        provider = _provider(trace, self._processor)
        settings = InstrumentationSettings(tracer_provider=provider, include_content=True)
        self._agent = module.Agent
        self._agent.instrument_all(settings)

    def uninstall(self) -> None:
        """Stop instrumenting agents."""
        if self._agent is not None:
            self._agent.instrument_all(False)
            self._processor.shutdown()
            self._agent = None


ENTRY = Entry(name="pydantic-ai", target="pydantic_ai", make=PydanticAi)


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

    def __init__(self, name: str, context: Any, parent: Any, attributes: Any, end: Any) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.status = _Status()
        self.events: list[_Event] = []
        self.start_time = time.time_ns()
        self.end_time = 0
        self._end = end

    def get_span_context(self) -> Any:
        """The span's ids."""
        return self.context

    def is_recording(self) -> bool:
        """Whether the span has not ended."""
        return not self.end_time

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.attributes[key] = value

    def set_attributes(self, attributes: Any) -> None:
        """Set several attributes."""
        self.attributes.update(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: Any = None) -> None:
        """Add an event."""
        self.events.append(_Event(name, attributes))

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        """Add an exception, as an event."""
        kind = type(exception).__qualname__
        self.add_event("exception", {"exception.type": kind, "exception.message": str(exception)})

    def set_status(self, status: Any, description: Any = None) -> None:
        """Set a status object, or a code and its description."""
        code = getattr(status, "status_code", status)
        self.status = _Status(code, getattr(status, "description", None) or description)

    def update_name(self, name: str) -> None:
        """Rename the span."""
        self.name = name

    def end(self, end_time: Any = None) -> None:
        """End the span; later calls do nothing."""
        if not self.end_time:
            self.end_time = time.time_ns()
            self._end(self)

    def __exit__(self, exc_type: object, error: BaseException | None, tb: object) -> None:
        if error is not None:
            self.record_exception(error)
        self.end()


def _provider(trace: Any, processor: Any) -> Any:
    """A tracer provider of OTel's API whose spans go to ``processor``."""
    span_class: Any = type("Span", (_SpanMethods, trace.Span), {})
    use_span = trace.use_span

    def start_span(self: Any, name: str, context: Any = None, *args: Any, **options: Any) -> Any:
        current = trace.get_current_span(context).get_span_context()
        parent = current if current.is_valid else None
        ids = trace.SpanContext(
            parent.trace_id if parent is not None else random.getrandbits(128) or 1,
            random.getrandbits(64) or 1,
            is_remote=False,
            trace_flags=trace.TraceFlags(1),
        )
        attributes = options.get("attributes", args[1] if len(args) > 1 else None)
        span = span_class(name, ids, parent, attributes, processor.on_end)
        processor.on_start(span)
        return span

    def start_as_current_span(self: Any, name: str, *args: Any, **options: Any) -> Any:
        end_on_exit = options.pop("end_on_exit", True)
        use_options = {
            option: options.pop(option)
            for option in ("record_exception", "set_status_on_exception")
            if option in options
        }
        return use_span(start_span(self, name, *args, **options), end_on_exit, **use_options)

    tracer_class: Any = type(
        "Tracer",
        (trace.Tracer,),
        {"start_span": start_span, "start_as_current_span": start_as_current_span},
    )
    provider_class: Any = type(
        "TracerProvider",
        (trace.TracerProvider,),
        {"get_tracer": lambda self, *args, **options: tracer_class()},
    )
    return provider_class()
