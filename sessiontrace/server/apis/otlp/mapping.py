"""OTLP spans as the store's records; ``wire.span_reader`` reads their attributes.

Pure functions, no thread owns them. Invariant: event ids follow from the span's ids, or are the
sender's own, so that a span received twice is one event, and children find a parent received after
them; a span that cannot be stored costs no other span.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from sessiontrace.model.ids import now_ns
from sessiontrace.model.json_depth import TOO_DEEP
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.runtime.log import logger
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp import own_spans
from sessiontrace.server.apis.otlp._plain_call_py import Ids
from sessiontrace.server.apis.otlp.assembled.assembly import AnyRecord, Assembly
from sessiontrace.server.apis.otlp.assembled.parts import offer_step
from sessiontrace.server.apis.otlp.assembled.trace import Claim, Place
from sessiontrace.server.apis.otlp.event_layout import derived_id, event_of
from sessiontrace.server.apis.otlp.plain_call import PlainCalls, identify
from sessiontrace.server.apis.otlp.span_ids import own_event_id, rated_event_id
from sessiontrace.server.http import RequestRejected
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.gathered import ERROR, GATHERED, LOG, NAME, part_key
from sessiontrace.wire.dialects.control_spans import (
    is_control,
    is_early,
    is_late,
    traces_of_own_functions,
)
from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.received_span import Attributes, ReceivedSpan
from sessiontrace.wire.session_facts import CONVERSATIONS, session_claim, session_name
from sessiontrace.wire.span_reader import (
    SpanFields,
    event_type,
    first_text,
    read_claiming_span,
)

__all__ = ["Converted", "claim_of", "convert"]

Fields = dict[str, Any]
Places = dict[tuple[Any, ...], Place]

_OURS = "sessiontrace"
_OWN_FUNCTIONS = "spans of a coding agent's own functions, in traces of nothing else"
_SOURCES = ("sessiontrace.source", "honeyhive.source")


@attrs.frozen
class Converted:
    """The records of a request, to be placed in their sessions.

    ``event_ids``: of the spans. ``reasons``: how many have no record, by reason.
    """

    assembly: Assembly
    event_ids: list[str]
    reasons: Counter[str]

    @property
    def rejected(self) -> int:
        """How many spans have no record."""
        return sum(self.reasons.values())

    @property
    def records(self) -> list[AnyRecord]:
        """The records as they were converted, before the sessions of traces are decided."""
        return self.assembly.records

    @property
    def sessions(self) -> Mapping[str, Record]:
        """The starts of sessions, by id, to be written where the store has none yet."""
        return self.assembly.starts


def convert(spans: Iterable[ReceivedSpan]) -> Converted:
    """The records of the spans of one request, and what they say of their sessions."""
    rejected: Counter[str] = Counter()
    readable, ids = identify(spans, lambda span: _prepared(span, rejected))
    if own := traces_of_own_functions(readable):
        rejected[_OWN_FUNCTIONS] += sum(span.trace_id in own for span in readable)
        readable = [span for span in readable if span.trace_id not in own]
    assembly = Assembly()
    event_ids: list[str] = []
    places: Places = {}
    now = now_ns()
    plain_calls = PlainCalls(
        assembly, ids, now, lambda span: _claimed_place(assembly, span, places)
    )
    for span in readable:
        try:
            event_id = plain_calls.add(span) or _add(assembly, span, ids, now, places)
            if event_id is not None:
                event_ids.append(event_id)
        except RequestRejected:
            rejected[f"spans {TOO_DEEP}"] += 1
        except Exception:
            _count_unreadable(rejected)
    plain_calls.finish()
    return Converted(assembly, event_ids, rejected)


def _prepared(span: ReceivedSpan, rejected: Counter[str]) -> str | None:
    """The id of a span's event, once its names are conventional; None: it cannot be read."""
    try:
        conventional(span)
    except Exception:
        _count_unreadable(rejected)
        return None
    return _own_id(span)


def _count_unreadable(rejected: Counter[str]) -> None:
    """Count a span whose content the server has no answer to; the others of its request count."""
    rejected["spans that the server cannot read (see its log)"] += 1
    logger().exception("a span cannot be read")


def _add(assembly: Assembly, span: ReceivedSpan, ids: Ids, now: int, places: Places) -> str | None:
    """Add the records of a span; returns the id of its event, if it is one."""
    stated, place = _claimed_place(assembly, span, places)
    if own_spans.is_update(span):
        assembly.add(own_spans.update(span, place.session_id), place)
        return None
    if own_spans.is_ours(span):
        return _add_own(assembly, span, place)
    read = read_claiming_span(span, stated)
    record, fields = _record(span, read, place, ids, now)
    event_id: str = fields["event_id"]
    assembly.add(record, place)
    if span.parent_id is None:
        assembly.add_root(span.trace_id, span.start_ns, event_id)
    elif (span.trace_id, span.parent_id) not in ids:
        assembly.add_orphan(span.trace_id, span.parent_id)
    if fields["event_type"] in CALL_TYPES:
        assembly.add_call(span.trace_id, event_id, span.scope)
        if is_late(span) or is_early(span):
            assembly.add_late(span.trace_id, place)
    if fields["event_type"] != "session":
        _describe(place, span, fields)
        if is_control(span):
            _hide(assembly, span, place, fields)
    return event_id


def _hide(assembly: Assembly, span: ReceivedSpan, place: Place, fields: Fields) -> None:
    """Show the event of a span that only carries a message as a note of the event above it."""
    event_id, parent_id = fields["event_id"], fields["parent_id"]
    assembly.hide(event_id, parent_id, place)
    note = {
        "time": record_builder.iso(fields["start_time"]),
        "name": span.name,
        "scope": span.scope,
        "event_id": event_id,
        "attributes": {k: v for k, v in span.attributes.items() if k not in _CHATS},
    }
    parts = {part_key(LOG, 0, span.start_ns, span.span_id): note}
    assembly.add(record_builder.patch(parent_id, place.session_id, {GATHERED: parts}), place)


_CHATS = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
    }
)
"""What a note leaves out, as it may be large; the event of the note has it."""


def _add_own(assembly: Assembly, span: ReceivedSpan, place: Place) -> str:
    """Add the record that a span of our own exporter was made of; returns its event's id."""
    record, start = own_spans.record(span, place.session_id)
    assembly.add(record, place)
    assembly.add_own(span.trace_id, span.span_id, record.body[13:49].decode())
    if event_type(span.attributes) in CALL_TYPES:
        assembly.add_call(span.trace_id, _own_id(span), span.scope)
    if start is not None:
        assembly.start(place.session_id, start)
    return record.body[13:49].decode()


def _claimed_place(
    assembly: Assembly, span: ReceivedSpan, places: Places
) -> tuple[tuple[int, str, str] | None, Place]:
    """What a span names as its session, and the place of its event."""
    stated = session_claim(span.attributes, span.resource)
    return stated, _place(assembly, span, stated, places)


def _place(
    assembly: Assembly, span: ReceivedSpan, stated: tuple[int, str, str] | None, places: Places
) -> Place:
    """The place of a span; spans below a root of one trace and one claim have the same."""
    key = (span.trace_id, span.parent_id is None, stated, _is_ours(span.attributes))
    if (place := places.get(key)) is None:
        claim = _claim(stated, span.attributes)
        place = places[key] = assembly.place(span.trace_id, claim, span.parent_id is None)
    return place


@functools.lru_cache(maxsize=4096)
def _session_id(reference: str) -> str:
    return record_builder.session_id_for(reference)[0]


def _is_ours(attributes: Attributes) -> bool:
    """Whether our own exporter wrote the span or log record."""
    return "sessiontrace.event.id" in attributes or "sessiontrace.parent.id" in attributes


def claim_of(attributes: Attributes, resource: Attributes) -> Claim | None:
    """The session that a span or log record names."""
    return _claim(session_claim(attributes, resource), attributes)


def _claim(stated: tuple[int, str, str] | None, attributes: Attributes) -> Claim | None:
    if stated is None:
        return None
    rank, name, reference = stated
    session_id, is_ours = _session_id(reference), _is_ours(attributes)
    is_own = name not in CONVERSATIONS or is_ours
    # Our records have the reference where it belongs.
    return Claim(session_id, "" if is_ours else reference, rank, is_own)


def _describe(place: Place, span: ReceivedSpan, fields: Fields) -> None:
    """What a span says of its session."""
    tie = f"{span.span_id}{span.trace_id}"
    offer_step(place.parts, fields, tie)
    if name := session_name(span.attributes):
        place.parts.offer(NAME, (0, span.start_ns, tie), name)
    error = fields.get("error")
    if span.parent_id is None and error is not None and place.trace is not None:
        place.parts.offer(ERROR, (0, span.start_ns, span.span_id), error)


# -- ids ------------------------------------------------------------------------------------


def _own_id(span: ReceivedSpan) -> str:
    return own_event_id(span.attributes) or derived_id(span.trace_id, span.span_id)


def _parent_of(span: ReceivedSpan, session_id: str, ids: Ids) -> str:
    if (parent := rated_event_id(span.attributes)) is not None:
        return parent
    if span.parent_id is None or span.parent_id == span.span_id:
        return session_id
    is_trace = session_id.replace("-", "") == span.trace_id
    if is_trace and span.parent_id == span.trace_id[16:] and span.scope == _OURS:
        return session_id  # our own exporter's span of the session itself
    own = ids.get((span.trace_id, span.parent_id))
    return own or derived_id(span.trace_id, span.parent_id)


# -- fields ---------------------------------------------------------------------------------


def _record(
    span: ReceivedSpan, read: SpanFields, place: Place, ids: Ids, now: int
) -> tuple[Record | DecodedRecord, Fields]:
    """The record of a span, and its fields."""
    kind, session_id = read.type, place.session_id
    if kind in CALL_TYPES:  # two instrumentations may have recorded one call
        read.metadata["otel"]["scope"] = span.scope
        if is_late(span):
            read.metadata["otel"]["late"] = True
        elif is_early(span):
            read.metadata["otel"]["early"] = True
    source = first_text(span.attributes, *_SOURCES) or first_text(span.resource, "service.name")
    start, end = _bounds(span, read.metadata, now)
    is_session = kind == "session" or (
        kind == "chain"
        and span.trace_id[16:] == span.span_id
        and span.trace_id == session_id.replace("-", "")
    )
    if is_session:
        read = read._replace(type="session")
        event_id, parent_id = session_id, None
    else:
        event_id = ids[span.trace_id, span.span_id]
        parent_id = _parent_of(span, session_id, ids)
    event = event_of(read, event_id, session_id, parent_id, source, start, end)
    if "honeyhive_duration_ms" in span.attributes:
        stated = record_builder.number(span.attributes["honeyhive_duration_ms"])
        if stated is not None:
            event["duration"] = float(max(stated, 0.0))
    body = record_builder.encode_checked(event)
    record = Record(END, b"*", body) if is_session else DecodedRecord(EVENT, event, body.decode())
    return record, event


_EARLIEST_NS = 946_684_800 * 10**9  # the year 2000
_AHEAD_NS = 366 * 86_400 * 10**9


def _bounds(span: ReceivedSpan, metadata: Fields, now: int) -> tuple[int, int]:
    """Start and end in Unix ns.

    Of a clock that is wrong by decades, as one that counts from the start of a machine, only the
    duration is kept, since it would give its whole session a wrong start or end; the span counts as
    ended now, and the metadata have its times.
    """
    start, end = span.start_ns, span.end_ns
    is_sane = start >= _EARLIEST_NS and end <= now + _AHEAD_NS
    if is_sane or span.scope == _OURS or _is_ours(span.attributes):
        return start, end
    start = start or end
    metadata["otel"]["time_unix_nano"] = [start, end]
    took = end - start if end - start < _AHEAD_NS else 0
    return now - took, now
