"""Spans as records, whichever of the conventions their attributes follow.

Pure functions. Invariant: ids follow from the span's ids (or are the sender's own), so that a span
that comes twice is one event, and a parent that comes later than its children is still theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import attrs

from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp.span_fields import (
    SESSION_KEYS,
    bucketed,
    fill,
    json_value,
    put,
    text_of,
)
from sessiontrace.wire.otlp_json_reader import Span

__all__ = ["Converted", "convert"]

Fields = dict[str, Any]

_KINDS = {
    "chat": "model", "generate_content": "model", "text_completion": "model",
    "embeddings": "model", "fetch_response": "model",
    "execute_tool": "tool", "retrieval": "tool",
    "invoke_agent": "chain", "create_agent": "chain", "invoke_workflow": "chain", "plan": "chain",
    "LLM": "model", "EMBEDDING": "model", "RERANKER": "model", "DECISION": "model",
    "TOOL": "tool", "RETRIEVER": "tool", "tool": "tool",
}  # fmt: skip
_TYPES = ("model", "tool", "chain", "session")


@attrs.frozen
class Converted:
    """Records to write, and sessions to make where nobody has told of them, by id."""

    records: list[Record]
    sessions: dict[str, Record]


def convert(spans: Iterable[Span]) -> Converted:
    """What the spans of one request become."""
    spans = list(spans)
    ids = {(span.trace_id, span.span_id): _own_id(span) for span in spans}
    found: list[Record] = []
    sessions: dict[str, Record] = {}
    starts: dict[str, int] = {}
    for span in spans:
        session_id, original = _session_of(span)
        if (score := _score(span, session_id, ids)) is not None:
            found.append(score)
            continue
        record, fields = _record(span, session_id, ids)
        found.append(record)
        starts[session_id] = min(fields["start_time"], starts.get(session_id, 1 << 53))
        if fields["event_type"] != "session":
            if span.parent_id is None and original is None:
                found.append(_root(session_id, fields))
            sessions[session_id] = _session(session_id, span, original, starts[session_id])
    return Converted(found, sessions)


# -- ids ------------------------------------------------------------------------------------


def _session_of(span: Span) -> tuple[str, str | None]:
    """The session's id, and what the sender called it; None where the trace is the session."""
    for name in SESSION_KEYS:
        given = span.attributes.get(name, span.resource.get(name))
        if isinstance(given, str) and given:
            return record_builder.session_id_for(given)[0], given
    return str(uuid.UUID(span.trace_id)), None


def _derived(trace_id: str, span_id: str) -> str:
    """A UUID (version 4 in form) of a span's ids; two of their bits are lost."""
    high = int(trace_id[:16], 16) & ~0xF000 | 0x4000
    low = int(span_id, 16) & ((1 << 62) - 1) | 1 << 63
    return str(uuid.UUID(int=high << 64 | low))


def _own_id(span: Span) -> str:
    for name in ("honeyhive_event_id", "sessiontrace.event.id"):
        given = span.attributes.get(name)
        # Ours only with the parent's beside it: a child could not name its parent otherwise.
        ours = name.startswith("honeyhive") or "sessiontrace.parent.id" in span.attributes
        if ours and isinstance(given, str) and is_uuid(given):
            return given.lower()
    return _derived(span.trace_id, span.span_id)


def _parent_of(span: Span, session_id: str, ids: dict[tuple[str, str], str]) -> str:
    given = span.attributes.get("sessiontrace.parent.id")
    if isinstance(given, str) and is_uuid(given):
        return given.lower()
    if span.parent_id is None:
        return session_id
    if uuid.UUID(session_id).hex == span.trace_id and span.parent_id == span.trace_id[16:]:
        return session_id  # our own exporter's span of the session itself
    found = ids.get((span.trace_id, span.parent_id))
    return found or _derived(span.trace_id, span.parent_id)


# -- fields ---------------------------------------------------------------------------------


def _record(span: Span, session_id: str, ids: dict[tuple[str, str], str]) -> tuple[Record, Fields]:
    given = span.attributes
    kind = _type_of(span)
    whole = span.trace_id[16:] == span.span_id and session_id.replace("-", "") == span.trace_id
    if whole and kind == "chain":
        kind = "session"
    took = given.get("honeyhive_duration_ms")
    fields: Fields = {
        "event_id": session_id if kind == "session" else ids[span.trace_id, span.span_id],
        "session_id": session_id,
        "event_type": kind,
        "event_name": _name_of(span, kind),
        "source": text_of(given, "sessiontrace.source", "honeyhive.source")
        or text_of(span.resource, "service.name"),
        "inputs": {},
        **record_builder.whole_times(
            span.start_ns / 1e6,
            span.end_ns / 1e6,
            took
            if record_builder.number(took) is not None
            else (span.end_ns - span.start_ns) / 1e6,
            0,
        ),
        "error": _error_of(span),
    }
    if kind != "session":
        fields["parent_id"] = _parent_of(span, session_id, ids)
    fill(fields, span, kind)
    return record_builder.build_record(END if kind == "session" else EVENT, fields), fields


def _score(span: Span, session_id: str, ids: dict[tuple[str, str], str]) -> Record | None:
    """A late score of our own exporter's, which is a span of no length; None for other spans."""
    ours = span.scope == "sessiontrace" and "sessiontrace.event.type" not in span.attributes
    if not ours or span.start_ns != span.end_ns or span.parent_id is None:
        return None
    changes: Fields = {}
    for key, value in span.attributes.items():
        if (path := bucketed(key)) is not None:
            put(changes, path, json_value(value))
    return record_builder.patch(_parent_of(span, session_id, ids), session_id, changes)


def _type_of(span: Span) -> str:
    given = span.attributes
    own = text_of(given, "sessiontrace.event.type", "honeyhive_event_type")
    if own in _TYPES:
        return own or "chain"
    for name in ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind"):
        kind = given.get(name)
        if isinstance(kind, str):
            return _KINDS.get(kind, "tool" if kind.endswith("_memory") else "chain")
    if given.get("mcp.method.name") == "tools/call":
        return "tool"
    models = ("llm.request.type", "gen_ai.request.model", "llm.model_name")
    return "model" if any(name in given for name in models) else "chain"


def _name_of(span: Span, kind: str) -> str:
    given = span.attributes
    named = {
        "tool": ("gen_ai.tool.name", "tool.name"),
        "chain": ("gen_ai.agent.name", "gen_ai.workflow.name", "agent.name", "graph.node.name"),
    }
    own = text_of(given, "honeyhive_event_name", *named.get(kind, ()), "traceloop.entity.name")
    return own or span.name


def _error_of(span: Span) -> str | None:
    given = text_of(span.attributes, "honeyhive_error")
    if given or not span.failed:
        return given
    if span.message:
        return span.message
    for name, held in span.events:
        if name == "exception":
            told = (text_of(held, "exception.type"), text_of(held, "exception.message"))
            return ": ".join(one for one in told if one) or "error"
    return text_of(span.attributes, "error.type") or "error"


# -- sessions -------------------------------------------------------------------------------


def _session(session_id: str, span: Span, original: str | None, start: int) -> Record:
    """The session as far as one of its spans tells of it."""
    given = span.attributes
    service = text_of(span.resource, "service.name")
    known = None if service is None or service.startswith("unknown_service") else service
    name = text_of(given, "honeyhive.session_name")
    if name is None and original is None and span.parent_id is None:
        name = span.name
    user = text_of(given, "user.id", "enduser.id", "gen_ai.user")
    return record_builder.session(
        session_id,
        start,
        event_name=name or ("Session" if "honeyhive.session_id" in given else known),
        source=text_of(given, "honeyhive.source") or known,
        user_properties={"user_id": user} if user else None,
        metadata={"session_id": original} if original and not is_uuid(original) else None,
    )


def _root(session_id: str, fields: Fields) -> Record:
    """What a trace's root span tells of the session that the trace is."""
    told = ("event_name", "start_time", "end_time", "duration", "source", "error")
    return record_builder.patch(
        session_id,
        session_id,
        {name: fields[name] for name in told if fields.get(name) is not None},
    )
