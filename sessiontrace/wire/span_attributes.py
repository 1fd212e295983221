"""A record's fields as the attributes of its span, by OTel's GenAI conventions.

Pure functions, no thread owns them. Invariant: a span has no more attributes than
its limits allow; ``sessiontrace.attributes_cut`` counts those left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import orjson

from sessiontrace.model import payload
from sessiontrace.model.fields import ATTRIBUTES
from sessiontrace.model.ids import PARENT_SPAN_ID, SPAN_ID, TRACE_ID, session_uuid
from sessiontrace.model.step_types import CALL_TYPES, base_of
from sessiontrace.wire import model_call, semconv
from sessiontrace.wire.roundtrip import changes as roundtrip
from sessiontrace.wire.roundtrip.changes import Changes
from sessiontrace.wire.roundtrip.tool_definitions import flat_tools, form_of, restored
from sessiontrace.wire.span_content import (
    CHAT,
    Value,
    add_content,
    openinference_kind,
    output_type,
)

__all__ = [
    "CHILDREN",
    "CONTEXT",
    "DEFAULT_LIMITS",
    "STEADY",
    "TEXTS",
    "TURN",
    "AttributeLimits",
    "Value",
    "attributes_of",
    "event_name",
    "flatten",
    "is_session_of",
    "metadata_attributes",
    "name_of",
    "session_attributes",
]

Event = dict[str, Any]
AddContent = Callable[[dict[str, Value], Event, str, "str | None", Changes], None]

CHILDREN = "sessiontrace.children_ids"
"""The attribute with the ids of the events below, in a JSON list."""

SESSION = "sessiontrace.session.id"
"""The attribute with the session's UUID, where that does not follow from ``session.id``."""

TEXTS = "sessiontrace.texts"
"""The attribute with the names of attributes whose texts look like JSON, but are texts."""

TOOLS = "sessiontrace.tools"
"""The attribute with the form that tool definitions had, where they were not flat."""

TURN = "sessiontrace.turn"
"""The attribute, true, of a span that is a turn of a conversation."""

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
        CHAT,
        "sessiontrace.event.type",
        "sessiontrace.parent.id",
        "sessiontrace.source",
        TOOLS,
        "user.id",
    }
)
"""Attributes whose values many spans share: the encoders cache their encoded form."""

_OPENINGS = ("{", "[")  # of texts that a reader decodes

CONTEXT = frozenset({("metadata", name) for name in (TRACE_ID, SPAN_ID, PARENT_SPAN_ID)})
"""Entries of a record that the span has as its ids."""

_COST = ("metadata", "cost")
_USER = ("user_properties", "user_id")  # its attribute may be the session's
_EXACT: dict[str, Any] = {"text": str, "int": int, "float": float, "bool": bool}
_UNLIKE = frozenset({"gen_ai.usage.cost", "user.id", *semconv.SHARED_NAMES})
"""Attributes that do not always say the value of the field that they are of."""


METADATA_FIELDS = {
    field.path[1]: field for field in semconv.TABLE if field.path[0] == "metadata" and field.otel
}
COST = METADATA_FIELDS["cost"].otel[0]
FINISH_REASONS = METADATA_FIELDS["finish_reason"].otel[0]
_SIMPLE = frozenset({str, int, float, bool})
METADATA_NAMES = {
    (key, _EXACT[field.kind]): field.otel[0]
    for key, field in METADATA_FIELDS.items()
    if field.kind in _EXACT and field.otel[0] not in _UNLIKE
}
"""By the key and the type of metadata: the attribute that says all of it."""


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
    if base_of(event) == "model":
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
    attributes: dict[str, Value] = {
        "session.id": conversation,
        "gen_ai.conversation.id": conversation,
    }
    if not is_session_of(session_id, conversation):  # a name that the user gave in the metadata
        attributes[SESSION] = session_id
    return attributes


def is_session_of(session_id: str, conversation: str) -> bool:
    """Whether the session has its id from the application's own."""
    return _session_uuid(conversation) == session_id


_session_uuid = functools.lru_cache(maxsize=1024)(session_uuid)


def attributes_of(
    event: Event,
    user: str | None,
    conversation: str | None,
    limits: AttributeLimits = DEFAULT_LIMITS,
    changes: Changes | None = None,
    add_content: AddContent = add_content,
) -> dict[str, Value]:
    """All attributes of a span; ``event`` has its ``inputs`` and ``outputs`` encoded.

    ``user``: the id of the event's user, if any. ``conversation``: the application's own id of the
    event's session, if it gave one. ``limits``: how many attributes, and how long. ``changes``:
    what the span does not say otherwise (``roundtrip``). ``add_content``: sets the attributes of
    inputs and outputs.
    """
    changes = [] if changes is None else changes
    attributes: dict[str, Value] = {
        **session_attributes(event["session_id"], conversation),
        "sessiontrace.event.id": event["event_id"],
        "sessiontrace.event.type": payload.text(event.get("event_type") or "chain"),
    }
    if isinstance(parent := event.get("parent_id"), str) and parent:
        attributes["sessiontrace.parent.id"] = parent
    if isinstance(event.get("source"), str):
        attributes["sessiontrace.source"] = event["source"]
    if "children_ids" in event:
        attributes[CHILDREN] = orjson.dumps(event["children_ids"])
    if user is not None:
        attributes["user.id"] = user
    written: set[tuple[str, ...]] = set(CONTEXT)
    if "error" in payload.bucket(event, "metadata"):
        written.add(("metadata", "error"))
    operation = model_call.operation(event)
    _add_kind(attributes, event, operation, written)
    _add_table(attributes, event, written, changes)
    add_content(attributes, event, event_name(event), operation, changes)
    for part in ATTRIBUTES:
        if part in event:
            flatten(attributes, part, event, changes, written)
    if not event.get("event_name") or "inputs" not in event:
        changes += _unnamed(event)
    omitted = 0
    if len(attributes) >= limits.number:
        omitted = _move_surplus(attributes, event, changes, limits.number)
    if changes:
        attributes[roundtrip.ATTRIBUTE] = orjson.dumps(changes)
    return _limited(attributes, limits, omitted)


def _move_surplus(attributes: dict[str, Value], event: Event, changes: Changes, number: int) -> int:
    """Move entries of the record's objects into the changes, where they are too many attributes.

    Returns how many are no attributes now.
    """
    surplus = len(attributes) + 2 - number  # the changes and the count are attributes, too
    moved = 0
    for name in list(reversed(attributes)):
        _, part, key = name.split(".", 2) if name.count(".") >= 2 else ("", "", "")
        if moved == surplus:
            break
        if part in ATTRIBUTES and key in payload.bucket(event, part):
            del attributes[name]
            changes.append([[part, key], event[part][key]])
            moved += 1
    return moved


def _unnamed(event: Event) -> Changes:
    """Changes for a record without the name or the inputs that a reader expects of it."""
    changes: Changes = []
    if not event.get("event_name"):
        name = event.get("event_name")
        changes.append([["event_name"]] if name is None else [["event_name"], name])
    if "inputs" not in event:
        changes.append([["inputs"]])
    return changes


def _add_table(
    attributes: dict[str, Value], event: Event, written: set[tuple[str, ...]], changes: Changes
) -> None:
    """Set the attributes that the conventions have for single fields.

    A field whose attribute does not say its type, or also another field's value, is not among the
    ``written``: ``flatten`` sets it too.
    """
    for field, value in semconv.fields_of(event):
        if not field.otel or (name := field.otel[0]) in attributes:
            continue
        if type(value) is _EXACT.get(field.kind) and name not in _UNLIKE:
            plain: Value = _int(value) if type(value) is int else value
            attributes[name] = plain
            if plain is value:
                written.add(field.path)
        elif _add_field(attributes, event, field, value, changes):
            written.add(field.path)
    attributes.update(_copies(attributes))


def _add_field(
    attributes: dict[str, Value], event: Event, field: semconv.Field, value: Any, changes: Changes
) -> bool:
    """Set the attribute of a field in whatever form it has; whether that says all of the value."""
    if field.path == _COST and base_of(event) != "model":
        return False  # a sum of its calls, which backends add up, too
    if (plain := _plain(value, field.kind)) is None:
        return False
    attributes[field.otel[0]] = plain
    if field.kind == "tools":
        _add_tool_form(attributes, value, changes)
        return True
    if (first := semconv.SHARED.get(field.path)) is not None:
        if first[-1] not in event["config"]["hyperparameters"]:
            changes.append([list(first)])
        return False
    return _is_exact(field, value, plain)


def metadata_attributes(
    metadata: dict[str, Any], event_type: str, changes: Changes
) -> tuple[dict[str, Value], dict[str, Value], dict[str, Value]]:
    """What metadata comes to in ``attributes_of``: by the conventions, copies of these, others.

    ``metadata``: without what says which kind of step it is, such as its operation and tags.
    """
    if not metadata:
        return _all_metadata_attributes(metadata, event_type, changes)
    fields: dict[str, Value] = {}
    others: dict[str, Value] = {}
    for key, value in metadata.items():
        kind = type(value)
        if (name := METADATA_NAMES.get((key, kind))) is not None:
            fields[name] = value
        elif key == "cost" and kind is float and event_type in CALL_TYPES:
            fields[COST] = value
        elif key == "finish_reason" and kind is str:
            fields[FINISH_REASONS] = [value]
        elif (
            key in METADATA_FIELDS
            or kind not in _SIMPLE
            or (kind is str and value[:1] in _OPENINGS)
        ):
            return _all_metadata_attributes(metadata, event_type, changes)
        elif key != TRACE_ID:
            others[f"sessiontrace.metadata.{key}"] = value
        if kind is int and not _is_small(value):
            return _all_metadata_attributes(metadata, event_type, changes)
    return fields, _copies(fields), others


def _all_metadata_attributes(
    metadata: dict[str, Any], event_type: str, changes: Changes
) -> tuple[dict[str, Value], dict[str, Value], dict[str, Value]]:
    """The same for metadata with values of any form."""
    fields: dict[str, Value] = {}
    others: dict[str, Value] = {}
    written: set[tuple[str, ...]] = set(CONTEXT)
    event = {"metadata": metadata, "event_type": event_type}
    _add_table(fields, event, written, changes)
    flatten(others, "metadata", event, changes, written)
    for copy in semconv.COPIES.values():
        fields.pop(copy, None)
    return fields, _copies(fields), others


def _copies(attributes: dict[str, Value]) -> dict[str, Value]:
    return {copy: attributes[name] for name, copy in semconv.COPIES.items() if name in attributes}


def _add_tool_form(attributes: dict[str, Value], tools: Any, changes: Changes) -> None:
    form = form_of(tools)
    if form is not None:
        attributes[TOOLS] = form
    roundtrip.differences(("config", "tools"), restored(flat_tools(tools), form), tools, changes)


def _is_exact(field: semconv.Field, value: Any, plain: Value) -> bool:
    """Whether a reader has the value from its attribute, with its type."""
    if field.path == _USER:
        return False
    kind = field.kind
    if kind == "texts":
        lone = field.path[-1] == "finish_reason" and len(plain) == 1  # type: ignore[arg-type]
        return type(value) is str if lone else value == plain
    if kind == "ms":
        return type(value) is float and semconv.milliseconds(value / 1000) == value
    return type(value) is type(plain)


def _limited(
    attributes: dict[str, Value], limits: AttributeLimits, omitted: int = 0
) -> dict[str, Value]:
    """The attributes within the limits; ``omitted``: how many are not among them already."""
    if omitted or len(attributes) > limits.number:
        cut = max(0, len(attributes) + 1 - limits.number)
        attributes = dict(list(attributes.items())[: limits.number - 1])
        attributes["sessiontrace.attributes_cut"] = omitted + cut
    if limits.characters is not None:
        for name, value in attributes.items():
            if isinstance(value, bytes):
                attributes[name] = value.decode()[: limits.characters]
            elif isinstance(value, str) and name not in STEADY:
                attributes[name] = value[: limits.characters]
    return attributes


def _add_kind(
    attributes: dict[str, Value],
    event: Event,
    operation: str | None,
    written: set[tuple[str, ...]],
) -> None:
    """Set what kind of step it is, its own name where the span has another, and its tags."""
    if operation is not None:
        attributes["gen_ai.operation.name"] = operation
    if (kind := openinference_kind(event, operation)) is not None:
        attributes["openinference.span.kind"] = kind
    is_named = operation is not None and base_of(event) != "tool"
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
    changes: Changes,
    written: AbstractSet[tuple[str, ...]] = frozenset(),
) -> None:
    """Set an object's other entries as ``sessiontrace.<part>.<key>``, objects as JSON.

    ``written``: paths that an attribute of the conventions holds already. ``changes``: gets what
    attributes cannot hold.
    """
    values = payload.bucket(event, part)
    if not values and event.get(part) is not None:
        changes.append([[part], event[part]])
    for key, value in values.items():
        if (part, key) in written:
            continue
        if key == "hyperparameters" and part == "config" and isinstance(value, dict) and value:
            value = {k: v for k, v in value.items() if (part, key, k) not in written}
            if not value:
                continue
        name = f"sessiontrace.{part}.{key}"
        if type(value) is str:
            attributes[name] = value
            if value.startswith(_OPENINGS):
                texts = attributes.setdefault(TEXTS, [])
                texts.append(name)  # type: ignore[union-attr]
        elif (plain := _plain(value, "any")) is None:
            changes.append([[part, key], None])
        else:
            attributes[name] = plain
            if type(plain) is str:  # an integer of more than 64 bits
                changes.append([[part, key], value])


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
        return orjson.dumps(flat_tools(value)) if isinstance(value, list) else None
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
    return whole if _is_small(whole) else str(whole)


def _is_small(whole: int) -> bool:
    return -(1 << 63) <= whole < 1 << 63
