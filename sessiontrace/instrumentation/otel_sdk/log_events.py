"""Log events about spans: what GenAI instrumentations write as log records joins its span.

``LogRecordProcessor`` runs where a log record is emitted, in user code. An event waits for the end
of its span; the span processor and the span exporter then read it as an event of the span. What
comes after that is an update of the event, where a score can be one. Invariant: what waits is
bounded, and no lock is taken.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from sessiontrace.instrumentation.otel_sdk.sdk_span import attributes_of, plain_value
from sessiontrace.runtime.signals import raise_if_from_signal
from sessiontrace.wire.logs.evaluation_reader import EVALUATION, scores_of
from sessiontrace.wire.received_span import Attributes

__all__ = ["EVENTS_MAX", "SPANS_MAX", "LogRecordProcessor", "SpanReader", "readers", "take_events"]

Event = tuple[str, Attributes]
Key = tuple[int, int] | str

_PREFIX = "gen_ai."
_EXCEPTION = "exception"
SPANS_MAX = 2_000
"""Spans whose events wait at the same time; those of the oldest are forgotten."""

EVENTS_MAX = 1_000
"""Events of one span that wait."""

_waiting: dict[Key, list[Event]] = {}


class SpanReader(Protocol):
    """A processor or exporter that has read spans which have ended."""

    def add_scores(self, key: Key, scores: dict[str, Any]) -> bool:
        """Add scores to the event of a span that has ended; whether the event is here.

        ``key``: the ids of trace and span, or the id of the model's answer.
        """
        ...


readers: weakref.WeakSet[SpanReader] = weakref.WeakSet()
"""The processors and exporters of this process."""


def take_events(span: Any) -> list[Event]:
    """The log events about a span, which do not wait any longer."""
    if not _waiting:
        return []
    return _waiting.pop((span.context.trace_id, span.context.span_id), [])


class LogRecordProcessor:
    """A ``LogRecordProcessor`` of OTel's SDK, beside our span processor or span exporter.

    GenAI events (``gen_ai.user.message``, ``gen_ai.choice``, the details of an operation) become
    the inputs and outputs of their span's event, ``gen_ai.evaluation.result`` its score. Other log
    records are passed over.
    """

    def on_emit(self, log_record: Any) -> None:
        """A log record is emitted."""
        try:
            _note(log_record.log_record)
        except Exception as fault:  # the program's log record goes on
            raise_if_from_signal(fault)

    emit = on_emit  # its name in SDKs before 1.35

    def shutdown(self) -> None:
        """The provider shuts down; events that wait still join their spans."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is sent here: an event goes with its span."""
        return True


def _note(log: Any) -> None:
    attributes = attributes_of(log.attributes)
    name = getattr(log, "event_name", None) or attributes.get("event.name") or ""
    if not (name.startswith(_PREFIX) or name == _EXCEPTION):
        return
    key = (log.trace_id, log.span_id)
    if name == EVALUATION and _is_scored(key, attributes):
        return
    if not log.span_id:
        return
    if log.body is not None:
        attributes["body"] = plain_value(log.body)
    events = _waiting.setdefault(key, [])
    if len(events) < EVENTS_MAX:
        events.append((name, attributes))
    if len(_waiting) > SPANS_MAX:
        _forget_oldest()


def _is_scored(key: Key, attributes: Attributes) -> bool:
    """Whether the span, or the answer that the evaluation names, has its scores now."""
    scores = scores_of(attributes)
    answer = attributes.get("gen_ai.response.id")
    keys = (key, answer) if isinstance(answer, str) and answer else (key,)
    return any(reader.add_scores(place, scores) for place in keys for reader in list(readers))


def _forget_oldest() -> None:
    try:
        _waiting.pop(next(iter(_waiting)), None)
    except (RuntimeError, StopIteration):  # another thread was faster
        pass
