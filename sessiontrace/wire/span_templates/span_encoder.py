"""Records to encoded spans: by a template where a record repeats an earlier one.

Each exporter has its own, used in the sender's thread. Invariant: the bytes are those that
``span_writer.span_of`` and the encoding give, whichever way a record takes, and memory is bounded.
"""

from __future__ import annotations

import itertools
import re
from binascii import unhexlify
from collections.abc import Callable
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.ids import PARENT_SPAN_ID, SPAN_ID, TRACE_ID
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.record import END, EVENT, UPDATE, Record, is_turn, session_id_of
from sessiontrace.model.step_types import base_of
from sessiontrace.wire import model_call
from sessiontrace.wire.encoded.event_span import (
    Plan,
    SessionValues,
    event_span,
    plan_of,
)
from sessiontrace.wire.encoded.filling import fill
from sessiontrace.wire.encoded.record_layout import Layout, layout_of
from sessiontrace.wire.otlp_resource import Origin
from sessiontrace.wire.roundtrip.changes import ATTRIBUTE as CHANGES
from sessiontrace.wire.roundtrip.changes import Changes
from sessiontrace.wire.span_attributes import (
    TEXTS,
    AttributeLimits,
    Value,
    event_name,
    is_session_of,
    metadata_attributes,
)
from sessiontrace.wire.span_content import add_content
from sessiontrace.wire.span_templates.metadata_rules import SHAPING, rules_for
from sessiontrace.wire.span_templates.template import Facts, SpanEncoding, Template, template_of
from sessiontrace.wire.span_writer import (
    SessionFacts,
    SessionLookup,
    Span,
    origin_of,
    span_of,
    times_ns,
)

__all__ = ["SpanEncoder"]

Translate = Callable[[dict[str, Any]], None]

_SESSION_ID = b'","session_id":"'
_SESSIONS_MAX = 1024
_SHAPES_MAX = 256
_SHAPE_BYTES = 4096
"""Larger shapes get no template: they hold texts of their own and would fill memory."""

_TRACE = re.compile(r"[0-9a-f]{32}")
_OF_ANOTHER_TRACER = frozenset({SPAN_ID, PARENT_SPAN_ID})
"""Metadata whose records get no template: their ids are not those of the record."""

_SCORES = frozenset({"metrics", "feedback"})
"""Fields whose records get no template: a caller may need their spans."""

_ALL_FACTS = tuple(Facts(*facts) for facts in itertools.product((False, True), repeat=3))

_CONTENT_MOST = 12
"""Attributes that inputs and outputs come to, at most."""


class _Shape:
    """What records of one shape have in common.

    ``event``: the fields of such a record, decoded, without inputs and outputs. ``varies``: whether
    each has metadata of its own. ``templates``: by what its session has. ``plans``: by the number
    of that; None where ``event_span`` cannot write such records.
    """

    __slots__ = ("event", "event_type", "fits", "has_own_user", "has_parent_span", "is_turn",
                 "name", "operation", "plans", "source", "templates", "varies")  # fmt: skip

    def __init__(self, record: Record, layout: Layout, varies: bool) -> None:
        self.event = event = payload.fields(record)
        event.pop("inputs", None)
        event.pop("outputs", None)
        self.fits = _is_laid_out(event, layout) and event.keys().isdisjoint(_SCORES)
        self.varies = varies
        self.has_parent_span = record.kind == EVENT and "parent_id" in event
        self.event_type = payload.text(event.get("event_type"))
        self.is_turn = record.kind == END and is_turn(record.body)
        self.has_own_user = "user_properties" in event
        source = event.get("source")
        self.source = source if isinstance(source, str) else None
        self.name = event_name(event)
        self.operation = model_call.operation(event)
        self.templates: dict[Facts, Template | None] = {}
        self.plans: list[Plan | None] | None = None
        is_constant = layout.metadata is not None and not varies
        ends = [] if varies else model_call.finish_reasons(event)
        if not (is_constant or self.has_own_user or self.operation == "retrieval" or ends):
            self.plans = [None] * len(_ALL_FACTS)


class _Session:
    """What the spans of a session have of it, from its ``facts``."""

    __slots__ = ("conversation", "facts", "has", "origins", "user", "values")

    def __init__(self, session_id: str, facts: SessionFacts) -> None:
        self.facts = facts
        self.user, self.conversation = user, conversation = facts.user, facts.conversation
        has_its_id = conversation is not None and is_session_of(session_id, conversation)
        number = 4 * (user is not None) + 2 * (conversation is not None) + has_its_id
        self.has = _ALL_FACTS[number]
        origin = origin_of({}, facts)
        self.origins: dict[str | None, Origin] = {facts.source: origin}
        texts = (user or "").encode(), (conversation or "").encode()
        self.values = SessionValues(number, *texts, self.origins)

    def has_facts(self, facts: SessionFacts) -> bool:
        """Whether the facts say the same as its own, which they become then."""
        own = self.facts
        if own is not facts:
            if (own.user, own.service, own.source, own.conversation) != (
                facts.user,
                facts.service,
                facts.source,
                facts.conversation,
            ):
                return False
            self.facts = facts
        return True


def _is_laid_out(event: dict[str, Any], layout: Layout) -> bool:
    """Whether the layout's values are those of the decoded record."""
    metadata = layout.metadata
    return (
        event["event_id"].encode() == layout.event_id
        and event["session_id"].encode() == layout.session_id
        and (event.get("start_time"), event.get("end_time"), event.get("duration"))
        == (layout.start_ms, layout.end_ms, layout.duration_ms)
        and event.get("start_nanos", 0) == layout.start_nanos
        and ("children_ids" in event) == (layout.children is not None)
        and (metadata is None or orjson.loads(metadata) == event.get("metadata"))
        and _OF_ANOTHER_TRACER.isdisjoint(payload.bucket(event, "metadata"))
        and (metadata is not None or TRACE_ID not in payload.bucket(event, "metadata"))
    )


class SpanEncoder:
    """Encodes the spans of records.

    ``sessions``: learns from starts and ends, and answers for their events. ``translate``: adds
    attributes to those of a span, by any of them; there are no templates then.
    """

    def __init__(
        self,
        encoding: SpanEncoding,
        sessions: SessionLookup,
        limits: AttributeLimits,
        translate: Translate | None = None,
    ) -> None:
        self._encoding = encoding
        self._sessions = sessions
        self._limits = limits
        self._attributes_max = limits.number - _CONTENT_MOST
        self._translate = translate
        self._known: LruCache[bytes, _Session] = LruCache(_SESSIONS_MAX)
        self._values: LruCache[bytes, SessionValues] = LruCache(_SESSIONS_MAX)
        self._plans: LruCache[bytes, list[Plan | None]] = LruCache(_SHAPES_MAX)
        self._shapes: LruCache[bytes, _Shape | None] = LruCache(_SHAPES_MAX)  # None: seen once

    def encode(self, record: Record) -> tuple[Origin, bytes] | None:
        """The span's origin and the span as an item; None for the start of a session or turn."""
        encoded = self.by_template(record)
        if encoded is not None:
            return encoded
        span = self.span(record)
        return None if span is None else self.encode_span(span)

    def by_template(self, record: Record) -> tuple[Origin, bytes] | None:
        """The same by a template; None where the record has none, or has scores."""
        kind, _, body = record
        if self._translate is not None or (kind != EVENT and kind != END):
            return None
        if kind == EVENT and self._encoding.has_plans:
            encoded = event_span(body, False, self._plans.get, self._values.get)
            if encoded is not None:
                origin, item = encoded
                return origin, item
        layout = layout_of(body)
        if layout is None or layout.inputs is None:
            return None
        return self._fill(record, layout)

    def span(self, record: Record) -> Span | None:
        """The span, made the whole way; None for the start of a session or turn."""
        span = span_of(record, self._sessions, self._limits)
        if record.kind != EVENT and record.kind != UPDATE:
            self._renew_session(record.body)
        return span

    def _renew_session(self, body: bytes) -> None:
        """Something new may be known of the session of a start or end."""
        session_id = session_id_of(body)
        if body.startswith(_SESSION_ID, 49) and session_id.isascii():
            self._session(session_id)
        else:  # not as capture writes it: any session may be meant
            self._known, self._values = LruCache(_SESSIONS_MAX), LruCache(_SESSIONS_MAX)

    def encode_span(self, span: Span) -> tuple[Origin, bytes]:
        """Its origin and the span as an item; adds what ``translate`` adds."""
        if self._translate is not None:
            self._translate(span.attributes)
        return span.origin, self._encoding.item(self._encoding.span(span))

    def _fill(self, record: Record, layout: Layout) -> tuple[Origin, bytes] | None:
        _, encoded, children, event_id, session_id, parent_id, *_ = layout
        metadata: dict[str, Any] = {} if encoded is None else orjson.loads(encoded)
        if not _OF_ANOTHER_TRACER.isdisjoint(metadata):
            return None
        shape = self._shape(record, layout, metadata)
        if shape is None:
            return None
        if record.kind == END:
            self._learn(shape, layout, metadata)
        session = self._session(session_id)
        if record.kind == END and self._encoding.has_plans:
            encoded_span = event_span(record.body, True, self._plans.get, self._values.get)
            if encoded_span is not None:
                return encoded_span
        user, has = session.user, session.has
        if shape.has_own_user:
            user = self._sessions.user({**shape.event, "session_id": session_id.decode()})
            has = has._replace(has_user=user is not None)
        template = shape.templates.get(has) or self._template(shape, has)
        if template is None or template.size + 2 * len(metadata) > self._attributes_max:
            return None
        attributes = self._attributes(shape, layout, metadata)
        if attributes is None or (attributes[-1] and template.has_changes):
            return None
        texts = (user or "", session.conversation or "", children or b"")
        encode = self._encoding.attributes
        pairs = [encode({name: texts[value]}) for name, value in template.pairs]
        numbers = self._numbers(layout, metadata.get(TRACE_ID))
        ids = session_id, event_id, parent_id or session_id
        span = fill(template.parts, (*numbers, *ids, *attributes, *pairs))
        if shape.plans is not None and shape.plans[session.values.number] is None:
            shape.plans[session.values.number] = self._plan(shape, template)
        origin = session.origins.get(shape.source)
        if origin is None:
            origin = session.origins[shape.source] = origin_of(shape.event, session.facts)
        return origin, self._encoding.item(span)

    def _plan(self, shape: _Shape, template: Template) -> Plan:
        return plan_of(
            template.parts,
            template.pairs,
            base_of(shape.event),
            shape.name,
            shape.source,
            rules_for(shape.event_type),
            (self._attributes_max - template.size) // 2,
        )

    def _numbers(self, layout: Layout, trace_id: str | None) -> tuple[bytes, ...]:
        trace = layout.trace if trace_id is None else unhexlify(trace_id)
        start_ns = layout.start_ms * 1_000_000 + layout.start_nanos
        times = times_ns(start_ns, layout.duration_ms)
        return self._encoding.numbers(trace, layout.span, layout.parent_span, *times)

    def _learn(self, shape: _Shape, layout: Layout, metadata: dict[str, Any]) -> None:
        """Remember the end of a session or turn."""
        event = shape.event
        event["session_id"], event["event_id"] = (
            layout.session_id.decode(),
            layout.event_id.decode(),
        )
        event["start_time"], event["end_time"] = layout.start_ms, layout.end_ms
        if layout.metadata is not None:
            event["metadata"] = metadata
        self._sessions.learn(event)

    def _session(self, session_id: bytes) -> _Session:
        text = session_id.decode()
        facts = self._sessions.facts(text)
        session = self._known.get(session_id)
        if session is None or not session.has_facts(facts):
            session = _Session(text, facts)
            self._known.put(session_id, session)
            self._values.put(session_id, session.values)
        return session

    def _shape(self, record: Record, layout: Layout, metadata: dict[str, Any]) -> _Shape | None:
        """The shape of a record that was seen before; None where it gets no template."""
        key = layout.shape
        if record.kind == END:
            key += b"t" if layout.event_id != layout.session_id else b"s"
        elif layout.parent_id:
            key += b"p"
        if layout.children is not None:
            key += b"c"
        varies = False
        if layout.metadata is not None:
            trace_id = metadata.get(TRACE_ID)
            if trace_id is not None and not _is_trace(trace_id):
                return None
            varies = metadata.keys().isdisjoint(SHAPING)
            key += b"v" if varies else _without(trace_id, layout.metadata)
        if len(key) > _SHAPE_BYTES:
            return None
        shape = self._shapes.get(key)
        if shape is None:
            if key in self._shapes:
                shape = _Shape(record, layout, varies)
                if shape.plans is not None:
                    self._plans.put(key, shape.plans)
            self._shapes.put(key, shape)
        return shape if shape is None or shape.fits else None

    def _template(self, shape: _Shape, facts: Facts) -> Template | None:
        if facts not in shape.templates:
            shape.templates[facts] = template_of(
                shape.event,
                varies=shape.varies,
                has_parent_span=shape.has_parent_span,
                is_turn=shape.is_turn,
                facts=facts,
                encoding=self._encoding,
                limits=self._limits,
            )
        return shape.templates[facts]

    def _attributes(
        self, shape: _Shape, layout: Layout, metadata: dict[str, Any]
    ) -> tuple[bytes, bytes, bytes, bytes] | None:
        """The attributes of metadata, of inputs and outputs, the others of metadata, the changes.

        None where the metadata has changes: they are not the last ones then.
        """
        event = shape.event
        event["inputs"], event["outputs"] = layout.inputs, layout.outputs
        changes: Changes = []
        content: dict[str, Value] = {}
        fields = others = b""
        if shape.varies:
            event["metadata"] = metadata
            conventional, content, own = metadata_attributes(metadata, shape.event_type, changes)
            if changes or TEXTS in own:
                return None
            fields, others = self._encoded(conventional), self._encoded(own)
        add_content(content, event, shape.name, shape.operation, changes)
        last = self._encoded({CHANGES: orjson.dumps(changes)}) if changes else b""
        return fields, self._encoded(content), others, last

    def _encoded(self, attributes: dict[str, Value]) -> bytes:
        """Attributes, each behind a separator."""
        if not attributes:
            return b""
        return self._encoding.separator + self._encoding.attributes(attributes)


def _is_trace(trace_id: Any) -> bool:
    is_hex = isinstance(trace_id, str) and _TRACE.fullmatch(trace_id) is not None
    return is_hex and bool(trace_id.strip("0"))


def _without(trace_id: str | None, metadata: bytes) -> bytes:
    """Encoded metadata without the id of its trace, unless that is another value, too."""
    if trace_id is None or metadata.count(trace_id.encode()) != 1:
        return metadata
    return metadata.replace(trace_id.encode(), b"")
