"""The Python form of ``encode_event``: the specification; see ``record_body``.

Runs in the user's thread, once for every event. Invariant: a record opens with its two ids, and its
encoded inputs and outputs come last, each between two tabs: that is how exporters cut them out, see
``record.decode_keeping_payloads``.
"""

from __future__ import annotations

from typing import Any

import orjson

_dumps = orjson.dumps


def encode_event(
    event_id: str,
    session_id: str,
    parent_id: str,
    event_type: str,
    source: str,
    start: int,
    end: int,
    name: str,
    parts: dict[str, Any] | None,
    children: list[str] | None,
    inputs: bytes | None,
    outputs: bytes | None,
) -> bytes:
    """The record of one step; ``start`` and ``end`` in Unix nanoseconds, the last two encoded."""
    body = {
        "event_id": event_id,
        "session_id": session_id,
        "parent_id": parent_id,
        "event_type": event_type,
        "source": source,
        "start_time": start // 1_000_000,
        "end_time": end // 1_000_000,
        "duration": (end - start) / 1_000_000,
        "event_name": name,
    }
    if parts is not None:
        body.update(parts)
    if children is not None:
        body["children_ids"] = children
    return assemble(body, inputs, outputs)


def assemble(body: dict[str, Any], inputs: bytes | None, outputs: bytes | None) -> bytes:
    """A record from its first fields and the encoded rest."""
    try:
        first = _dumps(body)
    except TypeError:  # a lone surrogate in a name, an integer over 64 bits in a bucket
        from sessiontrace.capture.encoding.encoder import (
            sanitize,  # which needs what is in here, by ``hot``
        )

        first = _dumps(sanitize(body))
    if outputs is not None and inputs is not None:
        return b'%b,"inputs":\t%b\t,"outputs":\t%b\t}' % (first[:-1], inputs, outputs)
    if inputs is not None:
        return b'%b,"inputs":\t%b\t}' % (first[:-1], inputs)
    if outputs is not None:
        return b'%b,"outputs":\t%b\t}' % (first[:-1], outputs)
    return first
