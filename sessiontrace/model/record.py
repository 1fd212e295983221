"""The record: a finished (or just opened) step as bytes.

Pure values, no thread owns them. A record's body is one JSON object on one line that always opens
with ``{"event_id":"<36 chars>","session_id":"<36 chars>"``, so that both ids can be cut out
without decoding. That opening is the invariant every module downstream relies on.

Kinds:

=======  ==========================================================================================
start    a session (or a turn of a conversation) opened
open     a ``start`` repeated at the head of a later segment, because the session is still open
event    a finished span: exactly a legal HoneyHive ``PostEventRequest``
end      a session (or turn), whole: everything of its ``start`` and what came after
update   a later score or merge: ``event_id`` names the event or session, the rest is to be merged
=======  ==========================================================================================

``start``, ``open`` and ``end`` have ``event_type`` "session". Where their ``event_id`` equals their
``session_id`` they speak of the session itself. Where it differs the session was opened with the
caller's own id: it is a conversation, and ``event_id`` names this *turn*, a chain event under the
session.

``inputs`` and ``outputs`` may each be between two tabs (``"inputs":<TAB>{...}<TAB>``) where they
are objects. No JSON text contains a raw tab and orjson writes none between its tokens, so
``decode_keeping_payloads`` cuts them out by looking for tabs alone. A body without tabs has the
same meaning and costs a decoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson

from sessiontrace.model.fields import EVENT_FIELDS, PAYLOADS

__all__ = [
    "END",
    "EVENT",
    "KINDS",
    "OPEN",
    "START",
    "UPDATE",
    "Record",
    "Records",
    "abandoned_end",
    "decode_keeping_payloads",
    "event_id_of",
    "is_turn",
    "session_id_of",
    "turn_event",
]

START = b"start"
OPEN = b"open"
EVENT = b"event"
END = b"end"
UPDATE = b"update"

KINDS = frozenset({START, OPEN, EVENT, END, UPDATE})
"""All kinds that this version knows."""


class Record(NamedTuple):
    """One framed record, as read back from a spool."""

    kind: bytes
    route: bytes
    body: bytes


_record = partial(tuple.__new__, Record)


class Records(Sequence[Record]):
    """Many records side by side: a column of kinds, of routes and of bodies.

    The garbage collector does not track bytes in lists, but it tracks a tuple for each record: a
    batch of tuples would make it scan the whole application.
    """

    __slots__ = ("bodies", "kinds", "routes")

    def __init__(
        self,
        kinds: list[bytes] | None = None,
        routes: list[bytes] | None = None,
        bodies: list[bytes] | None = None,
    ) -> None:
        self.kinds: list[bytes] = [] if kinds is None else kinds
        self.routes: list[bytes] = [] if routes is None else routes
        self.bodies: list[bytes] = [] if bodies is None else bodies

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """A column form of these records."""
        columns = cls()
        columns.extend(records)
        return columns

    def append(self, record: Record) -> None:
        """Add a record at the end."""
        kind, route, body = record
        self.kinds.append(kind)
        self.routes.append(route)
        self.bodies.append(body)

    def extend(self, records: Iterable[Record]) -> None:
        """Add all of these at the end."""
        if isinstance(records, Records):
            self.kinds += records.kinds
            self.routes += records.routes
            self.bodies += records.bodies
        else:
            for record in records:
                self.append(record)

    def __len__(self) -> int:
        return len(self.bodies)

    def __iter__(self) -> Iterator[Record]:
        return map(_record, zip(self.kinds, self.routes, self.bodies, strict=True))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Records(self.kinds[index], self.routes[index], self.bodies[index])
        return Record(self.kinds[index], self.routes[index], self.bodies[index])

    def __setitem__(self, index: int, record: Record) -> None:
        self.kinds[index], self.routes[index], self.bodies[index] = record


def event_id_of(body: bytes) -> bytes:
    """The event id of a record's body, without decoding it."""
    return body[13:49]


def session_id_of(body: bytes) -> bytes:
    """The session id of a record's body, without decoding it."""
    return body[65:101]


def is_turn(body: bytes) -> bool:
    """Whether a start, open or end body is a turn of a conversation (its ids differ)."""
    return body[13:49] != body[65:101]


def decode_keeping_payloads(body: bytes) -> dict[str, Any]:
    """A body's fields, decoded, but ``inputs`` and ``outputs`` as the JSON they were encoded to.

    Either of these two is absent where it is null.
    """
    first = body.find(b"\t")
    if first < 0:
        return _decoded(body)
    end = body.find(b"\t", first + 1)
    second = body.find(b"\t", end + 1)
    name = "inputs" if body.startswith(b'"inputs":', first - 9) else "outputs"
    fields: dict[str, Any]
    if second < 0:
        fields = orjson.loads(b"%b0%b" % (body[:first], body[end + 1 :]))
    else:
        last = body.find(b"\t", second + 1)
        pieces = body[:first], body[end + 1 : second], body[last + 1 :]
        fields = orjson.loads(b"%b0%b0%b" % pieces)
        fields["outputs" if name == "inputs" else "inputs"] = body[second + 1 : last]
    fields[name] = body[first + 1 : end]
    return fields


def _decoded(body: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(body)
    for name in PAYLOADS:
        if (value := fields.pop(name, None)) is not None:
            # A copy: the bytes that orjson returns keep its buffer of 4 KiB alive.
            fields[name] = b"%b" % orjson.dumps(value)
    return fields


def turn_event(end: dict[str, Any]) -> dict[str, Any]:
    """The chain event of a turn, from its decoded ``end``."""
    return {
        **{name: value for name, value in end.items() if name != "user_properties"},
        "parent_id": end["session_id"],
        "event_type": "chain",
        "inputs": end.get("inputs", {}),
    }


def abandoned_end(start_body: bytes, last_ms: int) -> bytes:
    """The ``end`` that recovery writes for a session whose process died before ending it.

    ``last_ms``: the time of the dead process's last record in this session (Unix ms). The same
    arguments always give the same bytes, so every recovery delivers the same record.
    """
    end = orjson.loads(start_body)
    end["end_time"] = max(last_ms, end["start_time"])
    end["duration"] = float(end["end_time"] - end["start_time"])
    end["metadata"] = {**end.get("metadata", {}), "abandoned": True}
    return orjson.dumps({name: end[name] for name in EVENT_FIELDS if name in end})
