"""Records as the columns that are inserted for events, sessions, turns and late updates.

Pure functions except for the clock. Invariant: a row depends on its record alone, so that every
replica makes the same row of the same record.
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
from sessiontrace.store.clickhouse.documents import StoredVersion
from sessiontrace.store.facets import facets_of
from sessiontrace.store.folding import DecodedRecord, EventState, SessionState
from sessiontrace.store.gathered import CALL, FOLDED, GATHERED, resolve
from sessiontrace.store.judging.entries import JUDGEMENTS, facets_of_entries
from sessiontrace.store.judging.history import noted
from sessiontrace.store.models import Document
from sessiontrace.store.search_text import text_of

__all__ = [
    "EVENT_ROLE",
    "HIDES",
    "SESSION_ROLE",
    "SHOWS_NOTHING",
    "TURN_ROLE",
    "Columns",
    "documents",
    "events",
    "patches",
]

SESSION_ROLE, EVENT_ROLE, TURN_ROLE = 0, 1, 2
SHOWS_NOTHING, SHOWS, HIDES, HIDES_NO_MORE = 0, 1, 2, 3
"""What an update does (``matters``): to a list or a tree, and to the event itself."""

_EVENT_COLUMNS = (
    "project", "session_id", "event_id", "day", "role", "rank", "start_time", "end_time",
    "duration", "parent_id", "type", "model", "name", "status", "error", "tokens", "cost_nano",
    "unpriced", "first_chunk", "scores", "told", "folded", "facets", "body",
    "text",
)  # fmt: skip
_PATCH_COLUMNS = (
    "project", "session_id", "event_id", "content", "at", "month", "matters", "failed", "folded",
    "facets", "body", "text",
)  # fmt: skip
_NOTE_COLUMNS = ("project", "kind", "id", "at", "body", "gone", "version")
_NO_VERSION = StoredVersion(0, None)

_DAY_MS = 86_400_000
_RECENT_DAYS = 35
_OLDEST_DAYS = 10 * 366
_UNKNOWN = "1970-01-01"
# Fields that a list or a tree shows; other late changes appear only in the record.
_SHOWN = frozenset(
    {"event_name", "event_type", "parent_id", "source", "error", "start_time", "end_time",
     "duration", "user_properties", "feedback", "metrics"}
)  # fmt: skip
_SHOWN_WITHIN = frozenset(
    {"abandoned", "cached", "cancelled", "total_tokens", "prompt_tokens", "input_tokens",
     "completion_tokens", "output_tokens", "cost", "total_cost", "prompt_cost",
     "completion_cost", "output_cost", "cache_read_tokens", "cache_write_tokens"}
)  # fmt: skip

_CALL, _FOLDED = CALL + " ", FOLDED + " "

Columns = Mapping[str, Sequence[Any]]


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Columns:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def events(project: str, decoded: Sequence[DecodedRecord]) -> Columns:
    """The columns of records that describe events, turns or sessions."""
    days = _Days()
    return _columns(_EVENT_COLUMNS, [_row(project, record, days) for record in decoded])


def _row(project: str, record: DecodedRecord, days: _Days) -> tuple[Any, ...]:
    if record.of_session:
        return _session_row(project, record, days)
    event = record.event
    state = EventState(event["event_id"], event["session_id"])
    state.apply(record)
    start, call = state.start_time or 0, state.call()
    turns, folded = ("", ()) if record.kind == EVENT else _of_turn(record)
    return (
        project, state.session_id, state.event_id, days.of(start),
        EVENT_ROLE if record.kind == EVENT else TURN_ROLE, state.rank, start, state.end_time,
        state.duration, state.parent_id, state.type, call.model if call else "",
        state.name, state.status, state.error,
        state.tokens, state.cost_nano, state.unpriced,
        summary_fields.first_chunk_ms(event), summary_fields.scores_nano(event), turns, folded,
        facets_of(record.kind, event), record.body, text_of(state.name, event),
    )  # fmt: skip


def _session_row(project: str, record: DecodedRecord, days: _Days) -> tuple[Any, ...]:
    event = record.event
    state = SessionState(event["session_id"])
    state.apply(record)
    state.summarize()
    own = state.own
    folded = _folded(own["name"], own["user"], own["source"])
    own_json = orjson.dumps([own, state.rank]).decode()
    return (
        project, state.session_id, state.session_id, days.of(own["start"]), SESSION_ROLE,
        state.rank, own["start"], own["end"], own["duration"], None, "session", "",
        own["name"] or "", own["status"], own["error"], 0, 0, 0, None, {}, own_json, folded,
        facets_of(record.kind, event), record.body, text_of(own["name"], event),
    )  # fmt: skip


def _of_turn(record: DecodedRecord) -> tuple[str, Sequence[str]]:
    """What a turn says of its session, as JSON, and the words that find the session."""
    state = SessionState(record.event["session_id"])
    state.apply_turn(record)
    first, last, user = state.first_turn, state.last_turn, state.last_user
    assert first is not None
    assert last is not None
    turns = orjson.dumps([[*first], [*last], [*user] if user else None]).decode()
    return turns, _folded(first.name, user.text if user else None, first.source)


def _folded(*words: str | None) -> list[str]:
    return [word.casefold() for word in words if word]


def patches(project: str, decoded: Sequence[DecodedRecord]) -> Columns:
    """The columns of late updates; the table keeps the last of equal ones."""
    assert all(record.kind == UPDATE for record in decoded)
    arrived = time.time_ns()
    month = datetime.now(timezone.utc).date().replace(day=1).isoformat()
    return _columns(
        _PATCH_COLUMNS,
        [_patch(project, record, arrived + at, month) for at, record in enumerate(decoded)],
    )


def _patch(project: str, record: DecodedRecord, at: int, month: str) -> tuple[Any, ...]:
    content = _content(record.body)  # as it arrived: a repeated update is the same one
    record = noted(record, at // 1_000_000)
    judgements = record.event.get(JUDGEMENTS)
    event = resolve(record.event)
    user = summary_fields.user(event) if record.of_session else None
    words = (
        summary_fields.text(event.get("event_name")),
        user,
        summary_fields.text(event.get("source")),
    )
    return (
        project, event["session_id"], event["event_id"], content, at, month,
        _effect(event, record.event.get(GATHERED), judgements), int(event.get("error") is not None),
        _folded(*words),
        [*facets_of(record.kind, event), *facets_of_entries(judgements)], record.body,
        text_of(None, event, judgements),
    )  # fmt: skip


def _content(body: str) -> int:
    """A hash of an update, so that the table keeps a repeated one once."""
    return int.from_bytes(hashlib.blake2b(body.encode(), digest_size=8).digest(), "big")


def _effect(event: Mapping[str, Any], parts: Any, judgements: Any) -> int:
    """Whether an update changes what a list or a tree of steps shows, or hides the event."""
    if isinstance(parts, dict) and (marks := [key for key in parts if key.startswith(_FOLDED)]):
        return HIDES if any(parts[mark] is not None for mark in marks) else HIDES_NO_MORE
    if judgements or (isinstance(parts, dict) and any(key.startswith(_CALL) for key in parts)):
        return SHOWS
    if not _SHOWN.isdisjoint(event):
        return SHOWS
    metadata = event.get("metadata", {})
    shows = not isinstance(metadata, dict) or not _SHOWN_WITHIN.isdisjoint(metadata)
    return SHOWS if shows else SHOWS_NOTHING


def documents(
    project: str,
    documents: Sequence[Document],
    stored: Mapping[tuple[str, str], StoredVersion],
) -> Columns:
    """The columns of documents; ``stored`` are the versions of those that are stored already.

    A new version is above the stored one, even where a clock that was ahead has numbered that.
    """
    now = time.time_ns()
    rows: list[tuple[Any, ...]] = []
    for position, document in enumerate(documents):
        last = stored.get((document.kind, document.id), _NO_VERSION)
        rows.append(
            (
                project, document.kind, document.id,
                document.at if last.at is None else last.at,
                "" if document.body is None else orjson.dumps(document.body).decode(),
                int(document.body is None), max(now, last.number + 1) + position,
            )
        )  # fmt: skip
    return _columns(_NOTE_COLUMNS, rows)


class _Days:
    """The partition of a start: its day; the month of an old one; one for impossible dates."""

    def __init__(self) -> None:
        self._today = datetime.now(timezone.utc).date()
        self._made: dict[int, str] = {}

    def of(self, start: int) -> str:
        number = start // _DAY_MS
        partition = self._made.get(number)
        if partition is None:
            partition = self._made[number] = self._partition(number)
        return partition

    def _partition(self, number: int) -> str:
        age = (self._today - date(1970, 1, 1)).days - number
        if not -2 <= age <= _OLDEST_DAYS:
            return _UNKNOWN
        day = date(1970, 1, 1) + timedelta(days=number)
        return (day if age <= _RECENT_DAYS else day.replace(day=1)).isoformat()
