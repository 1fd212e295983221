"""Records as columns: what is inserted for events, sessions, turns and late updates.

Pure functions but for the clock. Invariant: a row says of its record alone, whatever else is known
of the event or session, so that any replica makes the same row of the same record.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import orjson

from sessiontrace.model.record import EVENT, UPDATE
from sessiontrace.store import summary_fields
from sessiontrace.store.folding import DecodedRecord, EventState, SessionState
from sessiontrace.store.models import Document
from sessiontrace.store.search_text import text_of

__all__ = [
    "EVENT_ROLE",
    "SESSION_ROLE",
    "TURN_ROLE",
    "Columns",
    "events",
    "notes",
    "patches",
]

SESSION_ROLE, EVENT_ROLE, TURN_ROLE = 0, 1, 2

_EVENT_COLUMNS = (
    "project", "session_id", "event_id", "day", "role", "rank", "start_time", "end_time",
    "duration", "parent_id", "type", "name", "status", "error", "tokens", "cost_nano",
    "first_chunk", "scores", "told", "folded", "body", "text",
)  # fmt: skip
_PATCH_COLUMNS = (
    "project", "session_id", "event_id", "content", "at", "month", "matters", "failed", "folded",
    "body", "text",
)  # fmt: skip
_NOTE_COLUMNS = ("project", "kind", "id", "at", "body", "gone", "version")

_DAY_MS = 86_400_000
_RECENT_DAYS = 35
_OLDEST_DAYS = 10 * 366
_UNKNOWN = "1970-01-01"
# What a list or a tree shows of an event or a session; other late changes are seen in its record.
_SHOWN = frozenset(
    {"event_name", "event_type", "parent_id", "source", "error", "start_time", "end_time",
     "duration", "user_properties", "feedback", "metrics"}
)  # fmt: skip
_SHOWN_WITHIN = frozenset(
    {"abandoned", "cancelled", "total_tokens", "prompt_tokens", "input_tokens",
     "completion_tokens", "output_tokens", "cost", "total_cost"}
)  # fmt: skip

Columns = Mapping[str, Sequence[Any]]


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Columns:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def events(project: str, decoded: Sequence[DecodedRecord]) -> Columns:
    """The columns of records that describe events, turns or sessions."""
    days = _Days()
    return _columns(_EVENT_COLUMNS, [_row(project, one, days) for one in decoded])


def _row(project: str, one: DecodedRecord, days: _Days) -> tuple[Any, ...]:
    if one.of_session:
        return _session_row(project, one, days)
    event = one.event
    state = EventState(event["event_id"], event["session_id"])
    state.apply(one)
    start = state.start_time or 0
    told, folded = ("", ()) if one.kind == EVENT else _of_turn(one)
    return (
        project, state.session_id, state.event_id, days.of(start),
        EVENT_ROLE if one.kind == EVENT else TURN_ROLE, state.rank, start, state.end_time,
        state.duration, state.parent_id, state.type, state.name, state.status, state.error,
        state.tokens, state.cost_nano,
        _first_chunk(event), summary_fields.scores_nano(event), told, folded, one.body,
        text_of(state.name, event),
    )  # fmt: skip


def _first_chunk(event: dict[str, Any]) -> float | None:
    found = summary_fields.bucket(event, "metrics").get("time_to_first_chunk_ms")
    return float(found) if isinstance(found, (int, float)) and found >= 0 else None


def _session_row(project: str, one: DecodedRecord, days: _Days) -> tuple[Any, ...]:
    event = one.event
    state = SessionState(event["session_id"])
    state.apply(one)
    own = state.own
    folded = _folded(own["name"], own["user"], own["source"])
    told = orjson.dumps([own, state.rank]).decode()
    return (
        project, state.session_id, state.session_id, days.of(own["start"]), SESSION_ROLE,
        state.rank, own["start"], own["end"], own["duration"], None, "session",
        own["name"] or "", own["status"], own["error"], 0, 0, None, {}, told, folded, one.body,
        text_of(own["name"], event),
    )  # fmt: skip


def _of_turn(one: DecodedRecord) -> tuple[str, Sequence[str]]:
    """What a turn tells of its session, and the words by which the session is found."""
    state = SessionState(one.event["session_id"])
    state.apply_turn(one)
    first, last, user = state.first_turn, state.last_turn, state.last_user
    assert first is not None
    assert last is not None
    told = orjson.dumps([[*first], [*last], [*user] if user else None]).decode()
    return told, _folded(first.name, user.text if user else None, first.source)


def _folded(*words: str | None) -> list[str]:
    return [word.casefold() for word in words if word]


def patches(project: str, decoded: Sequence[DecodedRecord]) -> Columns:
    """The columns of late updates; of equal ones the last is kept."""
    assert all(one.kind == UPDATE for one in decoded)
    arrived = time.time_ns()
    month = datetime.now(timezone.utc).date().replace(day=1).isoformat()
    return _columns(
        _PATCH_COLUMNS,
        [_patch(project, one, arrived + at, month) for at, one in enumerate(decoded)],
    )


def _patch(project: str, one: DecodedRecord, at: int, month: str) -> tuple[Any, ...]:
    event = one.event
    user = summary_fields.user(event) if one.of_session else None
    words = (
        summary_fields.text(event.get("event_name")),
        user,
        summary_fields.text(event.get("source")),
    )
    return (
        project, event["session_id"], event["event_id"], _content(one.body), at, month,
        int(_matters(event)), int(event.get("error") is not None), _folded(*words), one.body,
        text_of(None, event),
    )  # fmt: skip


def _content(body: str) -> int:
    """A number for what an update says, so that the same one again is kept once."""
    return int.from_bytes(hashlib.blake2b(body.encode(), digest_size=8).digest(), "big")


def _matters(event: Mapping[str, Any]) -> bool:
    """Whether an update changes what a list or a tree of steps shows."""
    if not _SHOWN.isdisjoint(event):
        return True
    held = event.get("metadata", {})
    return not isinstance(held, dict) or not _SHOWN_WITHIN.isdisjoint(held)


def notes(project: str, given: Sequence[Document], since: Mapping[tuple[str, str], int]) -> Columns:
    """The columns of notes; ``since`` are the times of those that are there already."""
    version = time.time_ns()
    return _columns(
        _NOTE_COLUMNS,
        [
            (
                project, one.kind, one.id, since.get((one.kind, one.id), one.at),
                "" if one.body is None else orjson.dumps(one.body).decode(),
                int(one.body is None), version + at,
            )
            for at, one in enumerate(given)
        ],
    )  # fmt: skip


class _Days:
    """The partition of a start: its day; of what is old, its month; of what cannot be, one."""

    def __init__(self) -> None:
        self._today = datetime.now(timezone.utc).date()
        self._made: dict[int, str] = {}

    def of(self, start: int) -> str:
        number = start // _DAY_MS
        found = self._made.get(number)
        if found is None:
            found = self._made[number] = self._partition(number)
        return found

    def _partition(self, number: int) -> str:
        age = (self._today - date(1970, 1, 1)).days - number
        if not -2 <= age <= _OLDEST_DAYS:
            return _UNKNOWN
        day = date(1970, 1, 1) + timedelta(days=number)
        return (day if age <= _RECENT_DAYS else day.replace(day=1)).isoformat()
