"""OTLP spans as the store's records; ``wire.span_reader`` reads their attributes.

Pure functions, no thread owns them. Invariant: event ids follow from the span's ids, or are the
sender's own, so that a span received twice is one event, and children find a parent received after
them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import attrs

from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp import own_spans
from sessiontrace.server.apis.otlp.span_ids import (
    derived_id,
    own_event_id,
    rated_event_id,
    trace_session,
)
from sessiontrace.server.http import RequestRejected
from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.session_facts import SessionFacts, session_facts
from sessiontrace.wire.span_reader import first_text, read_span

__all__ = ["Converted", "convert"]

Fields = dict[str, Any]


@attrs.frozen
class Converted:
    """Records to write, and by id the sessions to create where the store has none yet.

    ``rejected``: how many spans have no record, because no response could write it back.
    """

    records: list[Record]
    sessions: dict[str, Record]
    rejected: int


def convert(spans: Iterable[ReceivedSpan]) -> Converted:
    """The records and sessions of the spans of one request."""
    spans = [conventional(span) for span in spans]
    ids = {(span.trace_id, span.span_id): _own_id(span) for span in spans}
    records: list[Record] = []
    sessions: dict[str, Record] = {}
    starts: dict[str, int] = {}
    rejected = 0
    for span in spans:
        facts = session_facts(span.attributes, span.resource)
        session_id = _session_of(span, facts.reference)
        try:
            if own_spans.is_update(span):
                records.append(own_spans.update(span, session_id))
                continue
            if own_spans.is_ours(span):
                record, start = own_spans.record(span, session_id)
                records.append(record)
                if start is not None:
                    sessions.setdefault(session_id, start)
                continue
            record, fields = _record(span, session_id, ids)
        except RequestRejected:
            rejected += 1
            continue
        records.append(record)
        starts[session_id] = min(fields["start_time"], starts.get(session_id, 1 << 53))
        if fields["event_type"] != "session":
            if span.parent_id is None and facts.reference is None:
                records.append(_root(session_id, fields))
            sessions[session_id] = _session(session_id, span, facts, starts[session_id])
    return Converted(records, sessions, rejected)


# -- ids ------------------------------------------------------------------------------------


def _session_of(span: ReceivedSpan, reference: str | None) -> str:
    """The session's id, by the sender's name for it; None: the trace is the session."""
    if reference is not None:
        return record_builder.session_id_for(reference)[0]
    return trace_session(span.trace_id)


def _own_id(span: ReceivedSpan) -> str:
    return own_event_id(span.attributes) or derived_id(span.trace_id, span.span_id)


def _parent_of(span: ReceivedSpan, session_id: str, ids: dict[tuple[str, str], str]) -> str:
    if (parent := rated_event_id(span.attributes)) is not None:
        return parent
    if span.parent_id is None:
        return session_id
    if uuid.UUID(session_id).hex == span.trace_id and span.parent_id == span.trace_id[16:]:
        return session_id  # our own exporter's span of the session itself
    own = ids.get((span.trace_id, span.parent_id))
    return own or derived_id(span.trace_id, span.parent_id)


# -- fields ---------------------------------------------------------------------------------


def _record(
    span: ReceivedSpan, session_id: str, ids: dict[tuple[str, str], str]
) -> tuple[Record, Fields]:
    read = read_span(span)
    kind = read.type
    is_trace = span.trace_id == session_id.replace("-", "")
    if is_trace and kind == "chain" and span.trace_id[16:] == span.span_id:
        kind = "session"
    duration = record_builder.number(span.attributes.get("honeyhive_duration_ms"))
    fields: Fields = {
        "event_id": session_id if kind == "session" else ids[span.trace_id, span.span_id],
        "session_id": session_id,
        "event_type": kind,
        "event_name": read.name,
        "source": first_text(span.attributes, "sessiontrace.source", "honeyhive.source")
        or first_text(span.resource, "service.name"),
        **record_builder.times_of_ns(span.start_ns, span.end_ns),
        **({} if duration is None else {"duration": float(max(duration, 0.0))}),
        "inputs": read.inputs,
        "outputs": read.outputs,
        "config": read.config or None,
        "metadata": read.metadata,
        "metrics": read.metrics or None,
        "feedback": read.feedback or None,
        "user_properties": read.user_properties or None,
        "error": read.error,
    }
    if kind != "session":
        fields["parent_id"] = _parent_of(span, session_id, ids)
    return record_builder.build_record(END if kind == "session" else EVENT, fields), fields


# -- sessions -------------------------------------------------------------------------------


def _session(session_id: str, span: ReceivedSpan, facts: SessionFacts, start: int) -> Record:
    """The session, as far as one of its spans describes it."""
    reference, name, user = facts
    service = first_text(span.resource, "service.name")
    if service is not None and service.startswith("unknown_service"):
        service = None
    if name is None and reference is None and span.parent_id is None:
        name = span.name
    return record_builder.session(
        session_id,
        start,
        event_name=name or ("Session" if "honeyhive.session_id" in span.attributes else service),
        source=first_text(span.attributes, "honeyhive.source") or service,
        user_properties={"user_id": user} if user else None,
        metadata={"session_id": reference} if reference and not is_uuid(reference) else None,
    )


def _root(session_id: str, fields: Fields) -> Record:
    """The fields that a trace's root span gives the session, which is the trace."""
    names = ("event_name", "start_time", "end_time", "duration", "source", "error")
    return record_builder.patch(
        session_id,
        session_id,
        {name: fields[name] for name in names if fields.get(name) is not None},
    )
