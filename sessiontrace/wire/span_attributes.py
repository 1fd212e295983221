"""A record's fields as the attributes of its span, by OTel's GenAI conventions.

Pure functions, no thread owns them. Invariant: a span has at most 256 attributes;
``sessiontrace.attributes_cut`` counts those left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.fields import ATTRIBUTES
from sessiontrace.model.ids import PARENT_SPAN_ID, TRACE_ID
from sessiontrace.wire import chat_payload, model_call, semconv

__all__ = [
    "CONTEXT",
    "STEADY",
    "Value",
    "attributes_of",
    "exception_of",
    "flatten",
    "name_of",
    "session_attributes",
]

Event = dict[str, Any]
Value = str | bytes | bool | int | float | list[str]
"""An attribute's value; bytes are JSON, sent as a text."""

STEADY = frozenset(
    {
        "error.type",
        "gen_ai.conversation.id",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.tool.name",
        "input.mime_type",
        "output.mime_type",
        "service.name",
        "session.id",
        "sessiontrace.event.type",
        "sessiontrace.parent.id",
        "sessiontrace.source",
        "user.id",
    }
)
"""Attributes whose values many spans share: the encoders cache their encoded form."""

CONTEXT = frozenset({("metadata", TRACE_ID), ("metadata", PARENT_SPAN_ID)})
"""Entries of a record that the span has as its ids."""

_ATTRIBUTES_MAX = 256  # backends cut spans with more, without saying which
_SAID = b'{"role":"%b","parts":[{"type":"text","content":%b}]}'
_FORMS = {b"tool": b'{"role":"%b","parts":[{"type":"tool_call_response","response":%b}]}'}


def name_of(event: Event) -> str:
    """The span's name."""
    return payload.text(event.get("event_name") or "unknown")


def session_attributes(session_id: str, conversation: str | None) -> dict[str, Value]:
    """What groups a session's or conversation's spans: its id, as the application knows it.

    The conventions forbid a conversation's id that the application does not have.
    """
    if conversation is None:
        return {"session.id": session_id}
    return {"session.id": conversation, "gen_ai.conversation.id": conversation}


def attributes_of(event: Event, user: str | None, conversation: str | None) -> dict[str, Value]:
    """All attributes of a span; ``event`` has its ``inputs`` and ``outputs`` encoded.

    ``user``: the id of the event's user, if any. ``conversation``: the application's own id of the
    event's session, if it gave one.
    """
    attributes: dict[str, Value] = {
        **session_attributes(event["session_id"], conversation),
        "sessiontrace.event.id": event["event_id"],
        "sessiontrace.event.type": payload.text(event.get("event_type") or "chain"),
    }
    if isinstance(parent := event.get("parent_id"), str) and parent:
        attributes["sessiontrace.parent.id"] = parent
    if isinstance(event.get("source"), str):
        attributes["sessiontrace.source"] = event["source"]
    if user is not None:
        attributes["user.id"] = user
    if (operation := model_call.operation(event)) is not None:
        attributes["gen_ai.operation.name"] = operation
    written: set[tuple[str, ...]] = {("metadata", "error"), *CONTEXT}
    for field, value in semconv.fields_of(event):
        if field.otel and (plain := _plain(value, field.kind)) is not None:
            attributes.setdefault(field.otel[0], plain)
            written.add(field.path)
    _content(attributes, event)
    for part in ATTRIBUTES:
        if part in event:
            flatten(attributes, part, event, written)
    if len(attributes) > _ATTRIBUTES_MAX:
        omitted = len(attributes) - _ATTRIBUTES_MAX + 1
        attributes = dict(list(attributes.items())[: _ATTRIBUTES_MAX - 1])
        attributes["sessiontrace.attributes_cut"] = omitted
    return attributes


def _content(attributes: dict[str, Value], event: Event) -> None:
    """Set inputs and outputs, as encoded, under the names for the type of event."""
    inputs, outputs = payload.payload_of(event, "inputs"), payload.payload_of(event, "outputs")
    if event.get("event_type") == "model":
        if (chat := chat_payload.input_chat(inputs)) is not None:
            attributes["gen_ai.input.messages"] = _messages(chat)
            inputs = orjson.dumps(chat.other_inputs) if chat.other_inputs else None
        if (answers := chat_payload.output_chat(outputs)) is not None:
            attributes["gen_ai.output.messages"] = _messages(
                answers, model_call.finish_reasons(event)
            )
            outputs = None
    elif event.get("event_type") == "tool":
        attributes["gen_ai.tool.name"] = name_of(event)
        if inputs is not None:
            attributes["gen_ai.tool.call.arguments"] = inputs
        if event.get("outputs") is not None:
            attributes["gen_ai.tool.call.result"] = event["outputs"]
        return
    if inputs is not None:
        attributes["input.value"] = inputs
        attributes["input.mime_type"] = "application/json"
    if outputs is not None:
        attributes["output.value"] = outputs
        attributes["output.mime_type"] = "application/json"


def _messages(chat: chat_payload.Chat, reasons: Sequence[str] = ()) -> bytes:
    """Messages in OTel's form; answers with the reason why each ended."""
    if chat.plain and not reasons:
        return b"[%b]" % b",".join(
            [_FORMS.get(role, _SAID) % (role, text) for role, text in chat.plain]
        )
    messages = [model_call.parts(message) for message in chat.messages]
    for message, reason in zip(messages, reasons, strict=False):
        message.setdefault("finish_reason", reason)
    return orjson.dumps(messages)


def flatten(
    attributes: dict[str, Value],
    part: str,
    event: Event,
    written: AbstractSet[tuple[str, ...]] = frozenset(),
) -> None:
    """Set an object's other entries as ``sessiontrace.<part>.<key>``, objects as JSON.

    ``written``: paths that an attribute of the conventions holds already.
    """
    for key, value in payload.bucket(event, part).items():
        if (part, key) in written:
            continue
        if key == "hyperparameters" and part == "config" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if (part, key, k) not in written}
            if not value:
                continue
        plain = _plain(value, "any")
        if plain is not None:
            attributes[f"sessiontrace.{part}.{key}"] = plain


def _plain(value: Any, kind: str) -> Value | None:
    """A value as an attribute may hold it; None when it does not fit the kind."""
    if value is None:
        return None
    if kind == "texts":
        items = value if isinstance(value, list) else [value]
        return [payload.text(item) for item in items]
    if kind == "json":
        return orjson.dumps(value)
    if kind in ("int", "float", "ms"):
        number = payload.number(value)
        if number is None:
            return None
        if kind == "ms":
            return number / 1000
        return _int(number) if kind == "int" else float(number)
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "text":
        return payload.text(value)
    if isinstance(value, (str, bool, float)):
        return value
    return _int(value) if isinstance(value, int) else orjson.dumps(value)


def _int(value: float) -> int | str:
    """OTLP's integers have 64 bits with a sign."""
    whole = int(value)
    return whole if -(1 << 63) <= whole < 1 << 63 else str(whole)


def exception_of(event: Event) -> dict[str, Value] | None:
    """The attributes of the exception event of an error; None without an error."""
    details = payload.bucket(event, "metadata").get("error")
    error = event.get("error")
    if not isinstance(details, dict):
        return None if error is None else {"exception.message": payload.text(error)}
    names = {"type": "exception.type", "message": "exception.message"}
    attributes = {
        to: payload.text(details[name]) for name, to in names.items() if details.get(name)
    }
    if details.get("stack"):
        attributes["exception.stacktrace"] = payload.text(details["stack"])
    return dict(attributes) or None
