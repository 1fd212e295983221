"""A record as an OTLP span, which ``otlp_json`` and ``otlp_protobuf`` encode.

Pure functions, no thread owns them. A session is a trace, and so is each turn of a
conversation. Invariant: a span's ids follow from the record alone, so that a child finds its
parent, whichever process sends them and however often.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple, Protocol

import orjson

from sessiontrace.model import payload
from sessiontrace.model.fields import ATTRIBUTES, PAYLOADS
from sessiontrace.model.ids import PARENT_SPAN_ID, SPAN_ID, TRACE_ID
from sessiontrace.model.record import END, EVENT, UPDATE, Record, is_turn
from sessiontrace.model.step_types import base_of
from sessiontrace.wire.otlp_resource import Origin
from sessiontrace.wire.roundtrip import changes as roundtrip
from sessiontrace.wire.roundtrip.changes import Changes, differences
from sessiontrace.wire.span_attributes import (
    CONTEXT,
    DEFAULT_LIMITS,
    TURN,
    AttributeLimits,
    Value,
    attributes_of,
    flatten,
    name_of,
    session_attributes,
)
from sessiontrace.wire.span_exception import details_of, exception_of

__all__ = [
    "CLIENT",
    "ERROR",
    "INTERNAL",
    "SessionFacts",
    "SessionLookup",
    "Span",
    "kind_of",
    "origin_of",
    "span_name",
    "span_of",
    "times_ns",
]

Event = dict[str, Any]
INTERNAL, CLIENT = 1, 3
ERROR = 2
_MS_NS = 1_000_000
_LATEST_NS = (1 << 63) - 1  # in the year 2262; OTLP's times have 64 bits
_LATE = frozenset({"event_name", "source", "error", "children_ids", "end_time", "duration"})
_HEX = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


class Span(NamedTuple):
    """One span; ids in hex, times in Unix ns. ``exception``: attributes of its exception event.

    ``dropped``: how many attributes were left out.
    """

    origin: Origin
    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Value]
    error: str | None = None
    exception: dict[str, Value] | None = None
    dropped: int = 0


class SessionFacts(Protocol):
    """What is known of one session; None where it is not known."""

    @property
    def user(self) -> str | None: ...
    @property
    def service(self) -> str | None: ...
    @property
    def source(self) -> str | None: ...
    @property
    def conversation(self) -> str | None: ...


class SessionLookup(Protocol):
    """What a span needs of its session's start, learned from earlier records."""

    def learn(self, event: Event, /) -> None:
        """Remember the start or end of a session or turn."""

    def facts(self, session_id: str, /) -> SessionFacts:
        """What is known of a session: the same object until its next start or end."""

    def user(self, event: Event, /) -> str | None:
        """The id of the event's user."""

    def service(self, event: Event, /) -> str | None:
        """The name of the service that recorded the session."""

    def source(self, event: Event, /) -> str | None:
        """The environment that recorded the session."""

    def conversation(self, event: Event, /) -> str | None:
        """The application's own id of the event's session; None where it gave none."""

    def began(self, event: Event, /) -> int | None:
        """When the event began, in Unix ms."""


def span_of(
    record: Record, sessions: SessionLookup, limits: AttributeLimits = DEFAULT_LIMITS
) -> Span | None:
    """The span of a record; None for the start of a session or turn."""
    event = payload.fields(record)
    if record.kind == UPDATE:
        return _score(record, event, sessions)
    if record.kind != EVENT:
        sessions.learn(event)
        if record.kind != END:
            return None
    error, exception = event.get("error"), exception_of(event)
    changes: Changes = []
    if error is not None or "error" in payload.bucket(event, "metadata"):
        _add_error_changes(event, exception, changes)
    user, conversation = sessions.user(event), sessions.conversation(event)
    attributes = attributes_of(event, user, conversation, limits, changes)
    if record.kind == END and is_turn(record.body):
        attributes[TURN] = True
    if error is not None:
        attributes.setdefault("error.type", (exception or {}).get("exception.type", "_OTHER"))
    start, end = _times(event, sessions)
    return Span(
        origin=_origin(event, sessions),
        trace_id=_trace_of(event),
        span_id=_named_span(event, SPAN_ID) or _low64(event["event_id"]),
        parent_id=_parent(record, event),
        name=span_name(event, attributes),
        kind=kind_of(event),
        start_ns=start,
        end_ns=end,
        attributes=attributes,
        error=None if error is None else payload.text(error),
        exception=exception,
        dropped=_dropped(attributes),
    )


def _add_error_changes(event: Event, exception: dict[str, Value] | None, changes: Changes) -> None:
    """Changes for what the status and the exception event do not say of the error."""
    base: Event = {}
    value: Event = {}
    if (error := event.get("error")) is not None:
        base["error"], value["error"] = payload.text(error), error
    differences((), base, value, changes)
    metadata = payload.bucket(event, "metadata")
    recovered = details_of(exception or {})
    base = {} if recovered is None else {"error": recovered}
    value = {"error": metadata["error"]} if "error" in metadata else {}
    differences(("metadata",), base, value, changes)


def span_name(event: Event, attributes: dict[str, Value]) -> str:
    """The name of an event's span; ``attributes``: those of the span."""
    return name_of(event, attributes.get("gen_ai.operation.name"))


def kind_of(event: Event) -> int:
    """The kind of an event's span."""
    return CLIENT if base_of(event) == "model" else INTERNAL


def _dropped(attributes: dict[str, Value]) -> int:
    count = attributes.get("sessiontrace.attributes_cut", 0)
    return count if isinstance(count, int) else 0


def _score(record: Record, event: Event, sessions: SessionLookup) -> Span:
    """A late score: a span of no length below the span that it rates."""
    conversation = sessions.conversation(event)
    attributes: dict[str, Value] = {
        **session_attributes(event["session_id"], conversation),
        "sessiontrace.parent.id": event["event_id"],
    }
    changes: Changes = []
    for part in PAYLOADS:
        if (encoded := event.get(part)) is not None:
            flatten(attributes, part, {part: orjson.loads(encoded)}, changes)
    for part in ATTRIBUTES:
        if part in event:
            flatten(attributes, part, event, changes, CONTEXT)
    changes += ([[name], event[name]] for name in event if name in _LATE)
    if changes:
        attributes[roundtrip.ATTRIBUTE] = orjson.dumps(changes)
    at, _ = _times(event, sessions)
    return Span(
        origin=_origin(event, sessions),
        trace_id=_trace_of(event),
        span_id=_low64(payload.stable_uuid(record.body)),
        parent_id=_named_span(event, SPAN_ID) or _low64(event["event_id"]),
        name="score" if event.get("metrics") or event.get("feedback") else "update",
        kind=INTERNAL,
        start_ns=at,
        end_ns=at,
        attributes=attributes,
    )


def _origin(event: Event, sessions: SessionLookup) -> Origin:
    return origin_of(event, sessions.facts(event["session_id"]))


def origin_of(event: Event, session: SessionFacts) -> Origin:
    """Where an event was recorded: by its own source, else its session's."""
    source = event.get("source")
    service = session.service or "unknown_service"
    return Origin(service, source if isinstance(source, str) else session.source)


# -- ids and times --------------------------------------------------------------------------


def _hex(identifier: str) -> str:
    if payload.is_lower_uuid(identifier):
        return identifier.replace("-", "")
    digits = identifier.replace("-", "").lower()
    if _HEX.fullmatch(digits):
        return digits
    return payload.stable_uuid(identifier.encode()).replace("-", "")


@functools.lru_cache(maxsize=1024)
def _trace_id(session_id: str) -> str:
    return _hex(session_id)


@functools.lru_cache(maxsize=4096)
def _low64(identifier: str) -> str:
    digits = _hex(identifier)[16:]
    return digits if digits.strip("0") else "8000000000000000"  # all zeros is not a span id


def _trace_of(event: Event) -> str:
    """The trace that the record names, else the session's."""
    trace_id = payload.bucket(event, "metadata").get(TRACE_ID)
    if isinstance(trace_id, str) and _HEX.fullmatch(trace_id) and trace_id.strip("0"):
        return trace_id
    return _trace_id(event["session_id"])


def _parent(record: Record, event: Event) -> str | None:
    """Another tracer's span where the step opened in one; else None for sessions and turns."""
    if (span_id := _named_span(event, PARENT_SPAN_ID)) is not None:
        return span_id
    if record.kind == END:
        return None
    parent = event.get("parent_id")
    return _low64(parent) if isinstance(parent, str) and parent else None


def _named_span(event: Event, name: str) -> str | None:
    """The span id that the record's metadata names."""
    span_id = payload.bucket(event, "metadata").get(name)
    return span_id if isinstance(span_id, str) and _SPAN_ID.fullmatch(span_id) else None


def _times(event: Event, sessions: SessionLookup) -> tuple[int, int]:
    start = (sessions.began(event) or 0) * _MS_NS
    nanos = event.get("start_nanos")
    if type(nanos) is int and 0 <= nanos < _MS_NS:
        start += nanos
    return times_ns(start, payload.lasted_ms(event) or 0.0)


def times_ns(start: int, lasted_ms: float) -> tuple[int, int]:
    """Start and end in Unix ns, as far as OTLP's times go."""
    start = min(start, _LATEST_NS)
    took = min(lasted_ms, _LATEST_NS / _MS_NS)
    return start, min(start + round(took * _MS_NS), _LATEST_NS)
