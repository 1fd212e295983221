"""The Python form of ``event_span``: the specification; see ``event_span``."""

from __future__ import annotations

import re
import struct
from binascii import unhexlify
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sessiontrace.model.payload import EMPTY
from sessiontrace.wire import semconv
from sessiontrace.wire.encoded._filling_py import fill
from sessiontrace.wire.encoded._flat_metadata_py import FLAG, FLOAT, INT, TEXT, entries_of
from sessiontrace.wire.encoded._key_values_py import any_value
from sessiontrace.wire.encoded._plain_chat_py import plain_messages, plain_parts
from sessiontrace.wire.encoded._record_layout_py import Layout, layout_of
from sessiontrace.wire.protobuf import field

__all__ = [
    "COPY_MAX",
    "INPUT_TYPE",
    "LATEST_MS",
    "LATEST_NS",
    "MESSAGES_FORM",
    "MODEL",
    "NAMES",
    "OTHER",
    "OUTPUT_TYPE",
    "REASON",
    "REASONS",
    "REFUSED",
    "TOOL",
    "TRACE_KEY",
    "Plan",
    "Rule",
    "SessionValues",
    "attribute",
    "event_span",
    "plan_of",
]

REASON, TRACE_KEY, REFUSED = range(4, 7)
"""How an entry of the metadata is written, besides by its kind; see ``Rule``."""

MODEL, TOOL, OTHER = range(3)
"""How inputs and outputs are written: as a chat, as a call of a tool, or as values."""

COPY_MAX = 16 << 10
"""Bytes of a tool's arguments or result that are written under OpenInference's name too."""

_CHILDREN = 2  # of the values in ``pairs``; the others are those of the session
LATEST_NS = (1 << 63) - 1
LATEST_MS = LATEST_NS // 1_000_000 - 1  # later and longer ones need more care
_ANSWER = b'[{"role":"%b","parts":[{"type":"text","content":%b}],"finish_reason":"%b"}]'
REASONS = {key.encode(): word.encode() for key, word in semconv.FINISH_REASONS.items()}
_OPENERS = frozenset({b"{", b"["})
_TRACE = re.compile(rb"[0-9a-f]{32}")
_TIME = struct.Struct("<Q").pack


class SessionValues(NamedTuple):
    """What the spans of one session have of it.

    ``number``: of the plans for such sessions. ``user``, ``conversation``: in UTF-8, empty where
    there is none. ``origins``: of spans, by the source of their events.
    """

    number: int
    user: bytes
    conversation: bytes
    origins: dict[str | None, Any]


class Rule(NamedTuple):
    """How an entry of the metadata is written: one of ``flat_metadata``'s kinds, or one of these.

    REASON: a model's finish reason. TRACE_KEY: the id of the trace, which is no attribute. REFUSED:
    the event is not plain. ``name``, ``copy``: encoded fields; ``copy`` may be empty.
    """

    kind: int
    name: bytes
    copy: bytes


class Plan(NamedTuple):
    """How the events of one shape are written in one kind of session.

    ``parts``, ``pairs``: as in a ``Template``, but the names in ``pairs`` are encoded fields.
    ``content``: MODEL, TOOL or OTHER. ``tool``: a tool's name as an encoded attribute. ``source``:
    of these events. ``rules``: for the entries of their metadata, of which there are
    ``entries_max`` at most.
    """

    parts: tuple[bytes | int, ...]
    pairs: tuple[tuple[bytes, int], ...]
    content: int
    tool: bytes
    source: str | None
    rules: dict[bytes, Rule]
    entries_max: int


def attribute(name: bytes, text: bytes) -> bytes:
    """A span's attribute with a text; ``name``: as an encoded field."""
    return _pair(name, field(b"\x0a", text))


def _pair(name: bytes, encoded: bytes) -> bytes:
    return field(b"\x4a", name + field(b"\x12", encoded))


def _name(text: str) -> bytes:
    return field(b"\x0a", text.encode())


NAMES = tuple(
    map(
        _name,
        (
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "input.value",
            "output.value",
        ),
    )
)
_INPUT_MESSAGES, _OUTPUT_MESSAGES, _ARGUMENTS, _RESULT, _INPUT, _OUTPUT = NAMES
INPUT_TYPE, OUTPUT_TYPE = (
    attribute(_name(name), b"application/json") for name in ("input.mime_type", "output.mime_type")
)


MESSAGES_FORM = attribute(_name("sessiontrace.chat"), b'{"inputs":"messages"}')
_OPENINGS = ((b'{"messages":[', MESSAGES_FORM), (b'{"chat_history":[', b""))


def plan_of(
    parts: tuple[bytes | int, ...],
    pairs: tuple[tuple[str, int], ...],
    base: Any,
    name: str,
    source: str | None,
    rules: dict[bytes, Rule],
    entries_max: int,
) -> Plan:
    """The plan of a template, for events of this base type, name and source."""
    content = MODEL if base == "model" else TOOL if base == "tool" else OTHER
    tool = attribute(_name("gen_ai.tool.name"), name.encode()) if content == TOOL else b""
    encoded_pairs = tuple([(_name(text), value) for text, value in pairs])
    return Plan(parts, encoded_pairs, content, tool, source, rules, entries_max)


def event_span(
    body: bytes,
    is_end: bool,
    plans_of: Callable[[bytes], Sequence[Plan | None] | None],
    session_of: Callable[[bytes], SessionValues | None],
) -> tuple[Any, bytes] | None:
    """The origin of an event's span, and the span as a field of its scope.

    ``is_end``: the event is the end of a session or turn. ``plans_of``: the plans for a shape, by
    the number of a session. A shape is that of ``Layout`` and letters: "s" for a session, "t" for a
    turn, "p" for an event with a parent, "c" with children, "v" with metadata. ``session_of``: the
    values of a session, by its id. None where there is no plan, no session, no origin, or the event
    is not plain: it has other metadata, or a chat with more than texts.
    """
    layout = layout_of(body)
    if layout is None or layout.inputs is None or (numbers := _numbers(layout)) is None:
        return None
    plans = plans_of(layout.shape + _letters(layout, is_end))
    session = session_of(layout.session_id)
    if plans is None or session is None or (plan := plans[session.number]) is None:
        return None
    origin = session.origins.get(plan.source)
    metadata = _metadata(layout.metadata, plan)
    if origin is None or metadata is None:
        return None
    content = _content(plan, layout.inputs, layout.outputs, metadata.reason)
    if content is None:
        return None
    values = (
        metadata.trace or layout.trace,
        *numbers,
        layout.session_id,
        layout.event_id,
        layout.parent_id or layout.session_id,
        metadata.fields,
        metadata.copies + content,
        metadata.others,
        b"",  # no changes
    )
    texts = session.user, session.conversation, layout.children or b""
    pairs = [attribute(name, texts[value]) for name, value in plan.pairs]
    return origin, field(b"\x12", fill(plan.parts, (*values, *pairs)))


def _letters(layout: Layout, is_end: bool) -> bytes:
    if is_end:
        letters = b"t" if layout.event_id != layout.session_id else b"s"
    else:
        letters = b"p" if layout.parent_id else b""
    if layout.children is not None:
        letters += b"c"
    return letters if layout.metadata is None else letters + b"v"


class _Metadata(NamedTuple):
    """Metadata as attributes: by the conventions, copies of these, others; and what it says."""

    fields: bytes = b""
    copies: bytes = b""
    others: bytes = b""
    trace: bytes = b""
    reason: bytes = b"stop"


def _metadata(encoded: bytes | None, plan: Plan) -> _Metadata | None:
    """The attributes of metadata; None where it is not plain."""
    if encoded is None:
        return _Metadata()
    entries = entries_of(encoded)
    if entries is None or len(entries) > plan.entries_max:
        return None
    fields = copies = others = trace = b""
    reason = b"stop"
    for key, kind, value in entries:
        rule = plan.rules.get(key)
        if rule is None:
            if value[:1] in _OPENERS:
                return None
            name = field(b"\x0a", b"sessiontrace.metadata." + key)
            others += _pair(name, _value(kind, value))
        elif rule.kind == TRACE_KEY:
            if kind != TEXT or not _TRACE.fullmatch(value) or not value.strip(b"0"):
                return None
            trace = unhexlify(value)
        else:
            if kind != (TEXT if rule.kind == REASON else rule.kind):
                return None
            text = _value(rule.kind, value)
            fields += _pair(rule.name, text)
            copies += rule.copy and _pair(rule.copy, text)
            if rule.kind == REASON:
                reason = REASONS.get(value, value) or b"stop"
    return _Metadata(fields, copies, others, trace, reason)


def _value(kind: int, value: bytes) -> bytes:
    """An entry's value as ``AnyValue``."""
    if kind == INT:
        return any_value(int(value))
    if kind == FLOAT:
        return any_value(float(value))
    if kind == FLAG:
        return any_value(value == b"true")
    text = any_value(value)
    return text if kind == TEXT else field(b"\x2a", field(b"\x0a", text))


def _numbers(layout: Layout) -> tuple[bytes, ...] | None:
    """Span, parent span, start and end; None for times in another age."""
    if layout.start_ms > LATEST_MS or layout.duration_ms > LATEST_MS:
        return None
    start = layout.start_ms * 1_000_000 + layout.start_nanos
    end = min(start + round(layout.duration_ms * 1_000_000), LATEST_NS)
    return layout.span, layout.parent_span, _TIME(start), _TIME(end)


def _content(plan: Plan, inputs: bytes, outputs: bytes | None, reason: bytes) -> bytes | None:
    """Inputs and outputs as attributes; None where they hold a chat that is not plain."""
    attributes = plan.tool
    input_value: bytes | None = inputs
    output_value = outputs
    if plan.content == MODEL:
        if (chat := _chat(inputs, outputs, reason)) is None:
            return None
        attributes, input_value, output_value = chat
    elif plan.content == TOOL:
        if inputs not in EMPTY:
            attributes += attribute(_ARGUMENTS, inputs)
        if outputs is not None:
            attributes += attribute(_RESULT, outputs)
        input_value, output_value = _small(inputs), _small(outputs)
    if input_value is not None and input_value != b"{}":
        attributes += attribute(_INPUT, input_value) + INPUT_TYPE
    if output_value is not None:
        attributes += attribute(_OUTPUT, output_value) + OUTPUT_TYPE
    return attributes


def _chat(
    inputs: bytes, outputs: bytes | None, reason: bytes
) -> tuple[bytes, bytes, bytes | None] | None:
    """A model's messages as attributes, and inputs and outputs without; None where not plain."""
    attributes = form = b""
    for opening, chat_form in _OPENINGS:
        if inputs.startswith(opening):
            if (messages := plain_parts(inputs, len(opening))) is None:
                return None
            attributes, form, inputs = attribute(_INPUT_MESSAGES, messages), chat_form, b"{}"
            break
    else:
        if b'"chat_history":' in inputs or b'"messages":' in inputs:
            return None
    if outputs is not None and b'"role":' in outputs:
        plain, end = plain_messages(outputs, 0)
        if len(plain) != 1 or end != len(outputs):
            return None
        attributes += attribute(_OUTPUT_MESSAGES, _ANSWER % (*plain[0], reason))
        outputs = None
    return attributes + form, inputs, outputs


def _small(encoded: bytes | None) -> bytes | None:
    return encoded if encoded is None or len(encoded) <= COPY_MAX else None
