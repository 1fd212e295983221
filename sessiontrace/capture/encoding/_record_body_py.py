"""The Python form of ``encode_event``: the specification; see ``record_body``.

Runs in the user's thread, once for every record of a span or session. Invariant: a record opens
with its two ids, and its encoded inputs and outputs come last, each between two tabs: that is how
exporters cut them out, see ``record.decode_keeping_payloads``.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.capture.encoding.encoder import encode

_dumps = orjson.dumps
_Fragment = orjson.Fragment


def encode_event(
    event_id: str,
    session_id: str,
    parent_id: str | None,
    event_type: str,
    source: str,
    start: int,
    end: int | None,
    name: str,
    parts: dict[str, Any] | None,
    children: list[str] | None,
    inputs: bytes | None,
    outputs: bytes | None,
) -> bytes:
    """The record of one event; ``start`` and ``end`` in Unix nanoseconds.

    ``parent_id``: None for a session. ``end``: None for its start, whose time is in whole ms.
    """
    body: dict[str, Any] = {"event_id": event_id, "session_id": session_id}
    if parent_id is not None:
        body["parent_id"] = parent_id
    body |= {"event_type": event_type, "source": source, "start_time": start // 1_000_000}
    if end is not None:
        if nanos := start % 1_000_000:
            body["start_nanos"] = nanos
        body["end_time"] = end // 1_000_000
        body["duration"] = (end - start) / 1_000_000
    body["event_name"] = name
    if parts is not None:
        body.update(parts)
    if children is not None:
        body["children_ids"] = children
    return assemble(body, inputs, outputs)


def assemble(body: dict[str, Any], inputs: bytes | None, outputs: bytes | None) -> bytes:
    """A record from its first fields and its encoded inputs and outputs."""
    try:
        first = _dumps(body)
    except TypeError:  # a lone surrogate in a name, an integer over 64 bits in a bucket
        first = _dumps(_sanitized(body))
    if outputs is not None and inputs is not None:
        return b'%b,"inputs":\t%b\t,"outputs":\t%b\t}' % (first[:-1], inputs, outputs)
    if inputs is not None:
        return b'%b,"inputs":\t%b\t}' % (first[:-1], inputs)
    if outputs is not None:
        return b'%b,"outputs":\t%b\t}' % (first[:-1], outputs)
    return first


def _sanitized(body: dict[str, Any]) -> dict[str, Any]:
    """A record's fields with every value that is not encoded yet encoded the slow way."""
    fields: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, dict):
            fields[name] = {
                orjson.loads(encode(key)): (
                    item if isinstance(item, _Fragment) else _Fragment(encode(item))
                )
                for key, item in value.items()
            }
        else:
            fields[name] = value if isinstance(value, _Fragment) else _Fragment(encode(value))
    return fields
