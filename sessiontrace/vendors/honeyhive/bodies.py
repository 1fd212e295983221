"""HoneyHive's request bodies, made from decoded records; pure functions, no state.

Invariant: no body has a field that its schema in HoneyHive's data-plane OpenAPI 1.9.0 does not
name; two of the schemas are closed, and the third silently ignores unknown fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.step_types import STEP_TYPES, base_type
from sessiontrace.wire.encoded.members import members_of
from sessiontrace.wire.encoded.record_layout import without_nanos

__all__ = [
    "Body",
    "conversation",
    "event",
    "event_bytes",
    "inputs_of",
    "leftover",
    "merge",
    "session",
    "session_bytes",
    "session_update",
    "update",
]

Body = dict[str, Any]

# StartSessionRequest without its two names.
_SESSION = (
    "session_id",
    "source",
    "start_time",
    "end_time",
    "duration",
    "config",
    "inputs",
    "outputs",
    "metadata",
    "user_properties",
    "children_ids",
)
_SESSION_MEMBERS = tuple((name.encode(), b'"%b":' % name.encode()) for name in _SESSION)
_CONVERSATION = ("session_id", "source", "start_time", "config", "metadata", "user_properties")

# UpdateEventRequest: HoneyHive merges the first and replaces the second.
_MERGED = ("metadata", "feedback", "metrics", "config", "user_properties")
_REPLACED = ("outputs", "duration", "end_time", "children_ids")

_TYPE = b'","event_type":"'
_OTHER_TYPES = frozenset(name.encode() for name in STEP_TYPES if base_type(name) != name)
_HEAD = 4096  # the fields before what users gave

# PostEventRequest without project_id.
_EVENT = frozenset(
    (
        *("event_id", "session_id", "parent_id", "event_type", "event_name", "source"),
        *("start_time", "end_time", "duration", "inputs", "outputs", "config", "metadata"),
        *("metrics", "feedback", "user_properties", "error", "children_ids"),
    )
)


def event_bytes(body: bytes) -> bytes:
    """An event's own bytes without ``start_nanos``, the only field that HoneyHive does not have.

    HoneyHive has three types; of any other type the event is written anew, as ``event`` does.
    """
    kind = body.find(_TYPE, 0, _HEAD) + len(_TYPE)
    if body[kind : body.find(b'"', kind)] in _OTHER_TYPES:
        return payload.compact_json(event(orjson.loads(body)))
    return without_nanos(body)


def session(record: Mapping[str, Any]) -> Body:
    """StartSessionRequest for a session, from its start or, whole, from its end."""
    return _with_name(record, _picked(record, _SESSION))


def session_bytes(start: bytes, end: bytes | None) -> bytes | None:
    """StartSessionRequest for a session, from its encoded start and, in the same batch, its end.

    Nothing is decoded: the bytes are those of ``session`` of both, merged. None for a record with
    an escaped character in a field's name, which capture does not write.
    """
    fields: dict[bytes, bytes] = {}
    for record in (start, end):
        if record is None:
            break
        members = members_of(record)
        if members is None:
            return None
        for name, key in _SESSION_MEMBERS:
            if name in members:
                fields[key] = members[name]
        if b"event_name" in members:
            fields[b'"session_name":'] = fields[b'"event_name":'] = members[b"event_name"]
    # No JSON text has a raw tab: those around inputs and outputs are the only ones.
    return b"{%b}" % b",".join(map(b"".join, fields.items())).replace(b"\t", b"")


def inputs_of(record: bytes) -> bytes:
    """A record's encoded inputs; those of an empty object where it has none."""
    start = record.find(b',"inputs":\t') + 11
    if start > 10:
        return record[start : record.find(b"\t", start)]
    return payload.compact_json(orjson.loads(record).get("inputs") or {})


def conversation(record: Mapping[str, Any]) -> Body:
    """StartSessionRequest for the session of a turn; inputs and outputs belong to the turn."""
    return _with_name(record, _picked(record, _CONVERSATION))


def event(record: Mapping[str, Any]) -> Body:
    """PostEventRequest: the fields of the record that the schema names.

    ``event_type`` is the nearest of HoneyHive's, and ``metadata.span_kind`` the step's own.
    """
    body = {name: value for name, value in record.items() if name in _EVENT}
    kind = record.get("event_type")
    if (base := base_type(kind)) != kind:
        body["event_type"] = base
        body["metadata"] = {**payload.bucket(body, "metadata"), "span_kind": kind}
    return body


def update(record: Mapping[str, Any]) -> Body:
    """UpdateEventRequest for a record. It has no inputs and no error: they go to the metadata."""
    body = _picked(record, (*_MERGED, *_REPLACED))
    late = {}
    if record.get("inputs"):
        late["inputs"] = record["inputs"]
    if record.get("error") is not None:
        late["error"] = {"message": record["error"]}
    if late:
        body["metadata"] = {**late, **body.get("metadata", {})}
    return body


def leftover(record: bytes) -> Body:
    """UpdateEventRequest with the fields that StartSessionRequest does not have."""
    if b'"metrics":' in record or b'"feedback":' in record:
        return _picked(orjson.loads(record), ("metrics", "feedback"))
    return {}


def session_update(turn: Mapping[str, Any]) -> Body:
    """UpdateEventRequest for the session of a turn that ended, without outputs."""
    return _picked(turn, ("end_time", "metadata", "user_properties"))


def merge(into: Body, changes: Mapping[str, Any], fields: Iterable[str] = _MERGED) -> None:
    """Change ``into`` as HoneyHive would: the objects in ``fields`` merge, others are replaced."""
    for name, value in changes.items():
        if name in fields and name in into:
            into[name] = {**into[name], **value}
        else:
            into[name] = value


def _picked(record: Mapping[str, Any], fields: Iterable[str]) -> Body:
    return {name: record[name] for name in fields if name in record}


def _with_name(record: Mapping[str, Any], body: Body) -> Body:
    if "event_name" in record:
        body["session_name"] = body["event_name"] = record["event_name"]
    return body
