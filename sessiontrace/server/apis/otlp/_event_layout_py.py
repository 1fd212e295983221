"""The forms in Python, which are the specification; see ``event_layout``."""

from __future__ import annotations

from typing import Any

from sessiontrace.model.fields import EVENT_FIELDS
from sessiontrace.server.record_builder import times_of_ns
from sessiontrace.wire.span_reader import SpanFields

__all__ = ["derived_id", "event_of", "fields_of"]


def derived_id(trace_id: str, span_id: str) -> str:
    """A UUID (version 4 in form) of a span's ids; two of their bits are lost."""
    variant = "89ab"[int(span_id[0], 16) & 3]
    return (
        f"{trace_id[:8]}-{trace_id[8:12]}-4{trace_id[13:16]}-{variant}{span_id[1:4]}-{span_id[4:]}"
    )


def event_of(
    span_fields: SpanFields,
    event_id: str,
    session_id: str,
    parent_id: str | None,
    source: str | None,
    start_ns: int,
    end_ns: int,
) -> dict[str, Any]:
    """The fields of an event in their order, without those that have no value.

    ``span_fields``: what was read of a span. ``start_ns`` and ``end_ns``: Unix ns.
    """
    fields = {
        "event_id": event_id,
        "session_id": session_id,
        "parent_id": parent_id,
        "event_type": span_fields.type,
        "event_name": span_fields.name,
        "source": source,
        **times_of_ns(start_ns, end_ns),
        **fields_of(span_fields),
    }
    return {name: value for name in EVENT_FIELDS if (value := fields.get(name)) is not None}


def fields_of(read: SpanFields) -> dict[str, Any]:
    """A record's fields for what was read of a span, or of what a log record says of a step."""
    return {
        "inputs": read.inputs,
        "outputs": read.outputs,
        "config": read.config or None,
        "metadata": read.metadata,
        "metrics": read.metrics or None,
        "feedback": read.feedback or None,
        "user_properties": read.user_properties or None,
        "error": read.error,
    }
