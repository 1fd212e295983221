"""What records mean to a store: pure rules that fold them into rows, whatever their order.

No thread owns it and nothing here touches SQLite. Invariant: of several records that describe one
event or session the one of highest rank wins (end or event over abandoned end over start; of equal
rank the later end, then the greater bytes), and updates lie on top of it. So records may come
twice and in any order and give the same rows. Only updates of one key are in order of arrival.
"""

from __future__ import annotations

from operator import sub
from typing import Any, NamedTuple

import attrs
import orjson

from sessiontrace.model.fields import SCORES
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record, turn_event
from sessiontrace.store import models, summary_fields

__all__ = ["DecodedRecord", "EventState", "SessionState", "apply_patch", "decode", "fold"]

_RANKS = {START: 1, OPEN: 1, END: 3, EVENT: 3}
_ABANDONED_RANK = 2

Tally = tuple[int, int, int, int, int, int]
"""What one event adds to its session: events, errors, models, tokens, cost_nano, open turns."""

_NOTHING: Tally = (0, 0, 0, 0, 0, 0)
_UNSCORED: dict[str, int] = {}

_SCORES = 50  # names of scores that a session's steps may bring, the first by their order


class DecodedRecord(NamedTuple):
    """A legal record, decoded: ``event`` are its fields, ``body`` the same as JSON text."""

    kind: bytes
    event: dict[str, Any]
    body: str

    @property
    def of_session(self) -> bool:
        """Whether it speaks of the session itself rather than of an event or turn."""
        return self.kind != EVENT and bool(self.event["event_id"] == self.event["session_id"])

    @property
    def rank(self) -> int:
        if self.kind == END and summary_fields.status(self.event) == models.ABANDONED:
            return _ABANDONED_RANK
        return _RANKS[self.kind]


def decode(record: Record | DecodedRecord) -> DecodedRecord | str:
    """The record decoded, or why it is none that a store can keep."""
    if isinstance(record, DecodedRecord):  # by the server, which made it
        return record
    try:
        text = record.body.decode()
        event = orjson.loads(text)
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        return "no JSON"
    if not isinstance(event, dict):
        return "no JSON object"
    for name in ("event_id", "session_id"):
        if not isinstance(event.get(name), str) or not event[name]:
            return f"no {name}"
    if record.kind == UPDATE:
        return DecodedRecord(record.kind, event, text)
    if record.kind not in _RANKS:
        return f"unknown kind {record.kind.decode(errors='replace')}"
    if summary_fields.time(event, "start_time") is None:
        return "no start_time"
    return DecodedRecord(record.kind, event, text)


def apply_patch(event: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """``event`` with ``patch`` on top: metadata and the like merge by key, the rest replaces."""
    merged = dict(event)
    for name, value in patch.items():
        below = merged.get(name)
        if name != "outputs" and isinstance(value, dict) and isinstance(below, dict):
            merged[name] = {**below, **value}
        else:
            merged[name] = value
    return merged


def _amended(patch: str | None, event: dict[str, Any]) -> str:
    changes = {name: event[name] for name in event if name not in ("event_id", "session_id")}
    below = orjson.loads(patch) if patch else {}
    return orjson.dumps(apply_patch(below, changes)).decode()


def _status(event: dict[str, Any], rank: int) -> str:
    return summary_fields.status(event) if rank > 1 else models.OPEN


def _supersedes(event: dict[str, Any], body: str, over: str) -> bool:
    """Of two records of equal rank (a repetition, as a rule), whether this one is to stay."""
    if body == over:
        return False
    other = orjson.loads(over)
    return (summary_fields.time(event, "end_time") or 0, body) > (
        summary_fields.time(other, "end_time") or 0,
        over,
    )


@attrs.define
class EventState:
    """One row of the table of events. Of rank 0 when only updates of it were seen."""

    event_id: str
    session_id: str
    parent_id: str | None = None
    type: str = ""
    name: str = ""
    start_time: int | None = None
    end_time: int | None = None
    duration: float | None = None
    status: str = models.OPEN
    turn: bool = False
    error: str | None = None
    tokens: int = 0
    cost_nano: int = 0
    rank: int = 0
    body: str | None = None
    patch: str | None = None
    _scores: dict[str, int] | None = None

    def tally(self) -> Tally:
        """What this event adds to its session."""
        if not self.rank:
            return _NOTHING
        return (
            1,
            0 if self.error is None else 1,
            1 if self.type == "model" else 0,
            self.tokens,
            self.cost_nano,
            1 if self.turn and self.rank == 1 else 0,
        )

    def scores_nano(self) -> dict[str, int]:
        """What this event was judged with."""
        if self._scores is None:  # a row that was read, and not folded into yet
            self._scores = self._scores_read()
        return self._scores

    def _scores_read(self) -> dict[str, int]:
        if self.body is None or not any(
            f'"{name}"' in text for text in (self.body, self.patch or "") for name in SCORES
        ):
            return {}
        event = orjson.loads(self.body)
        return summary_fields.scores_nano(
            apply_patch(event, orjson.loads(self.patch)) if self.patch else event
        )

    def take(self, decoded: DecodedRecord) -> None:
        """Fold a record of this event in."""
        if decoded.kind == UPDATE:
            self.patch = _amended(self.patch, decoded.event)
            if self.body is not None:
                self._show(orjson.loads(self.body))
            return
        rank, event, body = decoded.rank, decoded.event, decoded.body
        if rank < self.rank or (
            rank == self.rank and self.body is not None and not _supersedes(event, body, self.body)
        ):
            return
        self.rank, self.body, self.turn = rank, body, decoded.kind != EVENT
        self._show(event)

    def _show(self, event: dict[str, Any]) -> None:
        """Set the columns that summarise the event from its fields."""
        if self.turn:
            event = turn_event(event)
        if self.patch:
            event = apply_patch(event, orjson.loads(self.patch))
        start = summary_fields.time(event, "start_time") or 0
        self.parent_id = summary_fields.text(event.get("parent_id"))
        self.type = summary_fields.text(event.get("event_type")) or "chain"
        self.name = summary_fields.text(event.get("event_name")) or "unknown"
        self.start_time, self.end_time = start, summary_fields.time(event, "end_time")
        self.duration = summary_fields.duration(event, start, self.end_time)
        self.status = _status(event, self.rank)
        self.error = summary_fields.error(event)
        self._scores = summary_fields.scores_nano(event)
        if self.type == "model":
            self.tokens = summary_fields.tokens(event)
            self.cost_nano = summary_fields.cost_nano(event)


@attrs.define
class SessionState:
    """One row of the table of sessions, and what is needed to fold more records into it."""

    session_id: str
    name: str | None = None
    source: str | None = None
    user: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    duration: float | None = None
    status: str = models.OPEN
    error: str | None = None
    scores: dict[str, float] = attrs.field(factory=dict)
    tally: Tally = _NOTHING
    rank: int = 0
    own: dict[str, Any] = attrs.field(factory=dict)
    """Of its own record: name, source, user, start, end, duration, status, error, scores."""
    scored: dict[str, list[int]] = attrs.field(factory=dict)
    """Of its events' scores, by name: their sum in 10**-9, and how many they are."""
    first_turn: list[Any] | None = None  # start, event id, name, source
    last_turn: list[Any] | None = None  # start, event id, rank, status
    last_user: list[Any] | None = None  # start, event id, rank, user
    turns_end: int | None = None
    seen: list[int] | None = None  # first start and last end of any event
    body: str | None = None
    patch: str | None = None
    touched: bool = False  # body or patch changed

    def take(self, decoded: DecodedRecord) -> None:
        """Fold a record of the session itself in."""
        if decoded.kind == UPDATE:
            self.patch = _amended(self.patch, decoded.event)
        else:
            rank, event, body = decoded.rank, decoded.event, decoded.body
            if rank < self.rank or (
                rank == self.rank
                and self.body is not None
                and not _supersedes(event, body, self.body)
            ):
                return
            self.rank, self.body = rank, body
        self.touched = True
        event = orjson.loads(self.body) if self.body else {}
        if self.patch:
            event = apply_patch(event, orjson.loads(self.patch))
        start, end = (
            summary_fields.time(event, "start_time"),
            summary_fields.time(event, "end_time"),
        )
        self.own = {
            "name": summary_fields.text(event.get("event_name")),
            "source": summary_fields.text(event.get("source")),
            "user": summary_fields.user(event),
            "start": start,
            "end": end,
            "duration": None if start is None else summary_fields.duration(event, start, end),
            "status": _status(event, self.rank) if self.rank else None,
            "error": summary_fields.error(event),
            "scores": summary_fields.scores_nano(event),
        }

    def take_turn(self, decoded: DecodedRecord) -> None:
        """Note what a turn of a conversation tells of its session."""
        event, rank = decoded.event, decoded.rank
        start, event_id = summary_fields.time(event, "start_time") or 0, event["event_id"]
        first = [
            start,
            event_id,
            summary_fields.text(event.get("event_name")),
            summary_fields.text(event.get("source")),
        ]
        if self.first_turn is None or first[:2] < self.first_turn[:2]:
            self.first_turn = first
        last = [start, event_id, rank, _status(event, rank)]
        if self.last_turn is None or last[:3] > self.last_turn[:3]:
            self.last_turn = last
        user = [start, event_id, rank, summary_fields.user(event)]
        if user[3] and (self.last_user is None or user[:3] > self.last_user[:3]):
            self.last_user = user
        end = summary_fields.time(event, "end_time")
        if end is not None:
            self.turns_end = max(end, self.turns_end or 0)

    def count(self, before: Tally, event: EventState) -> None:
        """Add what an event adds now, and take away what it added before."""
        a, b, c, d, e, f = self.tally
        u, v, w, x, y, z = event.tally()
        if before is not _NOTHING:
            u, v, w, x, y, z = map(sub, (u, v, w, x, y, z), before)
        self.tally = (a + u, b + v, c + w, d + x, e + y, f + z)
        start = event.start_time
        if start is None:
            return
        end = event.end_time or start
        seen = self.seen
        if seen is None:
            self.seen = [start, end]
            return
        if start < seen[0]:
            seen[0] = start
        if end > seen[1]:
            seen[1] = end

    def rate(self, before: dict[str, int], scores: dict[str, int]) -> None:
        """Add an event's scores, and take away those it had before."""
        if before == scores:
            return
        for sign, held in ((-1, before), (1, scores)):
            for name, nano in held.items():
                known = self.scored.setdefault(name, [0, 0])
                known[0] += sign * nano
                known[1] += sign
        kept = sorted(name for name, (_, count) in self.scored.items() if count > 0)[:_SCORES]
        self.scored = {name: self.scored[name] for name in kept}

    def discount(self, event: EventState) -> None:
        """Take away what a deleted event added."""
        self.rate(event.scores_nano(), {})
        a, b, c, d, e, f = map(sub, self.tally, event.tally())
        self.tally = (a, b, c, d, e, f)

    def settle(self) -> None:
        """Set the columns that summarise the session from all that is known of it."""
        own, first, last = self.own, self.first_turn or [None] * 4, self.last_turn or [None] * 4
        self.name = own.get("name") or first[2]
        self.source = own.get("source") or first[3]
        self.user = own.get("user") or (self.last_user[3] if self.last_user else None)
        self.error = own.get("error")
        means = {name: total / count for name, (total, count) in self.scored.items()}
        means |= own.get("scores") or {}  # what was said of the whole counts more
        self.scores = {name: means[name] / 1e9 for name in sorted(means)}
        self.status = self._settled_status(last[3])
        starts = [at for at in (own.get("start"), first[0]) if at is not None]
        ends = [at for at in (own.get("end"), self.turns_end) if at is not None]
        if self.seen and not starts:
            starts.append(self.seen[0])
        if self.seen and (not ends or self.status == models.OPEN):
            ends.append(self.seen[1])
        self.start_time = min(starts) if starts else None
        if self.start_time is None:
            return
        self.end_time = max([*ends, self.start_time])
        whole = None if self.first_turn or self.status == models.OPEN else own.get("duration")
        self.duration = float(self.end_time - self.start_time) if whole is None else whole

    def _settled_status(self, last_turn: str | None) -> str:
        if self.rank == 1 or self.tally[5] > 0:
            return models.OPEN
        if self.rank == 0 and last_turn is None and self.tally[0]:
            # Events alone came, of a client that opens and ends no sessions: nobody will end it.
            return models.ENDED
        return str(self.own.get("status") or last_turn or models.OPEN)


def fold(
    decoded: DecodedRecord, sessions: dict[str, SessionState], events: dict[str, EventState]
) -> None:
    """Fold one record into the states that it touches, making those that are missing."""
    event_id, session_id = decoded.event["event_id"], decoded.event["session_id"]
    event = events.get(event_id)
    if event is not None:
        session_id = event.session_id  # an event never moves to another session
    session = sessions.get(session_id)
    if session is None:
        session = sessions[session_id] = SessionState(session_id)
    if decoded.of_session:
        session.take(decoded)
        return
    before, scores = _NOTHING, _UNSCORED
    if event is None:
        event = events[event_id] = EventState(event_id, session_id)
    else:
        before, scores = event.tally(), event.scores_nano()
    event.take(decoded)
    session.count(before, event)
    session.rate(scores, event.scores_nano())
    if decoded.kind not in (EVENT, UPDATE):
        session.take_turn(decoded)
