"""HoneyHive's requests as records, and records as its events: defaults, merging, filters.

Pure functions but for the clock. Invariant: an event goes in with HoneyHive's defaults and comes
out with its field names, which are the record's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.fields import BUCKETS
from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.server import record_builder
from sessiontrace.server.http import RequestRejected
from sessiontrace.server.record_builder import number
from sessiontrace.store.folding import DecodedRecord

__all__ = [
    "changes",
    "event",
    "filters",
    "model_event",
    "projected",
    "session_start",
    "shown",
    "started",
]

Body = dict[str, Any]

ORGANISATION = {"org_id": "local", "workspace_id": "local", "project_id": "local"}
_TYPES = frozenset({"model", "tool", "chain", "session"})
_TEXTS = frozenset({"event_id", "session_id", "parent_id", "event_name", "source"})
_BUCKETS = frozenset(BUCKETS)
_STEPS = frozenset({"model", "tool", "chain"})
_LATEST_MS = 1 << 53
_TIMES = ("start_time", "end_time", "duration")
_IGNORED = frozenset({"project", "project_id", "tenant", "org_id", "workspace_id"})
_KNOWN = frozenset(
    {*_TEXTS, *_TIMES, *BUCKETS, *_IGNORED, "event_type", "error", "children_ids", "session_name"}
)


def session_start(given: Any) -> tuple[str, Body]:
    """The id and the fields of a session, with HoneyHive's defaults for what is missing."""
    if not isinstance(given, dict):
        raise RequestRejected(400, "the session must be an object")
    asked = given.get("session_id")
    # Other ids than UUIDs are replaced, as HoneyHive does.
    session_id = asked.lower() if isinstance(asked, str) and is_uuid(asked) else str(uuid.uuid4())
    fields = _fields({**given, "event_type": "session"}, ("session_id", "event_id"))
    name = next((given[n] for n in ("event_name", "session_name") if _text(given.get(n))), None)
    fields |= {
        "event_id": session_id,
        "session_id": session_id,
        "event_name": name or "unknown",
        "source": fields.get("source", "unknown"),
    }
    fields.pop("parent_id", None)
    return session_id, fields


def started(fields: Body, known: Mapping[str, Any] | None) -> Record | None:
    """The record that posting a session makes: of a known one, only what HoneyHive merges."""
    if known is None:
        return record_builder.build_record(END, fields)
    merged = {name: fields[name] for name in ("metadata", "user_properties") if fields.get(name)}
    return (
        record_builder.patch(fields["session_id"], fields["session_id"], merged) if merged else None
    )


def event(given: Any, *, session_id: str | None = None, strict: bool = True) -> DecodedRecord:
    """One event as a record; ``session_id`` overrides its own. ``strict``: as the v1 routes."""
    if not isinstance(given, dict):
        raise RequestRejected(400, "an event must be an object")
    if session_id is None and _is_whole(given):
        return DecodedRecord(EVENT, given, orjson.dumps(given).decode())
    if strict and given.get("event_type") not in _TYPES:
        raise RequestRejected(400, "event_type must be one of model, tool, chain, session")
    if strict and not isinstance(given.get("inputs"), dict):
        raise RequestRejected(400, "inputs must be an object")
    fields = _fields(given)
    event_id = fields.get("event_id") or str(uuid.uuid4())
    fields["event_id"] = event_id
    own = session_id or fields.get("session_id")
    if fields["event_type"] == "session":
        own = own or event_id
        # A session's event is the session: it has one id.
        fields |= {"event_id": own, "session_id": own}
        return record_builder.build_decoded(END, fields)
    own = own or str(uuid.uuid4())
    fields["session_id"] = own
    fields.setdefault("parent_id", own)
    fields.setdefault("event_name", "unknown")
    fields.setdefault("source", "unknown")
    return record_builder.build_decoded(EVENT, fields)


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


def _is_whole(given: Body) -> bool:
    """Whether nothing is missing and nothing has to be put right: most events, and those of our
    own exporter, are records as they come."""
    for name, value in given.items():
        if type(value) is not _WHOLE.get(name) or value == "":
            return False
    times = given.keys() >= _NEEDED and 0 <= given["start_time"] <= given["end_time"] < _LATEST_MS
    return times and given["event_type"] in _STEPS and given["duration"] >= 0


def _fields(given: Body, without: Sequence[str] = ()) -> Body:
    """What a record keeps of a request's fields; those that no one knows go to the metadata."""
    kind = given.get("event_type")
    found: Body = {"event_type": kind if kind in _TYPES else "chain", "inputs": {}}
    unknown: Body = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in _BUCKETS:
            found[name] = value if isinstance(value, dict) else {"result": value}
        elif name in _TEXTS:
            if isinstance(value, str) and value and name not in without:
                found[name] = value
        elif name not in _KNOWN:
            unknown[name] = value
    if unknown:
        found["metadata"] = {**unknown, **found.get("metadata", {})}
    if given.get("error") is not None:
        found["error"] = str(given["error"])
    children = given.get("children_ids")
    if isinstance(children, list) and children:
        found["children_ids"] = [str(one) for one in children]
    start, end, took = map(number, map(given.get, _TIMES))
    found |= record_builder.whole_times(start, end, took, record_builder.now_ms())
    return found


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


def model_event(given: Any) -> Body:
    """A model event of the old routes as an event: its own fields find their place."""
    if not isinstance(given, dict):
        raise RequestRejected(400, "a model event must be an object")
    found: Body = {name: value for name, value in given.items() if name not in _RENAMED}
    for name, (bucket, key) in _RENAMED.items():
        if given.get(name) is not None:
            held = found.get(bucket)
            found[bucket] = {**(held if isinstance(held, dict) else {}), key: given[name]}
    usage = given.get("usage")
    if isinstance(usage, dict):
        found["metadata"] = {**usage, **found["metadata"]}
    called = given.get("event_name") or given.get("model_name") or given.get("model")
    return {**found, "event_type": "model", "event_name": called, "inputs": found.get("inputs", {})}


def changes(given: Any) -> Body:
    """What an update may change: buckets merge, outputs replace, the rest is left out."""
    if not isinstance(given, dict):
        raise RequestRejected(400, "the update must be an object")
    found: Body = {}
    for name in ("metadata", "feedback", "metrics", "config", "user_properties"):
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise RequestRejected(400, f"{name} must be an object")
        if value:
            found[name] = value
    outputs = given.get("outputs")
    if outputs is not None and not isinstance(outputs, dict):
        raise RequestRejected(400, "outputs must be an object or null")
    if outputs:  # the official client sends an empty object for what it has nothing to say of
        found["outputs"] = outputs
    for name in ("duration", "end_time"):
        if (value := number(given.get(name))) is not None:
            found[name] = value if name == "duration" else int(value)
    children = given.get("children_ids")
    if isinstance(children, list) and children:
        found["children_ids"] = [str(one) for one in children]
    return found


def shown(record: Mapping[str, Any]) -> Body:
    """A record as HoneyHive shows an event."""
    found = {**ORGANISATION, **record}
    if found.get("event_type") == "session":
        found.setdefault("event_name", "unknown")
    return {name: value for name, value in found.items() if value is not None or name == "error"}


def projected(event: Body, fields: Any) -> Body:
    """Only the fields asked for, and the ids."""
    if not isinstance(fields, list) or not fields:
        return event
    wanted = {"event_id", "session_id", *(str(one).partition(".")[0] for one in fields)}
    return {name: value for name, value in event.items() if name in wanted}


# -- filters --------------------------------------------------------------------------------

_MISSING = object()


def filters(given: Any) -> Callable[[Mapping[str, Any]], bool] | None:
    """What the filters of a search say of an event; None when there are none."""
    if given is None or given == []:
        return None
    if not isinstance(given, list):
        raise RequestRejected(400, "filters must be a list")
    checks = [_check(one) for one in given]
    return lambda event: all(check(event) for check in checks)


def _check(given: Any) -> Callable[[Mapping[str, Any]], bool]:
    if not isinstance(given, dict) or not isinstance(given.get("field"), str):
        raise RequestRejected(400, "a filter needs a field, an operator and a value")
    path, operator, wanted = given["field"], given.get("operator"), given.get("value")
    judge = _OPERATORS.get(str(operator))
    if judge is None:
        raise RequestRejected(400, f"operator must be one of {', '.join(_OPERATORS)}")
    return lambda event: judge(_value(event, path), wanted)


def _value(event: Mapping[str, Any], path: str) -> Any:
    found: Any = event
    for step in path.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return _MISSING
        found = found[step]
    return found


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


def _compared(value: Any, wanted: Any) -> Iterator[tuple[Any, Any]]:
    left, right = _comparable(value), _comparable(wanted)
    if left is not None and type(left) is type(right):
        yield left, right


def _same(value: Any, wanted: Any) -> bool:
    if value is _MISSING:
        return wanted is None
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).lower() == str(wanted).lower()
    return bool(value == wanted) or (value is not None and str(value) == str(wanted))


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_same(one, wanted) for one in value)
    return isinstance(value, str) and str(wanted).casefold() in value.casefold()


def _greater(value: Any, wanted: Any) -> bool:
    return any(left > right for left, right in _compared(value, wanted))


def _less(value: Any, wanted: Any) -> bool:
    return any(left < right for left, right in _compared(value, wanted))


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "exists": lambda value, _: value is not _MISSING and value is not None,
    "not exists": lambda value, _: value is _MISSING or value is None,
    "is": _same,
    "is not": lambda value, wanted: not _same(value, wanted),
    "contains": _holds,
    "not contains": lambda value, wanted: not _holds(value, wanted),
    "greater than": _greater,
    "less than": _less,
    "after": _greater,
    "before": _less,
}
