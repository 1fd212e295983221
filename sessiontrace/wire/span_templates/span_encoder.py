"""Records to encoded spans: by a template where a record repeats an earlier one.

Each exporter has its own, used in the sender's thread. Invariant: the bytes are those that
``span_writer.span_of`` and the encoding give, whichever way a record takes, and memory is bounded.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.ids import PARENT_SPAN_ID, TRACE_ID
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.record import END, EVENT, Record, is_turn
from sessiontrace.wire import model_call
from sessiontrace.wire.encoded.record_layout import Layout, layout_of
from sessiontrace.wire.otlp_resource import Origin
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
from sessiontrace.wire.span_templates import template as cuts
from sessiontrace.wire.span_templates.template import Facts, SpanEncoding, Template, template_of
from sessiontrace.wire.span_writer import SessionLookup, Span, origin_of, span_of, times_ns

__all__ = ["SpanEncoder"]

Translate = Callable[[dict[str, Any]], None]

_SHAPES_MAX = 256
_SHAPE_BYTES = 4096
"""Larger shapes get no template: they hold texts of their own and would fill memory."""

_SHAPING = frozenset({"operation", "agent_name", "tags", "error", PARENT_SPAN_ID})
"""Metadata that says which kind of step it is; it stays in the shape."""

_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_CONTENT_MOST = 12
"""Attributes that inputs and outputs come to, at most."""


class _Shape:
    """What records of one shape have in common.

    ``event``: the fields of such a record, decoded, without inputs and outputs. ``varies``: whether
    each has metadata of its own. ``templates``: by what its session has.
    """

    __slots__ = ("event", "event_type", "fits", "has_parent_span", "is_turn", "name", "operation",
                 "templates", "varies")  # fmt: skip

    def __init__(self, record: Record, layout: Layout, varies: bool) -> None:
        self.event = event = payload.fields(record)
        event.pop("inputs", None)
        event.pop("outputs", None)
        self.fits = _is_laid_out(event, layout)
        self.varies = varies
        self.has_parent_span = record.kind == EVENT and "parent_id" in event
        self.event_type = payload.text(event.get("event_type"))
        self.is_turn = record.kind == END and is_turn(record.body)
        self.name = event_name(event)
        self.operation = model_call.operation(event)
        self.templates: dict[Facts, Template | None] = {}


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
        and PARENT_SPAN_ID not in payload.bucket(event, "metadata")
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
        self._shapes: LruCache[bytes, _Shape | None] = LruCache(_SHAPES_MAX)  # None: seen once

    def encode(self, record: Record) -> tuple[Origin, bytes] | None:
        """The span's origin and its bytes; None for the start of a session or turn."""
        if self._translate is None and (record.kind == EVENT or record.kind == END):
            layout = layout_of(record.body)
            if layout is not None and layout.inputs is not None:
                encoded = self._by_template(record, layout)
                if encoded is not None:
                    return encoded
        span = self.span(record)
        return None if span is None else self.encode_span(span)

    def span(self, record: Record) -> Span | None:
        """The span, made the whole way; None for the start of a session or turn."""
        return span_of(record, self._sessions, self._limits)

    def encode_span(self, span: Span) -> tuple[Origin, bytes]:
        """Its origin and its bytes; adds what ``translate`` adds."""
        if self._translate is not None:
            self._translate(span.attributes)
        return span.origin, self._encoding.span(span)

    def _by_template(self, record: Record, layout: Layout) -> tuple[Origin, bytes] | None:
        metadata = {} if layout.metadata is None else orjson.loads(layout.metadata)
        shape = self._shape(record, layout, metadata)
        if shape is None or (values := self._values(shape, layout, metadata)) is None:
            return None
        event, sessions = shape.event, self._sessions
        session_id = event["session_id"] = layout.session_id.decode()
        if record.kind == END:
            event["event_id"] = layout.event_id.decode()
            event["start_time"], event["end_time"] = layout.start_ms, layout.end_ms
            if layout.metadata is not None:
                event["metadata"] = metadata
            sessions.learn(event)
        user, conversation = sessions.user(event), sessions.conversation(event)
        has_its_id = conversation is not None and is_session_of(session_id, conversation)
        facts = Facts(user is not None, conversation is not None, has_its_id)
        template = self._template(shape, facts)
        if template is None or template.size + 2 * len(metadata) > self._attributes_max:
            return None
        pieces = template.pieces.copy()
        for position, cut in template.cuts:
            pieces[position] = values[cut]
        texts = {cuts.USER: user, cuts.CONVERSATION: conversation, cuts.CHILDREN: layout.children}
        for position, name, cut in template.pairs:
            pieces[position] = self._encoding.attributes({name: texts[cut] or ""})
        return origin_of(event, sessions), b"".join(pieces)

    def _shape(self, record: Record, layout: Layout, metadata: dict[str, Any]) -> _Shape | None:
        """The shape of a record that was seen before; None where it gets no template."""
        key = layout.shape
        if record.kind == END:
            key += b"t" if is_turn(record.body) else b"s"
        elif layout.parent_id:
            key += b"p"
        if layout.children is not None:
            key += b"c"
        varies = False
        if layout.metadata is not None:
            varies = metadata.keys().isdisjoint(_SHAPING)
            key += b"v" if varies else _without_trace(layout.metadata, metadata)
        if len(key) > _SHAPE_BYTES:
            return None
        shape = self._shapes.get(key)
        if shape is None:
            if key in self._shapes:
                shape = _Shape(record, layout, varies)
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

    def _values(
        self, shape: _Shape, layout: Layout, metadata: dict[str, Any]
    ) -> list[bytes] | None:
        """What stands at each kind of cut; None where the template cannot say it."""
        session_id, event_id, parent_id = layout.session_id, layout.event_id, layout.parent_id
        trace_id = metadata.get(TRACE_ID)
        encoding = self._encoding
        try:
            trace = unhexlify(session_id.replace(b"-", b"") if trace_id is None else trace_id)
            span = unhexlify(event_id.replace(b"-", b""))
            parent_span = unhexlify(parent_id.replace(b"-", b"")) if parent_id else span
        except (ValueError, TypeError):
            return None
        if not len(trace) == len(span) == len(parent_span) == 16:
            return None
        if _NO_SPAN in (span[8:], parent_span[8:]) or trace == _NO_TRACE:
            return None
        attributes = self._attributes(shape, layout, metadata)
        if attributes is None:
            return None
        start_ns = layout.start_ms * 1_000_000 + layout.start_nanos
        start, end = times_ns(start_ns, layout.duration_ms)
        return [
            encoding.identifier(trace),
            encoding.identifier(span[8:]),
            encoding.identifier(parent_span[8:]),
            encoding.time(start),
            encoding.time(end),
            session_id,
            event_id,
            parent_id or session_id,
            *attributes,
        ]

    def _attributes(
        self, shape: _Shape, layout: Layout, metadata: dict[str, Any]
    ) -> tuple[bytes, bytes, bytes] | None:
        """The attributes of metadata, of inputs and outputs, and the others of metadata.

        None where they are not all: then the span has attributes about them, too.
        """
        event = shape.event
        event["inputs"], event["outputs"] = layout.inputs, layout.outputs
        fields: dict[str, Value] = {}
        content: dict[str, Value] = {}
        others: dict[str, Value] = {}
        changes: Changes = []
        if shape.varies:
            event["metadata"] = metadata
            fields, content, others = metadata_attributes(metadata, shape.event_type, changes)
        add_content(content, event, shape.name, shape.operation, changes)
        if changes or TEXTS in others:
            return None
        return self._encoded(fields), self._encoded(content), self._encoded(others)

    def _encoded(self, attributes: dict[str, Value]) -> bytes:
        """Attributes, each behind a separator."""
        if not attributes:
            return b""
        return self._encoding.separator + self._encoding.attributes(attributes)


def _without_trace(encoded: bytes, metadata: dict[str, Any]) -> bytes:
    trace_id = metadata.get(TRACE_ID)
    return encoded.replace(trace_id.encode(), b"") if isinstance(trace_id, str) else encoded
