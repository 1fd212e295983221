"""A record's fields as the attributes of its span, by OTel's GenAI conventions.

Pure functions, no thread owns them. Invariant: a span has at most 256 attributes, and says so where
there were more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from sessiontrace.model.fields import ATTRIBUTES
from sessiontrace.vendors.shared import chat_payload, payload
from sessiontrace.vendors.shared.session_cache import SessionCache
from sessiontrace.wire import semconv

__all__ = ["STEADY", "Value", "attributes_of", "exception_of", "flatten", "name_of"]

Event = dict[str, Any]
Value = str | bytes | bool | int | float | list[str]
"""An attribute's value; bytes are JSON, to be sent as a text."""

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
"""Attributes whose values many spans share, worth remembering in their encoded form."""

_ATTRIBUTES_MAX = 256  # backends cut spans with more, without saying which
_SAID = b'{"role":"%b","parts":[{"type":"text","content":%b}]}'
_FORMS = {b"tool": b'{"role":"%b","parts":[{"type":"tool_call_response","response":%b}]}'}


def name_of(event: Event) -> str:
    """The span's name."""
    return payload.text(event.get("event_name") or "unknown")


def attributes_of(event: Event, names: SessionCache) -> dict[str, Value]:
    """All of a span's attributes; ``event`` has its ``inputs`` and ``outputs`` encoded."""
    found: dict[str, Value] = {
        "session.id": event["session_id"],
        "gen_ai.conversation.id": event["session_id"],
        "sessiontrace.event.id": event["event_id"],
        "sessiontrace.event.type": payload.text(event.get("event_type") or "chain"),
    }
    if isinstance(parent := event.get("parent_id"), str) and parent:
        found["sessiontrace.parent.id"] = parent
    if isinstance(event.get("source"), str):
        found["sessiontrace.source"] = event["source"]
    if (user := names.user(event)) is not None:
        found["user.id"] = user
    if (operation := semconv.operation(event)) is not None:
        found["gen_ai.operation.name"] = operation
    taken: set[tuple[str, ...]] = {("metadata", "error")}
    for field, value in semconv.fields_of(event):
        if field.otel and (plain := _plain(value, field.kind)) is not None:
            found.setdefault(field.otel[0], plain)
            taken.add(field.path)
    _content(found, event)
    for part in ATTRIBUTES:
        if part in event:
            flatten(found, part, event, taken)
    if len(found) > _ATTRIBUTES_MAX:
        gone = len(found) - _ATTRIBUTES_MAX + 1
        found = dict(list(found.items())[: _ATTRIBUTES_MAX - 1])
        found["sessiontrace.attributes_cut"] = gone
    return found


def _content(found: dict[str, Value], event: Event) -> None:
    """Inputs and outputs, under the names that suit the type of event, as they were encoded."""
    inputs, outputs = payload.payload_of(event, "inputs"), payload.payload_of(event, "outputs")
    if event.get("event_type") == "model":
        if (asked := chat_payload.input_chat(inputs)) is not None:
            found["gen_ai.input.messages"] = _messages(asked)
            inputs = orjson.dumps(asked.other_inputs) if asked.other_inputs else None
        if (said := chat_payload.output_chat(outputs)) is not None:
            found["gen_ai.output.messages"] = _messages(said, semconv.finish_reasons(event))
            outputs = None
    elif event.get("event_type") == "tool":
        found["gen_ai.tool.name"] = name_of(event)
        if inputs is not None:
            found["gen_ai.tool.call.arguments"] = inputs
        if event.get("outputs") is not None:
            found["gen_ai.tool.call.result"] = event["outputs"]
        return
    if inputs is not None:
        found["input.value"] = inputs
        found["input.mime_type"] = "application/json"
    if outputs is not None:
        found["output.value"] = outputs
        found["output.mime_type"] = "application/json"


def _messages(chat: chat_payload.Chat, reasons: Sequence[str] = ()) -> bytes:
    """Messages in OTel's form; of answers each with the reason why it ended."""
    if chat.plain and not reasons:
        return b"[%b]" % b",".join(
            [_FORMS.get(role, _SAID) % (role, text) for role, text in chat.plain]
        )
    messages = [semconv.parts(one) for one in chat.messages]
    for message, reason in zip(messages, reasons, strict=False):
        message.setdefault("finish_reason", reason)
    return orjson.dumps(messages)


def flatten(
    found: dict[str, Value],
    part: str,
    event: Event,
    taken: set[tuple[str, ...]] | None = None,
) -> None:
    """What the conventions have no name for: ``sessiontrace.<part>.<key>``, objects as JSON."""
    for key, value in payload.bucket(event, part).items():
        if taken and (part, key) in taken:
            continue
        if key == "hyperparameters" and part == "config" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if not taken or (part, key, k) not in taken}
            if not value:
                continue
        plain = _plain(value, "any")
        if plain is not None:
            found[f"sessiontrace.{part}.{key}"] = plain


def _plain(value: Any, kind: str) -> Value | None:
    """A value as an attribute may hold it; None when it does not suit the kind."""
    if value is None:
        return None
    if kind == "texts":
        many = value if isinstance(value, list) else [value]
        return [payload.text(one) for one in many]
    if kind == "json":
        return orjson.dumps(value)
    if kind in ("int", "float", "ms"):
        given = payload.number(value)
        if given is None:
            return None
        if kind == "ms":
            return given / 1000
        return _int(given) if kind == "int" else float(given)
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
    """The attributes of the exception event that tells of an error; None without one."""
    told = payload.bucket(event, "metadata").get("error")
    error = event.get("error")
    if not isinstance(told, dict):
        return None if error is None else {"exception.message": payload.text(error)}
    names = {"type": "exception.type", "message": "exception.message"}
    found = {to: payload.text(told[name]) for name, to in names.items() if told.get(name)}
    if told.get("stack"):
        found["exception.stacktrace"] = payload.text(told["stack"])
    return dict(found) or None
