"""Values of a record, as exporters and span writers need them: fields, times, numbers, texts, ids.

Pure functions, no thread owns them. Invariant: whatever a record's fields hold, these return
something legal or None, and never raise for it.
"""

from __future__ import annotations

import functools
import hashlib
import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from sessiontrace.model.record import (
    END,
    OPEN,
    START,
    Record,
    decode_keeping_payloads,
    is_turn,
    turn_event,
)

__all__ = [
    "EMPTY",
    "bucket",
    "compact_json",
    "fields",
    "is_lower_uuid",
    "json_text",
    "lasted_ms",
    "merged",
    "milliseconds",
    "number",
    "payload_of",
    "rfc3339",
    "seconds",
    "stable_uuid",
    "text",
    "v7_ms",
]

_LATEST_MS = 253_402_300_799_000  # the end of year 9999, the last that a timestamp can express
_FRACTIONS = tuple([f".{ms:03d}Z" for ms in range(1000)])
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = uuid.UUID("d3a1a0f7-52f1-5d2f-9c1c-6a4a0a8d7e21")
_SESSION_KINDS = frozenset({START, OPEN, END})
EMPTY = frozenset({b"{}", b"[]", b'""', b"0", b"0.0", b"-0.0", b"false"})
"""Encoded values that say nothing."""


def fields(record: Record) -> dict[str, Any]:
    """A record's fields, decoded except for its inputs and outputs.

    A turn's start or end becomes its chain event, which keeps the properties of the user.
    """
    event = decode_keeping_payloads(record.body)
    if record.kind in _SESSION_KINDS and is_turn(record.body):
        event.setdefault("inputs", b"{}")
        user = event.get("user_properties")
        event = turn_event(event)
        if user is not None:
            event["user_properties"] = user
    return event


def payload_of(event: dict[str, Any], part: str) -> bytes | None:
    """The encoded ``inputs`` or ``outputs``; None where they are empty."""
    encoded: bytes | None = event.get(part)
    return None if encoded in EMPTY else encoded


def merged(below: bytes | None, above: bytes) -> bytes:
    """Encoded inputs with later ones: objects merge, anything else is replaced."""
    if below is None or not below.startswith(b"{") or not above.startswith(b"{"):
        return above
    return orjson.dumps({**orjson.loads(below), **orjson.loads(above)})


# -- single values --------------------------------------------------------------------------


def bucket(event: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the record's objects; empty when it is absent or not an object."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """A text for a name or an error: itself, or its JSON."""
    return value if isinstance(value, str) else json_text(value)


def compact_json(value: Any) -> bytes:
    """A value as JSON, in a copy: the bytes that orjson returns occupy 1 to 4 KiB too much."""
    return b"%b" % orjson.dumps(value)


def json_text(value: Any) -> str:
    """A value as JSON text."""
    return orjson.dumps(value).decode()


def number(value: Any) -> int | float | None:
    """The value if it is a number (not a bool), else None."""
    return value if type(value) is int or type(value) is float else None


def milliseconds(event: dict[str, Any], name: str) -> int | None:
    """One of the record's times as integer Unix ms; None when it is absent or impossible."""
    value = event.get(name)
    if type(value) is not int:  # as our own are
        value = number(value)
    return int(value) if value is not None and 0 <= value <= _LATEST_MS else None


def seconds(event: dict[str, Any]) -> float | None:
    """The duration in seconds, else the difference of the times; None without either."""
    duration = lasted_ms(event)
    return None if duration is None else duration / 1000


def lasted_ms(event: dict[str, Any]) -> float | None:
    """The duration in ms, else the difference of the times; None without either."""
    duration = number(event.get("duration"))
    if duration is not None and duration >= 0:
        return duration
    start, end = milliseconds(event, "start_time"), milliseconds(event, "end_time")
    return None if start is None or end is None else max(0, end - start)


def rfc3339(ms: int) -> str:
    """Unix ms as ``2026-01-02T03:04:05.678Z``."""
    return _second(ms // 1000) + _FRACTIONS[ms % 1000]


@functools.lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat(timespec="seconds")[:19]


def is_lower_uuid(identifier: str) -> bool:
    """Whether it is a UUID in lower case with hyphens."""
    return _UUID.fullmatch(identifier) is not None


def v7_ms(identifier: str) -> int | None:
    """The Unix ms in a UUIDv7; None for any other text."""
    if len(identifier) != 36 or identifier[14] != "7":
        return None
    try:
        ms = int(identifier[:8] + identifier[9:13], 16)
    except ValueError:
        return None
    return ms if 0 <= ms <= _LATEST_MS else None


def stable_uuid(body: bytes, label: str = "") -> str:
    """A UUID derived from a record's body: the same at every replay."""
    return str(uuid.uuid5(_NAMESPACE, hashlib.sha256(body).hexdigest() + label))
