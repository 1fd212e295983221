"""Records of what vendors' clients send: defaults, ids, times.

Pure functions but for the clock, no thread owns them. Invariant: whatever the request holds, the
result is a valid record, its body beginning with its ids.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import orjson

from sessiontrace.model.fields import EVENT_FIELDS
from sessiontrace.model.ids import SESSION_NAMESPACE, is_uuid, now_ns, session_uuid
from sessiontrace.model.json_depth import RECORD_DEPTH_MAX, TOO_DEEP, is_too_deep
from sessiontrace.model.record import END, UPDATE, Record
from sessiontrace.server.http import RequestRejected
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.protocol import Store

__all__ = [
    "build_decoded",
    "build_record",
    "encode_checked",
    "find_session",
    "iso",
    "moment",
    "new_sessions",
    "now_ms",
    "number",
    "own_id",
    "patch",
    "session",
    "session_id_for",
    "times_of_ns",
    "whole_times",
]

_LATEST_MS = 1 << 53
_MS_NS = 1_000_000
_LATEST_NS = _LATEST_MS * _MS_NS - 1
_FRACTION = re.compile(r"(?<=\.)(\d+)")


def now_ms() -> int:
    """Unix ms."""
    return now_ns() // 1_000_000


def build_record(kind: bytes, fields: Mapping[str, Any]) -> Record:
    """A record of ``fields``, in the order that every record has; None values are left out."""
    body = {name: value for name in EVENT_FIELDS if (value := fields.get(name)) is not None}
    return Record(kind, b"*", encode_checked(body))


def build_decoded(kind: bytes, fields: dict[str, Any]) -> DecodedRecord:
    """As ``build_record``, for batches: the store need not decode the record again."""
    body = {name: value for name in EVENT_FIELDS if (value := fields.get(name)) is not None}
    return DecodedRecord(kind, body, encode_checked(body).decode())


def session(session_id: str, at: int, **fields: Any) -> Record:
    """The session itself, as a client describes it; its end time follows from its last event."""
    head = {"event_id": session_id, "session_id": session_id, "event_type": "session"}
    return build_record(END, {**head, "start_time": at, "inputs": {}, **fields})


def patch(event_id: str, session_id: str, changes: Mapping[str, Any]) -> Record:
    """A late change of an event or session."""
    body = {"event_id": event_id, "session_id": session_id, **changes}
    return Record(UPDATE, b"*", encode_checked(body))


def encode_checked(body: Mapping[str, Any]) -> bytes:
    """A record's JSON; ``RequestRejected`` where a response could not write it back."""
    try:
        text = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        if is_too_deep(body, RECORD_DEPTH_MAX):
            raise RequestRejected(400, f"an event is {TOO_DEEP}") from error
        text = orjson.dumps(_in_64_bits(body))  # sums of counts that a sender made up
    brackets = text.count(b"{") + text.count(b"[")  # a text with fewer cannot be that deep
    if brackets > RECORD_DEPTH_MAX and is_too_deep(body, RECORD_DEPTH_MAX):
        raise RequestRejected(400, f"an event is {TOO_DEEP}")
    return text


def _in_64_bits(value: Any) -> Any:
    """The value with integers beyond 64 bits, which JSON's readers refuse, as floats."""
    if isinstance(value, dict):
        return {key: _in_64_bits(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_64_bits(item) for item in value]
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        return float(value)
    return value


def find_session(store: Store, session_id: str) -> Mapping[str, Any] | None:
    """A session's own record; None where at most events of it have arrived."""
    stored = store.session(session_id, 1)
    if stored is None or "start_time" not in stored.record:
        return None
    return store.record(session_id)


def new_sessions(store: Store, sessions: Mapping[str, Record]) -> list[Record]:
    """Those of ``sessions``, by id, that the store does not have yet."""
    stored = store.sessions_known(sessions)
    return [record for session_id, record in sessions.items() if session_id not in stored]


def session_id_for(text: str) -> tuple[str, dict[str, Any]]:
    """The session id for a client's own id, and the metadata with the original."""
    if is_uuid(text):
        return text.lower(), {}
    return session_uuid(text), {"session_id": text}


def own_id(*parts: str) -> str:
    """A stable UUID for a client's own names."""
    return str(uuid.uuid5(SESSION_NAMESPACE, "\n".join(parts)))


def number(value: Any) -> float | None:
    """The value if it is a number below 2**53 and not a bool, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < _LATEST_MS else None


def whole_times(
    start: float | None, end: float | None, duration: float | None, now: int
) -> dict[str, Any]:
    """``start_time``, ``end_time`` and ``duration`` in ms; the others give a missing one."""
    if start is None and end is not None:
        start = end - (duration or 0.0)
    if start is None:
        start = now - (duration or 0.0)
    start = min(max(start, 0.0), _LATEST_MS - 1)
    if end is None and duration is not None:
        end = start + duration
    if end is None:
        return {"start_time": int(start)}
    end = min(max(end, start), _LATEST_MS - 1)
    duration = end - start if duration is None else max(duration, 0.0)
    return {"start_time": int(start), "end_time": int(end), "duration": float(duration)}


def times_of_ns(start_ns: int, end_ns: int) -> dict[str, Any]:
    """The times of a record, from Unix ns, exactly."""
    if not 0 <= start_ns <= end_ns <= _LATEST_NS:
        start_ns = min(max(start_ns, 0), _LATEST_NS)
        end_ns = min(max(end_ns, start_ns), _LATEST_NS)
    start, nanos = divmod(start_ns, _MS_NS)
    return {
        "start_time": start,
        "start_nanos": nanos or None,
        "end_time": end_ns // _MS_NS,
        "duration": (end_ns - start_ns) / _MS_NS,
    }


def moment(value: Any) -> float | None:
    """Unix ms of an ISO 8601 text (UTC where it has no offset); None for anything else."""
    if not isinstance(value, str):
        return None
    text = value.strip().upper().replace("Z", "+00:00")
    # Python 3.10 reads fractions of six digits only.
    text = _FRACTION.sub(lambda match: f"{match[1]:0<6.6}", text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    try:
        return parsed.timestamp() * 1000
    except (OverflowError, ValueError):
        return None


def iso(ms: float) -> str:
    """Unix ms as ISO 8601 in UTC."""
    at = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
