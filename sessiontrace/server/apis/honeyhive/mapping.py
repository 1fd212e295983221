"""HoneyHive's requests as records, and records as its events: defaults, merging, filters.

Pure functions but for the clock, no thread owns them. Invariant: a stored event has HoneyHive's
defaults, and a response has HoneyHive's field names, which are the record's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.fields import BUCKETS
from sessiontrace.model.ids import is_uuid
from sessiontrace.model.json_depth import DEPTH_MAX, is_too_deep
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.model.step_types import BASES, SESSION, base_type, refined
from sessiontrace.server import record_builder
from sessiontrace.server.http import RequestRejected
from sessiontrace.server.record_builder import number
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.models import ID_MAX

__all__ = [
    "LONG_ID",
    "LongIdError",
    "event_filter",
    "event_record",
    "event_response",
    "model_event",
    "parse_changes",
    "parse_session",
    "select_fields",
    "session_record",
    "whole_record",
]

Body = dict[str, Any]

LONG_ID = f"identified by more than {ID_MAX} characters"

ORGANISATION = {"org_id": "local", "workspace_id": "local", "project_id": "local"}
_TYPES = (*BASES, SESSION)  # compared, as what a client sends may not hash
_TEXTS = frozenset({"event_id", "session_id", "parent_id", "event_name", "source"})
_BUCKETS = frozenset(BUCKETS)
_STEPS = frozenset(BASES)
_LATEST_MS = 1 << 53
_TIMES = ("start_time", "end_time", "duration")
_IGNORED = frozenset({"project", "project_id", "tenant", "org_id", "workspace_id"})
_KNOWN = frozenset(
    {*_TEXTS, *_TIMES, *BUCKETS, *_IGNORED, "event_type", "error", "children_ids", "session_name"}
)


class LongIdError(RequestRejected):
    """An event of a batch that is refused alone, as one that is too deep."""


def parse_session(session: Any) -> tuple[str, Body]:
    """The id and the fields of a session, with HoneyHive's defaults for missing fields."""
    if not isinstance(session, dict):
        raise RequestRejected(400, "the session must be an object")
    session_id = session.get("session_id")
    if isinstance(session_id, str) and is_uuid(session_id):
        session_id = session_id.lower()
    else:  # HoneyHive, too, replaces ids that are not UUIDs
        session_id = str(uuid.uuid4())
    fields = _fields({**session, "event_type": "session"}, ("session_id", "event_id"))
    name = next((session[n] for n in ("event_name", "session_name") if _text(session.get(n))), None)
    fields |= {
        "event_id": session_id,
        "session_id": session_id,
        "event_name": name or "unknown",
        "source": fields.get("source", "unknown"),
    }
    fields.pop("parent_id", None)
    return session_id, fields


def session_record(fields: Body, stored: Mapping[str, Any] | None) -> Record | None:
    """The record of a posted session; for a stored session, a patch of what HoneyHive merges."""
    if stored is None:
        return record_builder.build_record(END, fields)
    session_id = fields["session_id"]
    changes = {name: fields[name] for name in ("metadata", "user_properties") if fields.get(name)}
    return record_builder.patch(session_id, session_id, changes) if changes else None


def event_record(body: Any, *, session_id: str | None = None, strict: bool = True) -> DecodedRecord:
    """One event as a record.

    ``session_id`` overrides the event's own. ``strict``: check fields as the v1 routes do.
    """
    if not isinstance(body, dict):
        raise RequestRejected(400, "an event must be an object")
    if _has_long_id(body):
        raise LongIdError(400, f"an event is {LONG_ID}")
    if session_id is None and (record := whole_record(body)) is not None:
        return record
    if strict and body.get("event_type") not in _TYPES:
        raise RequestRejected(400, "event_type must be one of model, tool, chain, session")
    if strict and not isinstance(body.get("inputs"), dict):
        raise RequestRejected(400, "inputs must be an object")
    fields = _fields(body)
    event_id = fields.get("event_id") or str(uuid.uuid4())
    fields["event_id"] = event_id
    parent_session = session_id or fields.get("session_id")
    if fields["event_type"] == "session":
        parent_session = parent_session or event_id
        # A session's event is the session: it has one id.
        fields |= {"event_id": parent_session, "session_id": parent_session}
        return record_builder.build_decoded(END, fields)
    parent_session = parent_session or str(uuid.uuid4())
    fields["session_id"] = parent_session
    fields.setdefault("parent_id", parent_session)
    fields.setdefault("event_name", "unknown")
    fields.setdefault("source", "unknown")
    return record_builder.build_decoded(EVENT, fields)


def whole_record(body: Any) -> DecodedRecord | None:
    """The record of an event that is one as it comes, as most events are.

    None for an event that needs a correction, or that a batch must refuse.
    """
    if not isinstance(body, dict) or not _is_whole(body) or _has_long_id(body):
        return None
    try:
        text = orjson.dumps(body)
    except orjson.JSONEncodeError:  # too deep
        return None
    brackets = text.count(b"{") + text.count(b"[")  # a text with fewer cannot be that deep
    if brackets > DEPTH_MAX and is_too_deep(body):
        return None
    return DecodedRecord(EVENT, body, text.decode())


def _has_long_id(event: Body) -> bool:
    """Whether an event, or its session, could not be asked for: its id does not fit into a URL."""
    event_id, session_id = event.get("event_id"), event.get("session_id")
    if isinstance(event_id, str) and len(event_id) > ID_MAX:
        return True
    return isinstance(session_id, str) and len(session_id) > ID_MAX


_WHOLE = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(BUCKETS, dict),
    "event_type": str,
    "start_time": int,
    "end_time": int,
    "duration": float,
    "error": str,
}
_NEEDED = frozenset({*_TEXTS, "event_type", "start_time", "end_time", "duration", "inputs"})


def _is_whole(event: Body) -> bool:
    """Whether no field is missing and none needs a correction.

    All events of our own exporter are whole.
    """
    for name, value in event.items():
        if type(value) is not _WHOLE.get(name) or value == "":
            return False
    if not event.keys() >= _NEEDED or event["event_type"] not in _STEPS:
        return False
    in_order = 0 <= event["start_time"] <= event["end_time"] < _LATEST_MS
    if "span_kind" in event.get("metadata", ()):  # see `_of_own_type`
        return False
    return in_order and bool(event["duration"] >= 0)


def _fields(event: Body, without: Sequence[str] = ()) -> Body:
    """A request's fields as a record's; fields with no name of their own go to the metadata."""
    kind = event.get("event_type")
    fields: Body = {"event_type": kind if kind in _TYPES else "chain", "inputs": {}}
    unknown: Body = {}
    for name, value in event.items():
        if value is None:
            continue
        if name in _BUCKETS:
            fields[name] = value if isinstance(value, dict) else {"result": value}
        elif name in _TEXTS:
            if isinstance(value, str) and value and name not in without:
                fields[name] = value
        elif name not in _KNOWN:
            unknown[name] = value
    if unknown:
        fields["metadata"] = {**unknown, **fields.get("metadata", {})}
    if event.get("error") is not None:
        fields["error"] = str(event["error"])
    children = event.get("children_ids")
    if isinstance(children, list) and children:
        fields["children_ids"] = [str(child) for child in children]
    start, end, duration = map(number, map(event.get, _TIMES))
    fields |= record_builder.whole_times(start, end, duration, record_builder.now_ms())
    return _of_own_type(fields)


def _of_own_type(fields: Body) -> Body:
    """The fields with the type that ``metadata.span_kind`` says, as our exporter writes it."""
    metadata = fields.get("metadata", {})
    kind = metadata.get("span_kind")
    if (own := refined(fields["event_type"], kind)) != fields["event_type"] and own == kind:
        others = {name: value for name, value in metadata.items() if name != "span_kind"}
        fields["event_type"] = own
        fields.pop("metadata")
        if others:
            fields["metadata"] = others
    return fields


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_RENAMED = {
    "model_name": ("config", "model"),
    "model": ("config", "model"),
    "model_version": ("config", "version"),
    "provider": ("config", "provider"),
    "hyperparameters": ("config", "hyperparameters"),
    "template": ("config", "template"),
    "prompt_template": ("config", "template"),
    "messages": ("inputs", "chat_history"),
    "template_inputs": ("inputs", "template_inputs"),
    "response": ("outputs", "response"),
    "usage": ("metadata", "usage"),
    "cost": ("metadata", "cost"),
}


def model_event(event: Any) -> Body:
    """A model event of the old routes as an event, its own fields moved to config and metadata."""
    if not isinstance(event, dict):
        raise RequestRejected(400, "a model event must be an object")
    fields: Body = {name: value for name, value in event.items() if name not in _RENAMED}
    for name, (bucket, key) in _RENAMED.items():
        if event.get(name) is not None:
            present = fields.get(bucket)
            fields[bucket] = {**(present if isinstance(present, dict) else {}), key: event[name]}
    usage = event.get("usage")
    if isinstance(usage, dict):
        fields["metadata"] = {**usage, **fields["metadata"]}
    fields["event_name"] = event.get("event_name") or event.get("model_name") or event.get("model")
    return {**fields, "event_type": "model", "inputs": fields.get("inputs", {})}


def parse_changes(update: Any) -> Body:
    """The changes that an update may make: buckets merge, outputs replace, others are ignored."""
    if not isinstance(update, dict):
        raise RequestRejected(400, "the update must be an object")
    changes: Body = {}
    for name in ("metadata", "feedback", "metrics", "config", "user_properties"):
        value = update.get(name)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise RequestRejected(400, f"{name} must be an object")
        if value:
            changes[name] = value
    outputs = update.get("outputs")
    if outputs is not None and not isinstance(outputs, dict):
        raise RequestRejected(400, "outputs must be an object or null")
    if outputs:  # the official client sends an empty object where it changes no outputs
        changes["outputs"] = outputs
    for name in ("duration", "end_time"):
        if (value := number(update.get(name))) is not None:
            changes[name] = value if name == "duration" else int(value)
    children = update.get("children_ids")
    if isinstance(children, list) and children:
        changes["children_ids"] = [str(child) for child in children]
    return changes


def event_response(record: Mapping[str, Any]) -> Body:
    """A record as HoneyHive returns an event."""
    event = {**ORGANISATION, **record}
    event.pop("start_nanos", None)  # HoneyHive's times are in ms
    kind = event.get("event_type")
    if (base := base_type(kind)) != kind:
        event["event_type"] = base
        event["metadata"] = {**(event.get("metadata") or {}), "span_kind": kind}
    if event.get("event_type") == "session":
        event.setdefault("event_name", "unknown")
    return {name: value for name, value in event.items() if value is not None or name == "error"}


def select_fields(event: Body, fields: Any) -> Body:
    """The event with its ids and these fields only; with all fields where none are named."""
    if not isinstance(fields, list) or not fields:
        return event
    names = {"event_id", "session_id", *(str(path).partition(".")[0] for path in fields)}
    return {name: value for name, value in event.items() if name in names}


# -- filters --------------------------------------------------------------------------------

_MISSING = object()


def event_filter(conditions: Any) -> Callable[[Mapping[str, Any]], bool] | None:
    """A function that tests an event against the filters of a search; None without filters."""
    if conditions is None or conditions == []:
        return None
    if not isinstance(conditions, list):
        raise RequestRejected(400, "filters must be a list")
    checks = [_check(condition) for condition in conditions]
    return lambda event: all(check(event) for check in checks)


def _check(condition: Any) -> Callable[[Mapping[str, Any]], bool]:
    if not isinstance(condition, dict) or not isinstance(condition.get("field"), str):
        raise RequestRejected(400, "a filter needs a field, an operator and a value")
    path, operator, operand = condition["field"], condition.get("operator"), condition.get("value")
    test = _OPERATORS.get(str(operator))
    if test is None:
        raise RequestRejected(400, f"operator must be one of {', '.join(_OPERATORS)}")
    return lambda event: test(_value(event, path), operand)


def _value(event: Mapping[str, Any], path: str) -> Any:
    value: Any = event
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return _MISSING
        value = value[step]
    return base_type(value) if path == "event_type" else value


def _comparable(value: Any) -> float | str | None:
    if isinstance(value, bool) or value is None or value is _MISSING:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        at = record_builder.moment(value)
        if at is not None:
            return at
        try:
            return float(value)
        except ValueError:
            return value
    return None


def _compared(value: Any, operand: Any) -> Iterator[tuple[Any, Any]]:
    left, right = _comparable(value), _comparable(operand)
    if left is not None and type(left) is type(right):
        yield left, right


def _same(value: Any, operand: Any) -> bool:
    if value is _MISSING:
        return operand is None
    if isinstance(value, bool) or isinstance(operand, bool):
        return str(value).lower() == str(operand).lower()
    return bool(value == operand) or (value is not None and str(value) == str(operand))


def _holds(value: Any, operand: Any) -> bool:
    if isinstance(value, list):
        return any(_same(item, operand) for item in value)
    return isinstance(value, str) and str(operand).casefold() in value.casefold()


def _greater(value: Any, operand: Any) -> bool:
    return any(left > right for left, right in _compared(value, operand))


def _less(value: Any, operand: Any) -> bool:
    return any(left < right for left, right in _compared(value, operand))


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "exists": lambda value, _: value is not _MISSING and value is not None,
    "not exists": lambda value, _: value is _MISSING or value is None,
    "is": _same,
    "is not": lambda value, operand: not _same(value, operand),
    "contains": _holds,
    "not contains": lambda value, operand: not _holds(value, operand),
    "greater than": _greater,
    "less than": _less,
    "after": _greater,
    "before": _less,
}
