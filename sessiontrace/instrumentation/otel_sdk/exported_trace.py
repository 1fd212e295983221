"""A trace of OpenTelemetry's SDK as a session: its start, the spans as events, its end.

Used by the span exporter, under its lock. A trace is a session; one whose spans name a session is
a turn of that session. A trace inside our span belongs to that span's session. Invariant: the
ids of records follow from the ids of spans, so a span that is exported again is the same record.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import attrs

from sessiontrace.capture.past_step import PastStep, offer_end, offer_event, offer_start
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.capture.updates import offer_update
from sessiontrace.model.ids import PARENT_SPAN_ID, SPAN_ID, TRACE_ID, is_uuid, session_uuid
from sessiontrace.model.sampling import is_sampled
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.session_facts import session_facts, session_reference
from sessiontrace.wire.span_reader import SpanFields, first_text, read_span

__all__ = ["ExportedSpan", "ExportedTrace"]

_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_LOW = (1 << 62) - 1


@attrs.frozen
class ExportedSpan:
    """A span that has ended. ``state``: what our tracers wrote into its W3C trace state.

    ``is_local_root``: its parent is not in this process, or it has none.
    """

    span: ReceivedSpan
    state: str | None
    is_local_root: bool


def uuid_of(trace_id: str, span_id: str) -> str:
    """A UUID (version 4 in form, for strict backends) of ids; six of their bits are lost."""
    high = int(trace_id[:16], 16) & ~0xF000 | 0x4000
    return str(uuid.UUID(int=high << 64 | int(span_id, 16) & _LOW | 1 << 63))


def _span_id(event_id: str) -> str:
    """The span id that an event's id has."""
    return event_id.replace("-", "")[16:]


class ExportedTrace:
    """One trace. ``recorder``: where all of it goes. ``spans``: those that are exported first."""

    def __init__(self, recorder: TracerState, trace_id: str, spans: Sequence[ExportedSpan]) -> None:
        self.recorder = recorder
        self._trace_id = trace_id
        self._event_id = uuid_of(trace_id, trace_id[16:])
        self._session_id = self._event_id
        self._metadata: dict[str, Any] = {TRACE_ID: trace_id}
        self._user: dict[str, Any] = {}
        self._start_ns = min(exported.span.start_ns for exported in spans)
        self._name = ""
        self._place(spans)
        self._is_ours = any(exported.state for exported in spans)
        self._is_started = self._is_ours
        self._is_sampled = is_sampled(self._session_id, recorder.sample)

    def _place(self, spans: Sequence[ExportedSpan]) -> None:
        """Find the session of the trace, its service, its name and its environment."""
        resource = spans[0].span.resource
        service = first_text(resource, "service.name") or ""
        if not service or service.startswith("unknown_service"):
            service = self.recorder.service
        self._metadata["service"] = service
        self._source = first_text(resource, *_ENVIRONMENT) or self.recorder.source
        for exported in spans:
            if exported.state:
                _, _, session_id = exported.state.partition(";")
                self._session_id = session_id or str(uuid.UUID(self._trace_id))
                return
        for exported in spans:
            reference = session_reference(exported.span.attributes, exported.span.resource)
            if reference is not None:
                self._session_id = session_uuid(reference)
                if not is_uuid(reference):
                    self._metadata["session_id"] = reference
                return

    def offer(self, spans: Sequence[ExportedSpan]) -> bool:
        """Offer ended spans of the trace; whether all were accepted, or left out by sampling."""
        steps = [(exported, read_span(exported.span)) for exported in spans]
        if not self._is_sampled:
            for _ in steps:
                self.recorder.drop("sampled")
            return True
        for exported, fields in steps:
            self._learn(exported, fields)
        complete = self._start()
        for exported, fields in steps:
            complete &= offer_event(self.recorder, self._event(exported, fields))
        for exported, fields in steps:
            if exported.is_local_root and not self._is_ours:
                complete &= self._end(exported.span, fields)
        return complete

    def update(self, span_id: str, changes: dict[str, Any]) -> None:
        """Merge changes into the event of a span that was exported."""
        if self._is_sampled:
            recorder = self.recorder
            event_id = uuid_of(self._trace_id, span_id)
            ids = {TRACE_ID: self._trace_id, SPAN_ID: span_id}
            metadata = {**changes.get("metadata", {}), **ids}
            parts = {**changes, "metadata": metadata}
            offer_update(recorder, recorder.frame_headers, event_id, self._session_id, parts)

    def _learn(self, exported: ExportedSpan, fields: SpanFields) -> None:
        """Note what a span says about the session: its name, else that of its root; its user."""
        facts = session_facts(exported.span.attributes, exported.span.resource)
        user = {} if facts.user is None else {"user_id": facts.user}
        self._user = {**user, **fields.user_properties, **self._user}
        if exported.is_local_root and not self._name:
            self._name = fields.name
        self._name = facts.name or self._name

    def _start(self) -> bool:
        """Offer the session's start, where it was not accepted yet."""
        if not self._is_started:
            self._is_started = offer_start(self.recorder, self._session(self._start_ns))
        return self._is_started

    def _end(self, root: ReceivedSpan, fields: SpanFields) -> bool:
        self._start_ns = min(self._start_ns, root.start_ns)
        names = ("error", "tags", "cancelled")
        metadata = {name: fields.metadata[name] for name in names if name in fields.metadata}
        if root.parent_id is not None:
            metadata[PARENT_SPAN_ID] = root.parent_id
        session = self._session(root.end_ns, metadata)
        return offer_end(
            self.recorder,
            session._replace(inputs=fields.inputs, outputs=fields.outputs, error=fields.error),
        )

    def _session(self, end_ns: int, metadata: dict[str, Any] | None = None) -> PastStep:
        return PastStep(
            event_id=self._event_id,
            session_id=self._session_id,
            parent_id="",
            type="session",
            name=self._name or str(self._metadata["service"]),
            source=self._source,
            start_ns=self._start_ns,
            end_ns=end_ns,
            groups={
                "metadata": {**self._metadata, **(metadata or {})},
                "user_properties": self._user,
            },
        )

    def _event(self, exported: ExportedSpan, fields: SpanFields) -> PastStep:
        span = exported.span
        event_id, parent_id = uuid_of(self._trace_id, span.span_id), self._parent_of(exported)
        metadata = {**fields.metadata, TRACE_ID: self._trace_id}
        if _span_id(event_id) != span.span_id:
            metadata[SPAN_ID] = span.span_id
        if span.parent_id is not None and _span_id(parent_id) != span.parent_id:
            metadata[PARENT_SPAN_ID] = span.parent_id
        return PastStep(
            event_id=event_id,
            session_id=self._session_id,
            parent_id=parent_id,
            type="chain" if fields.type == "session" else fields.type,
            name=fields.name,
            source=self._source,
            start_ns=span.start_ns,
            end_ns=span.end_ns,
            groups={
                "config": fields.config,
                "metadata": metadata,
                "metrics": fields.metrics,
                "feedback": fields.feedback,
                "user_properties": fields.user_properties,
            },
            inputs=fields.inputs,
            outputs=fields.outputs,
            error=fields.error,
        )

    def _parent_of(self, exported: ExportedSpan) -> str:
        parent = exported.span.parent_id
        if parent is None:
            return self._event_id
        ours, _, _ = (exported.state or "").partition(";")
        if _span_id(ours) == parent:  # our span, whose id is whole in the state
            return ours
        return uuid_of(self._trace_id, parent)
