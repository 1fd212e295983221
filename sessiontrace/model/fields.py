"""The fields of a record: one table, from which the lists of field names are derived.

Pure values, no thread owns them. Invariant: rows are in the order in which fields are written; a
field that has no row is in no record.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ATTRIBUTES",
    "BUCKETS",
    "EVENT_FIELDS",
    "FIELDS",
    "HTML_SECTIONS",
    "PAYLOADS",
    "REDACTED",
    "SCORES",
    "STEP_ATTRIBUTES",
    "Field",
    "is_measure",
]

_MEASURES = frozenset({"chunks", "cost", "duration", "latency", "total_cost"})
_MEASURE_ENDS = ("_ms", "_s", "_seconds", "_tokens", "_count", "_cost", "_bytes")

ID, TEXT, TIME, NANOS, NUMBER, IDS = "id", "text", "time", "nanos", "number", "ids"
PAYLOAD, BUCKET = "payload", "bucket"


class Field(NamedTuple):
    """One row.

    ``kind``: ID (a UUID string), TEXT, TIME (integer Unix ms), NANOS (integer ns that a time has
    beyond its ms, absent where there are none), NUMBER (a float, in ms), IDS (a list of UUID
    strings), or an object: BUCKET, whose entries become attributes at vendors, or PAYLOAD,
    which travels encoded. Objects are truncated where a record is too large. ``redacted``: the user
    writes its content, so redactors read it. ``score``: its entries rate the step. ``of_user``: it
    describes the session's user, not the step. ``html``: its place on an exported page, from 1.
    """

    name: str
    kind: str
    redacted: bool = False
    score: bool = False
    of_user: bool = False
    html: int = 0


FIELDS = (
    Field("event_id", ID),
    Field("session_id", ID),
    Field("parent_id", ID),
    Field("event_type", TEXT),
    Field("event_name", TEXT, redacted=True),
    Field("source", TEXT),
    Field("start_time", TIME),
    Field("start_nanos", NANOS),
    Field("end_time", TIME),
    Field("duration", NUMBER),
    Field("inputs", PAYLOAD, redacted=True, html=1),
    Field("outputs", PAYLOAD, redacted=True, html=2),
    Field("config", BUCKET, redacted=True, html=3),
    Field("metadata", BUCKET, redacted=True, html=7),
    Field("metrics", BUCKET, redacted=True, score=True, html=4),
    Field("feedback", BUCKET, redacted=True, score=True, html=5),
    Field("user_properties", BUCKET, redacted=True, of_user=True, html=6),
    Field("error", TEXT, redacted=True),
    Field("children_ids", IDS),
)

EVENT_FIELDS = tuple(field.name for field in FIELDS)
"""Every field that a body may have, in the order they are written. Absent fields are left out."""

BUCKETS = tuple(field.name for field in FIELDS if field.kind in (PAYLOAD, BUCKET))
"""The fields that are objects."""

PAYLOADS = tuple(field.name for field in FIELDS if field.kind == PAYLOAD)
"""The objects that travel encoded."""

ATTRIBUTES = tuple(field.name for field in FIELDS if field.kind == BUCKET)
"""The objects whose entries become attributes or properties at vendors."""

STEP_ATTRIBUTES = tuple(
    field.name for field in FIELDS if field.kind == BUCKET and not field.of_user
)
"""Those of them that describe the step."""

SCORES = tuple(field.name for field in FIELDS if field.score)
"""The objects whose entries rate a step."""

REDACTED = frozenset(field.name for field in FIELDS if field.redacted)
"""The fields that redactors read."""

HTML_SECTIONS = tuple(
    field.name for field in sorted(FIELDS, key=lambda field: field.html) if field.html
)
"""The fields that an exported page shows, in its order."""


def is_measure(name: str) -> bool:
    """Whether an entry of ``metrics`` measures time, size or cost, and so is not a score."""
    return name in _MEASURES or name.endswith(_MEASURE_ENDS)
