"""The ids of events and sessions that follow from the ids of spans.

Pure functions, no thread owns them. Invariant: an id follows from the span's ids, or is the
sender's own, so that a span received twice is one event, and children find a parent received after
them.
"""

from __future__ import annotations

from sessiontrace.model.ids import is_uuid
from sessiontrace.wire.received_span import Attributes

__all__ = ["OWN_IDS", "own_event_id", "rated_event_id", "trace_session"]

OWN_IDS = frozenset({"honeyhive_event_id", "sessiontrace.event.id"})
"""The attributes that may name a span's event."""


def trace_session(trace_id: str) -> str:
    """The session that a trace is, where none of its spans names another."""
    return f"{trace_id[:8]}-{trace_id[8:12]}-{trace_id[12:16]}-{trace_id[16:20]}-{trace_id[20:]}"


def own_event_id(attributes: Attributes) -> str | None:
    """The event id that HoneyHive's or our own exporter gave a span."""
    if OWN_IDS.isdisjoint(attributes):  # as most spans do
        return None
    for name in ("honeyhive_event_id", "sessiontrace.event.id"):
        event_id = attributes.get(name)
        # Our exporter's id counts only beside the parent's: else a child could not name its parent.
        trusted = name.startswith("honeyhive") or "sessiontrace.parent.id" in attributes
        if trusted and isinstance(event_id, str) and is_uuid(event_id):
            return event_id.lower()
    return None


def rated_event_id(attributes: Attributes) -> str | None:
    """The event that a score of our own exporter rates."""
    event_id = attributes.get("sessiontrace.parent.id")
    return event_id.lower() if isinstance(event_id, str) and is_uuid(event_id) else None
