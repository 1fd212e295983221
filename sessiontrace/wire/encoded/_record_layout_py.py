"""The Python forms of ``record_layout``: the specification."""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import NamedTuple

from sessiontrace.model.record import EVENT
from sessiontrace.model.step_types import BASES

__all__ = ["BASE_TYPES", "Layout", "layout_of", "plain_events", "without_nanos"]

_OPENING, _SESSION, _PARENT = b'{"event_id":"', b'","session_id":"', b'","parent_id":"'
_TYPE, _START, _NAME = b'","event_type":"', b',"start_time":', b',"event_name":'
_NANOS, _END, _DURATION = b'"start_nanos":', b'"end_time":', b'"duration":'
_METADATA, _CHILDREN = b',"metadata":', b',"children_ids":['
_INPUTS, _OUTPUTS = b',"inputs":', b',"outputs":'
_FLAT = re.compile(rb'\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}', re.DOTALL)
_IDS = re.compile(rb'"[0-9a-f-]{36}"(?:,"[0-9a-f-]{36}")*\]')
_NANOS_FIELD = b',"start_nanos":'  # in quotes that no text has
_IDS_END, _HEAD = 101, 4096  # where the ids end, and the fields before what users gave
_LONGEST = 1e15  # ms
_NO_SPAN = bytes(8)
_TYPE_AT = 152  # behind the ids

BASE_TYPES = tuple(b'","event_type":"%b"' % base.encode() for base in BASES)
"""What follows the ids of an event of a base type."""


class Layout(NamedTuple):
    """The values of one body; ``shape`` is all the rest of it.

    ``metadata``: encoded, None where absent or with objects in it; then it belongs to the shape.
    ``children``: their ids, encoded, None where absent. ``parent_id``: empty where the record has
    none. ``span``, ``parent_span``: the last 8 bytes of the ids, not all zeros; ``trace``: the 16
    bytes of the session's. Times in Unix ms, the duration in ms. ``inputs``, ``outputs``: encoded,
    None where absent.
    """

    shape: bytes
    metadata: bytes | None
    children: bytes | None
    event_id: bytes
    session_id: bytes
    parent_id: bytes
    trace: bytes
    span: bytes
    parent_span: bytes
    start_ms: int
    start_nanos: int
    end_ms: int
    duration_ms: float
    inputs: bytes | None
    outputs: bytes | None


def layout_of(body: bytes) -> Layout | None:
    """The body's layout; None for a body that capture would have written in another way."""
    at = 101
    parent_id = b""
    if body.startswith(_PARENT, 101):
        parent_id, at = body[116:152], 152
    if not (
        body.startswith(_OPENING)
        and body.startswith(_SESSION, 49)
        and body.startswith(_TYPE, at)
        and (times := body.find(_START, at)) > 0
        and (name := body.find(_NAME, times)) > 0
        and (tab := body.find(b"\t", name)) > 0
        and (moments := _moments(body[times + len(_START) : name])) is not None
        and (payloads := _payloads(body, tab)) is not None
        and (spans := _spans(body[13:49], body[65:101], parent_id)) is not None
    ):
        return None
    repeated = body[name:tab]
    metadata = None
    start = repeated.find(_METADATA)
    if start >= 0 and (flat := _FLAT.match(repeated, start + len(_METADATA))) is not None:
        metadata = flat[0]
        repeated = repeated[:start] + repeated[flat.end() :]
    repeated, children = _without_children(repeated, start if metadata else 0)
    shape, event_id, session_id = body[at:times] + repeated, body[13:49], body[65:101]
    ids = shape, metadata, children, event_id, session_id, parent_id
    return Layout._make((*ids, *spans, *moments, *payloads))


def plain_events(kinds: list[bytes], bodies: list[bytes]) -> list[bytes | None]:
    """Each body without ``start_nanos``, or None where it is not an event of a base type."""
    return [
        without_nanos(body) if kind == EVENT and body.startswith(BASE_TYPES, _TYPE_AT) else None
        for kind, body in zip(kinds, bodies, strict=False)
    ]


def without_nanos(body: bytes) -> bytes:
    """The same body without ``start_nanos``, for a vendor that has no such field."""
    start = body.find(_NANOS_FIELD, _IDS_END, _HEAD)
    if start < 0:
        return body
    digits = start + len(_NANOS_FIELD)
    end = body.find(b",", digits, digits + 7)
    return body if end < 0 else body[:start] + body[end:]


def _spans(
    event_id: bytes, session_id: bytes, parent_id: bytes
) -> tuple[bytes, bytes, bytes] | None:
    """Trace, span and parent span; None where an id is not a UUID."""
    if any(text[8:24:5] != b"----" for text in (event_id, session_id, parent_id) if text):
        return None
    try:
        span, trace, parent_span = (
            unhexlify(text.replace(b"-", b"")) for text in (event_id, session_id, parent_id)
        )
    except ValueError:
        return None
    if len(span) != 16 or len(trace) != 16 or (parent_id and len(parent_span) != 16):
        return None
    if _NO_SPAN in (span[8:], parent_span[8:]):
        return None
    return trace, span[8:], parent_span[8:]


def _moments(text: bytes) -> tuple[int, int, int, float] | None:
    """Start, its nanoseconds, end and duration; None in another layout."""
    parts = text.split(b",")
    nanos = b"0"
    if len(parts) == 4 and parts[1].startswith(_NANOS):
        nanos = parts.pop(1)[len(_NANOS) :]
    if len(parts) != 3 or not nanos.isdigit() or len(nanos) > 6:
        return None
    start, end, duration = parts
    if not end.startswith(_END) or not duration.startswith(_DURATION):
        return None
    end, duration = end[len(_END) :], duration[len(_DURATION) :]
    if not (start.isdigit() and len(start) <= 15 and end.isdigit() and len(end) <= 15):
        return None
    if not duration[:1].isdigit() or duration.strip(b"0123456789.eE+-"):
        return None
    try:
        lasted = float(duration)
    except ValueError:
        return None
    return (int(start), int(nanos), int(end), lasted) if lasted <= _LONGEST else None


def _payloads(body: bytes, tab: int) -> tuple[bytes | None, bytes | None] | None:
    """Inputs and outputs, the first of which begins behind ``tab``; None in another layout."""
    end = body.find(b"\t", tab + 1)
    if end < 0:
        return None
    first = body[tab + 1 : end]
    if body.endswith(_OUTPUTS, 0, tab):
        return (None, first) if body[end:] == b"\t}" else None
    if not body.endswith(_INPUTS, 0, tab):
        return None
    if body[end:] == b"\t}":
        return first, None
    second = end + 1 + len(_OUTPUTS)
    if not body.startswith(b"\t", second) or not body.startswith(_OUTPUTS, end + 1):
        return None
    last = body.find(b"\t", second + 1)
    return (first, body[second + 1 : last]) if body[last:] == b"\t}" else None


def _without_children(repeated: bytes, first: int) -> tuple[bytes, bytes | None]:
    """The same without the ids of children, if these come last and not before ``first``; these."""
    start = repeated.rfind(_CHILDREN, first)
    if start < 0:
        return repeated, None
    ids = _IDS.match(repeated, start + len(_CHILDREN))
    if ids is None or repeated[ids.end() :] not in (_INPUTS, _OUTPUTS):
        return repeated, None
    return repeated[:start] + repeated[ids.end() :], b"[" + ids[0]
