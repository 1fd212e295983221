"""Our own exporter's spans, read as the records that they were.

Pure functions, no thread owns them. Invariant: for any record that capture makes, the fields are
those of the record, whichever encoding the span came in; an attribute that our exporter does not
write (a collector's) is put into the metadata under its own name; no attribute raises.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.model.fields import ATTRIBUTES, BUCKETS
from sessiontrace.model.ids import PARENT_SPAN_ID, SPAN_ID, TRACE_ID
from sessiontrace.model.step_types import SPAN_TYPES, base_type
from sessiontrace.wire import semconv
from sessiontrace.wire.received_span import Attributes, ReceivedSpan
from sessiontrace.wire.roundtrip import changes as roundtrip
from sessiontrace.wire.roundtrip.chat_entries import entry_of, outputs_of
from sessiontrace.wire.roundtrip.tool_definitions import restored
from sessiontrace.wire.span_attributes import CHILDREN, TEXTS, TOOLS
from sessiontrace.wire.span_content import CHAT
from sessiontrace.wire.span_exception import details_of

__all__ = ["add_context", "fields_of", "is_ours", "update_of"]

Fields = dict[str, Any]

_TYPE = "sessiontrace.event.type"
_PREFIX = "sessiontrace."
_CHANGED = frozenset({*BUCKETS, "event_name", "source", "error", "children_ids"})
_CLASSES = {
    **dict.fromkeys(("event_type", "event_name", "source", "error"), str),
    **dict.fromkeys(BUCKETS, dict),
    "children_ids": list,
}
_LATE = _CHANGED | {"end_time", "duration"}

_USER = "user.id"  # may be the session's
_FIELDS = {
    field.otel[0]: field
    for field in reversed(semconv.TABLE)
    if field.otel and field.otel[0] != _USER
}

_WRITTEN = frozenset(
    {
        *_FIELDS,
        *("session.id", _USER, "error.type", "tag.tags", "openinference.span.kind"),
        *("input.value", "input.mime_type", "output.value", "output.mime_type"),
    }
)
_PREFIXES = (_PREFIX, "gen_ai.")
"""The attributes that our exporter writes, besides those of backends by name."""


def is_ours(span: ReceivedSpan) -> bool:
    """Whether our own exporter wrote the span of a session, turn or event."""
    attributes = span.attributes
    return isinstance(attributes.get("sessiontrace.event.id"), str) and _TYPE in attributes


def fields_of(span: ReceivedSpan) -> Fields:
    """The fields that are not ids or times."""
    attributes = span.attributes
    kind = attributes[_TYPE]
    if not isinstance(kind, str) or kind not in SPAN_TYPES:
        kind = "chain"
    fields: Fields = {
        "event_type": kind,
        "event_name": _name(span, kind),
        "source": attributes.get("sessiontrace.source"),
    }
    _read_table(fields, attributes)
    _read_content(fields, kind, attributes)
    if span.failed:
        fields["error"] = span.message
    exception = next((inner for name, inner in span.events if name == "exception"), {})
    if (details := details_of(exception)) is not None:
        _bucket(fields, "metadata")["error"] = details
    if (children := attributes.get(CHILDREN)) is not None:
        fields["children_ids"] = _json(children)
    _read_buckets(fields, attributes)
    _read_others(fields, attributes)
    roundtrip.apply(fields, _json(attributes.get(roundtrip.ATTRIBUTE)), _CHANGED)
    return _of_their_types(fields)


def _of_their_types(fields: Fields) -> Fields:
    """The fields without those whose value no record has, which another sender made up."""
    return {
        name: value
        for name, value in fields.items()
        if value is None or isinstance(value, _CLASSES[name])
    }


def update_of(span: ReceivedSpan) -> Fields:
    """What a late change, which our exporter writes as a span of no length, changes."""
    fields: Fields = {}
    _read_buckets(fields, span.attributes, BUCKETS)
    roundtrip.apply(fields, _json(span.attributes.get(roundtrip.ATTRIBUTE)), _LATE)
    return fields


def add_context(
    fields: Fields, span: ReceivedSpan, session_trace: str, span_id: str, parent: str | None
) -> None:
    """Set the metadata that a span has as its ids.

    ``session_trace``: the trace that the session would be by its own id. ``span_id``: the span that
    the record would be by its own id. ``parent``: the id of the parent's span, where that is a
    record; else a parent is another tracer's.
    """
    if span.span_id != span_id:
        _bucket(fields, "metadata")[SPAN_ID] = span.span_id
    if span.trace_id != session_trace:
        _bucket(fields, "metadata")[TRACE_ID] = span.trace_id
    if span.parent_id is not None and span.parent_id != parent:
        _bucket(fields, "metadata")[PARENT_SPAN_ID] = span.parent_id


def _bucket(fields: Fields, name: str) -> Fields:
    values = fields.get(name)
    if not isinstance(values, dict):
        values = fields[name] = {}
    return values


def _name(span: ReceivedSpan, kind: Any) -> str:
    name = span.attributes.get("sessiontrace.event.name")
    if name is None and base_type(kind) == "tool":
        name = span.attributes.get("gen_ai.tool.name")
    return name if isinstance(name, str) else span.name


def _json(value: Any) -> Any:
    """The value of a JSON text; another text, one that was cut to a limit, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _read_table(fields: Fields, attributes: Attributes) -> None:
    for name, value in attributes.items():
        field = _FIELDS.get(name)
        if field is None:
            continue
        if field.kind == "tools":
            value = restored(_json(value), attributes.get(TOOLS))
        elif field.kind == "texts" and field.path[-1] == "finish_reason":
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
        elif field.kind == "ms" and isinstance(value, (int, float)):
            value = semconv.milliseconds(value)
        place = _bucket(fields, field.path[0])
        for step in field.path[1:-1]:
            place = _bucket(place, step)
        place[field.path[-1]] = value
    if (tags := attributes.get("tag.tags")) is not None:
        _bucket(fields, "metadata")["tags"] = tags


def _read_content(fields: Fields, kind: Any, attributes: Attributes) -> None:
    """Set inputs and outputs."""
    inputs, outputs = attributes.get("input.value"), attributes.get("output.value")
    if base_type(kind) == "tool":
        inputs = attributes.get("gen_ai.tool.call.arguments", inputs)
        outputs = attributes.get("gen_ai.tool.call.result", outputs)
    fields["inputs"] = _object(inputs, "input") if inputs is not None else {}
    if outputs is not None:
        fields["outputs"] = _object(outputs, "result")
    if base_type(kind) != "model":
        return
    form = _json(attributes.get(CHAT))
    form = form if isinstance(form, dict) else {}
    messages = _json(attributes.get("gen_ai.input.messages"))
    if isinstance(messages, list):
        name = "messages" if form.get("inputs") == "messages" else "chat_history"
        fields["inputs"] = {name: _entries(messages, form.get("input")), **fields["inputs"]}
    answers = _json(attributes.get("gen_ai.output.messages"))
    if isinstance(answers, list) and answers:
        for answer in answers:
            if isinstance(answer, dict):
                answer.pop("finish_reason", None)
        fields["outputs"] = outputs_of(_entries(answers, form.get("output")), form.get("outputs"))


def _entries(messages: list[Any], layouts: Any) -> list[Any]:
    layouts = layouts if isinstance(layouts, dict) else {}
    return [
        _entry(message, layouts.get(str(position))) for position, message in enumerate(messages)
    ]


def _entry(message: Any, layout: Any) -> Any:
    try:
        return entry_of(message, layout)
    except (AttributeError, LookupError, TypeError, ValueError):  # not our writer's
        return message


def _object(value: Any, key: str) -> Any:
    decoded = _json(value)
    return {key: decoded} if isinstance(decoded, str) and decoded is value else decoded


def _read_buckets(
    fields: Fields, attributes: Attributes, parts: tuple[str, ...] = ATTRIBUTES
) -> None:
    """Set what ``sessiontrace.<part>.<key>`` has; it wins over what a convention's name has."""
    texts = attributes.get(TEXTS)
    texts = texts if isinstance(texts, list) else []
    for name, value in attributes.items():
        if not name.startswith(_PREFIX):
            continue
        part, dot, key = name[len(_PREFIX) :].partition(".")
        if not dot or part not in parts:
            continue
        if isinstance(value, str) and value[:1] in ("{", "[") and name not in texts:
            value = _json(value)
        place = _bucket(fields, part)
        below = place.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = {**below, **value}
        place[key] = value


def _read_others(fields: Fields, attributes: Attributes) -> None:
    for name, value in attributes.items():
        if name not in _WRITTEN and not name.startswith(_PREFIXES):
            _bucket(fields, "metadata").setdefault(name, value)
