"""A record's fields as the attributes of its span, by OTel's GenAI conventions.

Pure functions, no thread owns them. Invariant: a span has no more attributes than
its limits allow; ``sessiontrace.attributes_cut`` counts those left out.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import orjson

from sessiontrace.model import payload
from sessiontrace.model.fields import ATTRIBUTES
from sessiontrace.model.ids import PARENT_SPAN_ID, TRACE_ID
from sessiontrace.wire import model_call, semconv
from sessiontrace.wire.span_content import (
    Value,
    add_content,
    flat_tools,
    openinference_kind,
    output_type,
)

__all__ = [
    "CONTEXT",
    "DEFAULT_LIMITS",
    "STEADY",
    "AttributeLimits",
    "Value",
    "attributes_of",
    "flatten",
    "name_of",
    "session_attributes",
]

Event = dict[str, Any]
STEADY = frozenset(
    {
        "error.type",
        "gen_ai.conversation.id",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.tool.name",
        "input.mime_type",
        "openinference.span.kind",
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

_COST = ("metadata", "cost")
_WRITTEN: frozenset[tuple[str, ...]] = frozenset({("metadata", "error"), *CONTEXT})


class AttributeLimits(NamedTuple):
    """Bounds of a span: how many attributes (backends cut spans with more), how many characters."""

    number: int = 256
    characters: int | None = None


DEFAULT_LIMITS = AttributeLimits()


def event_name(event: Event) -> str:
    """The step's own name."""
    return payload.text(event.get("event_name") or "unknown")


def name_of(event: Event, operation: Value | None) -> str:
    """The span's name, by the conventions: its operation and what that is about."""
    name = event_name(event)
    if not isinstance(operation, str) or name.startswith(operation):
        return name
    about: Any = name
    if event.get("event_type") == "model":
        about = payload.bucket(event, "config").get("model")
    elif operation in semconv.AGENT_OPERATIONS:
        about = payload.bucket(event, "metadata").get("agent_name") or name
    return f"{operation} {about}" if isinstance(about, str) and about else name


def session_attributes(session_id: str, conversation: str | None) -> dict[str, Value]:
    """What groups a session's or conversation's spans: its id, as the application knows it.

    The conventions forbid a conversation's id that the application does not have.
    """
    if conversation is None:
        return {"session.id": session_id}
    return {"session.id": conversation, "gen_ai.conversation.id": conversation}


def attributes_of(
    event: Event,
    user: str | None,
    conversation: str | None,
    limits: AttributeLimits = DEFAULT_LIMITS,
) -> dict[str, Value]:
    """All attributes of a span; ``event`` has its ``inputs`` and ``outputs`` encoded.

    ``user``: the id of the event's user, if any. ``conversation``: the application's own id of the
    event's session, if it gave one. ``limits``: how many attributes, and how long.
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
    written: set[tuple[str, ...]] = set(_WRITTEN)
    _add_kind(attributes, event, written)
    model = event.get("event_type") == "model"
    for field, value in semconv.fields_of(event):
        if field.path == _COST and not model:  # a sum of its calls, which backends add up, too
            continue
        if field.otel and (plain := _plain(value, field.kind)) is not None:
            attributes.setdefault(field.otel[0], plain)
            written.add(field.path)
    for name, copy in semconv.COPIES.items():
        if name in attributes:
            attributes[copy] = attributes[name]
    add_content(attributes, event, event_name(event))
    for part in ATTRIBUTES:
        if part in event:
            flatten(attributes, part, event, written)
    return _limited(attributes, limits)


def _limited(attributes: dict[str, Value], limits: AttributeLimits) -> dict[str, Value]:
    if len(attributes) > limits.number:
        omitted = len(attributes) - limits.number + 1
        attributes = dict(list(attributes.items())[: limits.number - 1])
        attributes["sessiontrace.attributes_cut"] = omitted
    if limits.characters is not None:
        for name, value in attributes.items():
            if isinstance(value, bytes):
                attributes[name] = value.decode()[: limits.characters]
            elif isinstance(value, str) and name not in STEADY:
                attributes[name] = value[: limits.characters]
    return attributes


def _add_kind(attributes: dict[str, Value], event: Event, written: set[tuple[str, ...]]) -> None:
    """Set what kind of step it is, its own name where the span has another, and its tags."""
    operation = model_call.operation(event)
    if operation is not None:
        attributes["gen_ai.operation.name"] = operation
        written.add(("metadata", "operation"))
    if (kind := openinference_kind(event, operation)) is not None:
        attributes["openinference.span.kind"] = kind
    is_named = operation is not None and event.get("event_type") != "tool"
    if is_named and (name := event_name(event)) != name_of(event, operation):
        attributes["sessiontrace.event.name"] = name
    if "config" in event and (answers := output_type(event)) is not None:
        attributes["gen_ai.output.type"] = answers
    tags = payload.bucket(event, "metadata").get("tags") if "metadata" in event else None
    if isinstance(tags, list) and tags and all(isinstance(tag, str) for tag in tags):
        attributes["tag.tags"] = tags
        written.add(("metadata", "tags"))


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
    if kind == "tools":
        return orjson.dumps(flat_tools(value))
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
