"""A template: an encoded span, cut where the values of its record stand.

Pure functions, no thread owns them. A template is made by example: the span of an event whose
values are marks is encoded as any other span, and its bytes are cut at the marks. Invariant: the
template of an event, filled with another event's values, gives the bytes that the whole way gives
for that event; where that cannot be, there is no template.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from sessiontrace.model import payload
from sessiontrace.model.ids import TRACE_ID, session_uuid
from sessiontrace.wire.otlp_resource import Origin
from sessiontrace.wire.roundtrip.changes import ATTRIBUTE as CHANGES_ATTRIBUTE
from sessiontrace.wire.roundtrip.changes import Changes
from sessiontrace.wire.span_attributes import CHILDREN as CHILDREN_ATTRIBUTE
from sessiontrace.wire.span_attributes import TURN, AttributeLimits, Value, attributes_of
from sessiontrace.wire.span_writer import Span, kind_of, span_name

__all__ = [
    "CHILDREN",
    "CONVERSATION",
    "USER",
    "Facts",
    "SpanEncoding",
    "Template",
    "template_of",
]

Event = dict[str, Any]

(
    TRACE,
    SPAN,
    PARENT_SPAN,
    START,
    END,
    SESSION,
    EVENT,
    PARENT,
    FIELDS,
    CONTENT,
    OTHERS,
    CHANGES,
    PAIRS,
) = range(13)
"""What a cut holds.

``FIELDS`` and ``OTHERS``: attributes of the metadata, by the conventions and others. ``CONTENT``:
attributes of inputs and outputs. ``CHANGES``: what these do not say, the last attribute. From
``PAIRS`` on: attributes of a template's own.
"""

USER, CONVERSATION, CHILDREN = range(3)
"""The values of such attributes."""

_TRACE = "e3b0c44298fc1c149afbf4c8996fb924"
_SPAN, _PARENT_SPAN = "27ae41e4649b934c", "a495991b7852b855"
_START_NS, _END_NS = 1_683_224_937_214_605_881, 1_683_224_938_725_113_306
_SESSION, _EVENT, _PARENT = (
    "6f1c2d3e-9a4b-7c5d-8e6f-0a1b2c3d4e5f",
    "8b2d4f60-a1c3-7e5f-9072-b4d6f8091a2c",
    "9c3e5a71-b2d4-7f60-8183-c5e7091a2b3d",
)
_USER, _CONVERSATION = "\x00the user\x00", "\x00the conversation\x00"
_CHILDREN = "\x00children\x00"
_SESSION_OF_CONVERSATION = session_uuid(_CONVERSATION)
_CONTENT, _FIELDS, _OTHERS = "\x00the content\x00", "\x00fields\x00", "\x00others\x00"
_CHANGES = "\x00changes\x00"
_METADATA = {"response_id": _FIELDS, "others": _OTHERS}
_WHOLE = {_SESSION, _SESSION_OF_CONVERSATION, _EVENT, _PARENT}
_PAIRS = {_FIELDS: FIELDS, _CONTENT: CONTENT, _OTHERS: OTHERS, _CHANGES: CHANGES}
_NAMED = {_USER: USER, _CONVERSATION: CONVERSATION, _CHILDREN: CHILDREN}
_MARKS = {*_WHOLE, *_PAIRS, *_NAMED, _TRACE}


class Facts(NamedTuple):
    """What a session has: a user, an id of the application, and whether its own id is from that."""

    has_user: bool
    has_conversation: bool
    has_its_id: bool


class SpanEncoding(NamedTuple):
    """How spans are encoded: whole, and their parts as they stand in a whole one.

    ``attributes``: without what precedes the first of them. ``separator``: between two attributes.
    ``numbers``: the bytes of trace, span and parent span, start and end in Unix ns. ``item``: an
    encoded span as it stands in a request. ``has_plans``: ``event_span`` writes this encoding.
    """

    span: Callable[[Span], bytes]
    attributes: Callable[[dict[str, Value]], bytes]
    separator: bytes
    numbers: Callable[[bytes, bytes, bytes, int, int], tuple[bytes, bytes, bytes, bytes, bytes]]
    item: Callable[[bytes], bytes]
    has_plans: bool


class Template(NamedTuple):
    """``parts``: bytes, and the numbers of the values that stand between them.

    ``pairs``: names of attributes and which value they have, for values that differ in length; the
    first of them has the number ``PAIRS``. ``size``: the number of attributes. ``has_changes``: of
    what all spans share, so that there is no place for those of one span.
    """

    parts: tuple[bytes | int, ...]
    pairs: tuple[tuple[str, int], ...]
    size: int
    has_changes: bool


def template_of(
    event: Event,
    *,
    varies: bool,
    has_parent_span: bool,
    is_turn: bool,
    facts: Facts,
    encoding: SpanEncoding,
    limits: AttributeLimits,
) -> Template | None:
    """The template of an event's span; None where it would not fit other events.

    ``event``: without its inputs and outputs. ``varies``: whether its metadata will.
    ``has_parent_span``: whether its parent id is that of a span.
    """
    has_error = event.get("error") is not None or "error" in payload.bucket(event, "metadata")
    if limits.characters is not None or has_error:
        return None
    session_id = _SESSION_OF_CONVERSATION if facts.has_its_id else _SESSION
    marked = {**event, "session_id": session_id, "event_id": _EVENT, "inputs": b"{}"}
    if "parent_id" in event:
        marked["parent_id"] = _PARENT
    if varies:
        marked["metadata"] = _METADATA
    elif TRACE_ID in payload.bucket(event, "metadata"):
        marked["metadata"] = {**event["metadata"], TRACE_ID: _TRACE}
    attributes = attributes_of(
        marked,
        _USER if facts.has_user else None,
        _CONVERSATION if facts.has_conversation else None,
        limits,
        add_content=_mark_content,
    )
    if is_turn:
        attributes[TURN] = True
    if CHILDREN_ATTRIBUTE in attributes:
        attributes[CHILDREN_ATTRIBUTE] = _CHILDREN
    attributes[_CHANGES] = _CHANGES
    name = span_name(marked, attributes)
    if any(mark in name for mark in _MARKS):
        return None
    span = Span(
        Origin(""),
        _TRACE,
        _SPAN,
        _PARENT_SPAN if has_parent_span else None,
        name,
        kind_of(marked),
        _START_NS,
        _END_NS,
        attributes,
    )
    return _cut(span, encoding)


def _mark_content(
    attributes: dict[str, Value],
    event: Event,
    name: str,
    operation: str | None,
    changes: Changes,
) -> None:
    attributes[_CONTENT] = _CONTENT


def _cut(span: Span, encoding: SpanEncoding) -> Template | None:
    """The encoded span in pieces; None if a mark is where no value of that kind is due."""
    marks: dict[bytes, int] = {
        **dict(zip(_numbers(encoding), range(SESSION), strict=True)),
        _SESSION.encode(): SESSION,
        _SESSION_OF_CONVERSATION.encode(): SESSION,
        _EVENT.encode(): EVENT,
        _PARENT.encode(): PARENT,
    }
    pairs: list[tuple[str, int]] = []
    for name, value in span.attributes.items():
        if isinstance(value, str) and value in _PAIRS:
            pair = encoding.separator + encoding.attributes({name: value})
            marks[pair] = _PAIRS[value]
        elif isinstance(value, str) and value in _NAMED:
            marks[encoding.attributes({name: value})] = PAIRS + len(pairs)
            pairs.append((name, _NAMED[value]))
        elif not (isinstance(value, str) and value in _WHOLE) and _has_mark(name, value):
            return None
    longest_first = sorted(marks, key=len, reverse=True)
    pieces = re.split(b"(%b)" % b"|".join(map(re.escape, longest_first)), encoding.span(span))
    parts = [piece if place % 2 == 0 else marks[piece] for place, piece in enumerate(pieces)]
    has_changes = CHANGES_ATTRIBUTE in span.attributes
    return Template(tuple(parts), tuple(pairs), len(span.attributes), has_changes)


def _numbers(encoding: SpanEncoding) -> tuple[bytes, ...]:
    trace, span, parent_span = map(bytes.fromhex, (_TRACE, _SPAN, _PARENT_SPAN))
    return encoding.numbers(trace, span, parent_span, _START_NS, _END_NS)


def _has_mark(name: str, value: Value) -> bool:
    """Whether an attribute holds a mark beside other text: it would differ in other spans."""
    text = f"{name} {value.decode() if isinstance(value, bytes) else value}"
    return any(mark in text for mark in _MARKS)
