"""Our own exporter's spans as the records that they were made of.

Pure functions, no thread owns them. Invariant: the store has the records that the local destination
would have written, so the session is the same, field by field.
"""

from __future__ import annotations

import uuid
from typing import Any

from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp.span_ids import rated_event_id
from sessiontrace.wire.otlp_signals.received_log import ReceivedLog
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.roundtrip import reader
from sessiontrace.wire.span_attributes import TURN

__all__ = ["is_ours", "is_own_score", "is_update", "record", "update"]

_OURS = "sessiontrace"


def is_ours(span: ReceivedSpan) -> bool:
    """Whether the span is a session, turn or event of our own exporter."""
    return reader.is_ours(span) and is_uuid(span.attributes["sessiontrace.event.id"])


def is_own_score(log: ReceivedLog) -> bool:
    """Whether the log event is a copy of a score that a span of our own exporter has."""
    return log.scope == _OURS and "sessiontrace.event.id" in log.attributes


def is_update(span: ReceivedSpan) -> bool:
    """Whether the span is a late change, such as a score."""
    if span.scope != _OURS or "sessiontrace.event.type" in span.attributes:
        return False
    no_length = span.start_ns == span.end_ns and span.parent_id is not None
    return no_length and rated_event_id(span.attributes) is not None


def update(span: ReceivedSpan, session_id: str) -> Record:
    """The record of a late change."""
    fields = reader.update_of(span)
    target = rated_event_id(span.attributes)
    assert target is not None  # it is an update
    reader.add_context(fields, span, _trace_of(session_id), span.span_id, span.parent_id)
    return record_builder.patch(target, session_id, fields)


def record(span: ReceivedSpan, session_id: str) -> tuple[Record, Record | None]:
    """The record, and for an event the start of its session, where the store has none yet."""
    attributes, fields = span.attributes, reader.fields_of(span)
    event_id, parent = attributes["sessiontrace.event.id"].lower(), rated_event_id(span.attributes)
    is_session = fields["event_type"] == "session"
    is_turn = attributes.get(TURN) is True
    whole = is_session or is_turn
    fields |= {
        "event_id": session_id if is_session else event_id,
        "session_id": session_id,
        "parent_id": None if whole else parent,
        "event_type": "session" if whole else fields["event_type"],
        **record_builder.times_of_ns(span.start_ns, span.end_ns),
    }
    above = None if whole or parent is None else _span_id_of(parent)
    own = _span_id_of(event_id)
    reader.add_context(fields, span, _trace_of(session_id), own, above)
    built = record_builder.build_record(END if whole else EVENT, fields)
    if whole or span.trace_id != _trace_of(session_id):
        return built, None
    return built, _start_of(span, session_id, fields)


def _start_of(span: ReceivedSpan, session_id: str, fields: dict[str, Any]) -> Record:
    """The session as far as its first event describes it, until its own span arrives."""
    service = span.resource.get("service.name")
    head = {"event_id": session_id, "session_id": session_id, "event_type": "session"}
    return record_builder.build_record(
        START,
        {
            **head,
            "event_name": service if isinstance(service, str) else None,
            "source": fields.get("source"),
            "start_time": fields["start_time"],
            "inputs": {},
        },
    )


def _trace_of(session_id: str) -> str:
    return session_id.replace("-", "")


def _span_id_of(event_id: str) -> str:
    return uuid.UUID(event_id).hex[16:]
