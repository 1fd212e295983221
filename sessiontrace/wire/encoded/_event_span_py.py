"""The Python form of ``event_span``: the specification; see ``event_span``."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sessiontrace.model.payload import EMPTY
from sessiontrace.wire.encoded._filling_py import fill
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
    "TOOL",
    "Plan",
    "SessionValues",
    "attribute",
    "event_span",
    "plan_of",
]

MODEL, TOOL, OTHER = range(3)
"""How inputs and outputs are written: as a chat, as a call of a tool, or as values."""

COPY_MAX = 16 << 10
"""Bytes of a tool's arguments or result that are written under OpenInference's name too."""

_CHILDREN = 2  # of the values in ``pairs``; the others are those of the session
LATEST_NS = (1 << 63) - 1
LATEST_MS = LATEST_NS // 1_000_000 - 1  # later and longer ones need more care
_ANSWER = b'[{"role":"%b","parts":[{"type":"text","content":%b}],"finish_reason":"stop"}]'
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


class Plan(NamedTuple):
    """How the events of one shape are written in one kind of session.

    ``parts``, ``pairs``: as in a ``Template``, but the names in ``pairs`` are encoded fields.
    ``content``: MODEL, TOOL or OTHER. ``tool``: a tool's name as an encoded attribute. ``source``:
    of these events.
    """

    parts: tuple[bytes | int, ...]
    pairs: tuple[tuple[bytes, int], ...]
    content: int
    tool: bytes
    source: str | None


def attribute(name: bytes, value: bytes) -> bytes:
    """A span's attribute; ``name``: as an encoded field."""
    return field(b"\x4a", name + field(b"\x12", field(b"\x0a", value)))


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
) -> Plan:
    """The plan of a template, for events of this base type, name and source."""
    encoded_pairs = tuple([(_name(text), value) for text, value in pairs])
    if base == "model":
        return Plan(parts, encoded_pairs, MODEL, b"", source)
    if base == "tool":
        tool = attribute(_name("gen_ai.tool.name"), name.encode())
        return Plan(parts, encoded_pairs, TOOL, tool, source)
    return Plan(parts, encoded_pairs, OTHER, b"", source)


def event_span(
    body: bytes,
    plans_of: Callable[[bytes], Sequence[Plan | None] | None],
    session_of: Callable[[bytes], SessionValues | None],
) -> tuple[Any, bytes] | None:
    """The origin of an event's span, and the span as a field of its scope.

    ``plans_of``: the plans for a shape, by the number of a session. A shape is that of ``Layout``
    and a letter for what the event has besides: "p" for a parent, "c" for children.
    ``session_of``: the values of a session, by its id. None where there is no plan, no session, no
    origin, or the event is not plain: it has metadata, or a chat with more than texts.
    """
    layout = layout_of(body)
    if layout is None or layout.inputs is None or layout.metadata is not None:
        return None
    if (numbers := _numbers(layout)) is None:
        return None
    key = layout.shape + (b"p" if layout.parent_id else b"") + (b"c" if layout.children else b"")
    plans, session = plans_of(key), session_of(layout.session_id)
    if plans is None or session is None or (plan := plans[session.number]) is None:
        return None
    origin = session.origins.get(plan.source)
    content = _content(plan, layout.inputs, layout.outputs)
    if origin is None or content is None:
        return None
    ids = layout.session_id, layout.event_id, layout.parent_id or layout.session_id
    texts = session.user, session.conversation, layout.children or b""
    pairs = [attribute(name, texts[value]) for name, value in plan.pairs]
    return origin, field(b"\x12", fill(plan.parts, (*numbers, *ids, b"", content, b"", *pairs)))


def _numbers(layout: Layout) -> tuple[bytes, ...] | None:
    """Trace, span, parent span, start and end; None for times in another age."""
    if layout.start_ms > LATEST_MS or layout.duration_ms > LATEST_MS:
        return None
    start = layout.start_ms * 1_000_000 + layout.start_nanos
    end = min(start + round(layout.duration_ms * 1_000_000), LATEST_NS)
    return layout.trace, layout.span, layout.parent_span, _TIME(start), _TIME(end)


def _content(plan: Plan, inputs: bytes, outputs: bytes | None) -> bytes | None:
    """Inputs and outputs as attributes; None where they hold a chat that is not plain."""
    attributes = plan.tool
    input_value: bytes | None = inputs
    output_value = outputs
    if plan.content == MODEL:
        if (chat := _chat(inputs, outputs)) is None:
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


def _chat(inputs: bytes, outputs: bytes | None) -> tuple[bytes, bytes, bytes | None] | None:
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
        attributes += attribute(_OUTPUT_MESSAGES, _ANSWER % plain[0])
        outputs = None
    return attributes + form, inputs, outputs


def _small(encoded: bytes | None) -> bytes | None:
    return encoded if encoded is None or len(encoded) <= COPY_MAX else None
