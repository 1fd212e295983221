"""OpenTelemetry in, for programs that stay on its SDK: ended spans go into our spool.

``export`` runs in a batch processor's thread, or with a simple one in the user's. The module needs
OTel's package only where it is called. ``sessiontrace.otel`` is its public face. Invariant: SUCCESS
means that the records of all spans are in the spool; what is not there is counted with a reason.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from sessiontrace.capture.tracer_state import TracerProtocol, TracerState
from sessiontrace.instrumentation.otel_sdk.exported_trace import ExportedSpan, ExportedTrace
from sessiontrace.instrumentation.otel_sdk.log_events import readers, take_events
from sessiontrace.instrumentation.otel_sdk.sdk_span import attributes_of, received_span
from sessiontrace.model.ids import is_uuid
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signals import raise_if_from_signal
from sessiontrace.wire.received_span import Attributes, ReceivedSpan

__all__ = ["DeliveringTracer", "SpanExporter"]

_TRACES_MAX = 4_000
_PAST_MAX = 1_000
Key = tuple[int, int] | str

_OURS = "st"  # our member of the trace state


class DeliveringTracer(TracerProtocol, Protocol):
    """A tracer, as the exporter sees it."""

    exit_timeout: float

    def flush(self, timeout: float) -> Any:
        """Send everything recorded before this call; true when that is done."""
        ...

    def keep_open(self, holder: object) -> None:
        """Stay open at exit for what ``holder`` reports then, until ``let_close``."""
        ...

    def let_close(self, holder: object) -> None:
        """End ``keep_open``."""
        ...


class SpanExporter:
    """A ``SpanExporter`` of OTel's SDK. ``tracer``: where to record.

    Every span becomes an event, each trace a session. Pass it to a ``BatchSpanProcessor`` or a
    ``SimpleSpanProcessor``.
    """

    def __init__(self, tracer: DeliveringTracer) -> None:
        self._tracer = tracer
        self._traces: LruCache[str, ExportedTrace] = LruCache(_TRACES_MAX)
        self._past: LruCache[Key, tuple[ExportedTrace, str]] = LruCache(_PAST_MAX)  # spans
        self._lock = ReentrantLock()
        self._pid = os.getpid()
        self._is_shut = False
        readers.add(self)
        tracer.keep_open(self)

    def export(self, spans: Sequence[Any]) -> Any:
        """Record spans that have ended; FAILURE where one of them is not in the spool."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        return SpanExportResult.SUCCESS if self._export(spans) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was exported; whether every destination has it within the time."""
        return bool(self._tracer.flush(timeout_millis / 1000))

    def shutdown(self) -> None:
        """Deliver what was exported, within ``exit_timeout``; later spans are dropped.

        The tracer stays open for the program's other records.
        """
        if not self._is_shut:
            self._is_shut = True
            self._tracer.flush(self._tracer.exit_timeout)
            self._tracer.let_close(self)

    def add_scores(self, key: Key, scores: dict[str, Any]) -> bool:
        """Add scores to the event of a span that was exported; whether it was."""
        past = self._past.get(key)
        if past is None:
            return False
        trace, span_id = past
        trace.update(span_id, scores)
        return True

    # -- the way of a span ------------------------------------------------------------------

    def _export(self, spans: Sequence[Any]) -> bool:
        tracer = self._tracer
        recorder = None if tracer.off else tracer.recorder or tracer.begin()
        if recorder is None:
            return False
        if self._is_shut:
            for _ in spans:
                recorder.drop("closed")
            return False
        complete = True
        by_trace: dict[str, list[ExportedSpan]] = {}
        resources: dict[int, Attributes] = {}  # most spans of a batch have the same
        for span in spans:
            try:
                exported = _exported(span, resources)
                by_trace.setdefault(exported.span.trace_id, []).append(exported)
            except Exception as fault:
                raise_if_from_signal(fault)
                complete = _count(recorder)
        if self._pid != os.getpid():  # a fork may have copied the lock while it was held
            self._lock, self._pid = ReentrantLock(), os.getpid()
        with self._lock:
            for trace_id, group in by_trace.items():
                complete &= self._offer(recorder, trace_id, group)
        return complete

    def _offer(self, recorder: TracerState, trace_id: str, spans: list[ExportedSpan]) -> bool:
        try:
            trace = self._traces.get(trace_id)
            if trace is None:
                trace = ExportedTrace(recorder, trace_id, spans)
            elif trace.recorder.inert:  # in a forked child
                trace.recorder = recorder
            self._traces.put(trace_id, trace)
            for exported in spans:
                self._remember(trace, exported.span)
            return trace.offer(spans)
        except Exception as fault:
            raise_if_from_signal(fault)
            for _ in spans:
                _count(recorder)
            return False

    def _remember(self, trace: ExportedTrace, span: ReceivedSpan) -> None:
        """Find the span again for a score that comes later."""
        self._past.put((int(span.trace_id, 16), int(span.span_id, 16)), (trace, span.span_id))
        answer = span.attributes.get("gen_ai.response.id")
        if isinstance(answer, str) and answer:
            self._past.put(answer, (trace, span.span_id))


def _count(recorder: TracerState) -> bool:
    """Count a span that cannot be a record."""
    recorder.drop("encode_error")
    return False


def _exported(span: Any, resources: dict[int, Attributes]) -> ExportedSpan:
    resource = resources.get(id(span.resource))
    if resource is None:
        resource = attributes_of(getattr(span.resource, "attributes", None))
        resources[id(span.resource)] = resource
    state = (span.context.trace_state or {}).get(_OURS)
    is_valid = isinstance(state, str) and all(map(is_uuid, state.split(";", 1)))
    parent = span.parent
    return ExportedSpan(
        received_span(span, take_events(span), resource=resource),
        state if is_valid else None,
        parent is None or parent.is_remote,
    )
