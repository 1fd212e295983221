"""Rules that fold records into the rows of events and sessions, in whatever order records arrive.

Pure: no thread owns them and they know no database. Invariant: of several records of one event or
session the one with the highest rank wins (end or event over abandoned end over start; of equal
rank the later end, then the greater bytes), and updates are applied on top. So records may arrive
twice and in any order and give the same rows; only updates of one key count in order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import orjson

from sessiontrace.model.fields import PAYLOADS, SCORES
from sessiontrace.model.json_depth import RECORD_DEPTH_MAX, TOO_DEEP, is_too_deep
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record, turn_event
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store import models, summary_fields
from sessiontrace.store.columns.event_columns import columns_of
from sessiontrace.store.dashboard.measures import Call, CallMeasures, micros, replace_call
from sessiontrace.store.facets import Facets
from sessiontrace.store.gathered import FOLDED, GATHERED, capped, resolve
from sessiontrace.store.judging import entries
from sessiontrace.store.judging.entries import JUDGEMENTS, Judged
from sessiontrace.store.rehoming import rehomed

__all__ = [
    "DecodedRecord",
    "EventState",
    "FirstTurn",
    "LatestTurn",
    "SessionState",
    "Totals",
    "apply_patch",
    "decode",
    "fold",
    "in_session",
    "legal",
    "patched",
]

_RANKS = {START: 1, OPEN: 1, END: 3, EVENT: 3}
_ABANDONED_RANK = 2

_NOT_JUDGED = Judged()
_NO_SCORES: Mapping[str, int] = {}
_MOST_SCORES = 50  # names of scores that a session's steps may bring, the first in their order


@attrs.define
class Totals:
    """Sums over the steps of a session; ``cost_nano`` in 10**-9.

    ``unpriced``: model calls that used tokens at an unknown cost. ``open_turns`` have no end yet.
    """

    events: int = 0
    errors: int = 0
    models: int = 0
    tokens: int = 0
    cost_nano: int = 0
    unpriced: int = 0
    open_turns: int = 0

    def subtract(self, other: Totals) -> None:
        self.events -= other.events
        self.errors -= other.errors
        self.models -= other.models
        self.tokens -= other.tokens
        self.cost_nano -= other.cost_nano
        self.unpriced -= other.unpriced
        self.open_turns -= other.open_turns


class FirstTurn(NamedTuple):
    """The turn that started first, which names a session without a record of its own."""

    start: int
    event_id: str
    name: str | None
    source: str | None


class LatestTurn(NamedTuple):
    """The turn that started last, and what it says of the session: its status, or the user."""

    start: int
    event_id: str
    rank: int
    text: str | None


class DecodedRecord(NamedTuple):
    """A legal record, decoded: ``event`` are its fields, ``body`` the same as JSON text.

    Of an event, inputs and outputs may be None where the body has them: few readers need them.
    """

    kind: bytes
    event: dict[str, Any]
    body: str

    def whole(self) -> DecodedRecord:
        """The record with its inputs and outputs decoded."""
        if not any(self.event.get(name, "") is None for name in PAYLOADS):
            return self
        return DecodedRecord(self.kind, orjson.loads(self.body), self.body)

    @property
    def of_session(self) -> bool:
        """Whether it describes the session itself rather than an event or turn."""
        return self.kind != EVENT and bool(self.event["event_id"] == self.event["session_id"])

    @property
    def rank(self) -> int:
        if self.kind == END and summary_fields.status(self.event) == models.ABANDONED:
            return _ABANDONED_RANK
        return _RANKS[self.kind]


def decode(record: Record | DecodedRecord) -> DecodedRecord | str:
    """The record decoded, or the reason why a store cannot keep it."""
    if isinstance(record, DecodedRecord):  # the server built it
        return record
    try:
        text = record.body.decode()
        event = orjson.loads(text)
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        return "no JSON"
    if not isinstance(event, dict):
        return "no JSON object"
    brackets = text.count("{") + text.count("[")  # a text with fewer cannot be that deep
    if brackets > RECORD_DEPTH_MAX and is_too_deep(event, RECORD_DEPTH_MAX):
        return TOO_DEEP
    return legal(record.kind, event, text)


def legal(kind: bytes, event: dict[str, Any], text: str) -> DecodedRecord | str:
    """The record with these fields and this JSON, or the reason why a store cannot keep it."""
    for name in ("event_id", "session_id"):
        if not isinstance(event.get(name), str) or not event[name]:
            return f"no {name}"
        if len(event[name]) > models.ID_MAX:
            return f"{name} of more than {models.ID_MAX} characters"
    if kind == UPDATE:
        return DecodedRecord(kind, event, text)
    if kind not in _RANKS:
        return f"unknown kind {kind.decode(errors='replace')}"
    if summary_fields.time(event, "start_time") is None:
        return "no start_time"
    return DecodedRecord(kind, event, text)


def apply_patch(event: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """``event`` with ``patch`` on top: objects merge by key, outputs and other values replace."""
    merged = dict(event)
    for name, value in patch.items():
        below = merged.get(name)
        if name != "outputs" and isinstance(value, dict) and isinstance(below, dict):
            merged[name] = {**below, **value}
        else:
            merged[name] = value
    return merged


def patched(event: dict[str, Any], patch: str | None) -> dict[str, Any]:
    """``event`` with the JSON of its late updates on top, and what they gathered in its fields."""
    return resolve(apply_patch(event, orjson.loads(patch))) if patch else event


def _merged(patch: str | None, event: dict[str, Any]) -> str:
    changes = {name: event[name] for name in event if name not in ("event_id", "session_id")}
    below = orjson.loads(patch) if patch else {}
    merged = apply_patch(below, changes)
    if isinstance(parts := merged.get(GATHERED), dict):
        merged[GATHERED] = capped(parts)
    if isinstance(judgements := merged.get(JUDGEMENTS), dict):
        merged[JUDGEMENTS] = entries.capped(judgements)
    return orjson.dumps(merged).decode()


def _status(event: dict[str, Any], rank: int) -> str:
    return summary_fields.status(event) if rank > 1 else models.OPEN


def _supersedes(event: dict[str, Any], body: str, over: str) -> bool:
    """Whether a record replaces another one of equal rank, which is mostly a repetition of it."""
    if body == over:
        return False
    other = orjson.loads(over)
    return (summary_fields.time(event, "end_time") or 0, body) > (
        summary_fields.time(other, "end_time") or 0,
        over,
    )


@attrs.define
class EventState:
    """One row of the table of events; its rank is 0 while only updates of it have arrived."""

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
    unpriced: int = 0
    rank: int = 0
    body: str | None = None
    patch: str | None = None
    folded: bool = False
    """Another record of the same model call shows what it knows: it counts nothing."""
    _scores: dict[str, int] | None = None
    _model_and_chunk: tuple[str, float | None] | None = None

    def totals(self) -> Totals:
        """What this event adds to its session."""
        totals = Totals()
        self.add_to(totals)
        return totals

    def add_to(self, totals: Totals) -> None:
        """Add this event to the totals of its session; most events are added once, so in place."""
        if not self.rank or self.folded:
            return
        totals.events += 1
        totals.tokens += self.tokens
        totals.cost_nano += self.cost_nano
        totals.unpriced += self.unpriced
        if self.error is not None:
            totals.errors += 1
        if self.type in CALL_TYPES:
            totals.models += 1
        if self.turn and self.rank == 1:
            totals.open_turns += 1

    def scores_nano(self) -> dict[str, int]:
        """The scores of this event, by name, in 10**-9."""
        if self._scores is None:  # the row comes from the database, and nothing was folded in yet
            self._scores = self._stored_scores()
        return self._scores

    def _stored_scores(self) -> dict[str, int]:
        if (
            self.folded
            or self.body is None
            or not any(
                f'"{name}"' in text
                for text in (self.body, self.patch or "")
                for name in (*SCORES, JUDGEMENTS)
            )
        ):
            return {}
        return summary_fields.scores_nano(patched(orjson.loads(self.body), self.patch))

    def call(self) -> Call | None:
        """What a model call adds to the measures of its session; None for other events."""
        if not self.rank or self.folded or self.type not in CALL_TYPES:
            return None
        if self._model_and_chunk is None:  # the row comes from the database
            self._remember_call(patched(orjson.loads(self.body or "{}"), self.patch))
        assert self._model_and_chunk is not None
        model, chunk = self._model_and_chunk
        return Call(
            model, int(self.error is not None), self.tokens, self.cost_nano, self.unpriced,
            micros(self.duration), micros(chunk),
        )  # fmt: skip

    def _remember_call(self, event: dict[str, Any]) -> None:
        chunk = summary_fields.first_chunk_ms(event) if "metrics" in event else None
        self._model_and_chunk = summary_fields.model(event), chunk

    def apply(self, decoded: DecodedRecord) -> None:
        """Fold a record of this event in."""
        if decoded.kind == UPDATE:
            self.patch = _merged(self.patch, decoded.event)
            if self.body is not None:
                self._summarize(orjson.loads(self.body))
            return
        rank, event, body = decoded.rank, decoded.event, decoded.body
        if rank < self.rank or (
            rank == self.rank and self.body is not None and not _supersedes(event, body, self.body)
        ):
            return
        self.rank, self.body, self.turn = rank, body, decoded.kind != EVENT
        self._summarize(event)

    def _summarize(self, event: dict[str, Any]) -> None:
        """Set the columns that summarise the event from its fields."""
        if self.turn:
            event = turn_event(event)
        if self.patch is not None:
            event = patched(event, self.patch)
        tokens, cost_nano, unpriced = self.tokens, self.cost_nano, self.unpriced
        (
            self.parent_id, self.type, self.name, self.start_time, self.end_time, self.duration,
            self.status, self.error, self.tokens, self.cost_nano, self.unpriced,
        ) = columns_of(event)  # fmt: skip
        if self.type not in CALL_TYPES:  # a step that was taken for a call keeps what it counted
            self.tokens, self.cost_nano, self.unpriced = tokens, cost_nano, unpriced
        if self.rank <= 1:
            self.status = models.OPEN
        self.folded = isinstance(event.get(FOLDED), str)
        self._scores = {} if self.folded else summary_fields.scores_nano(event)
        if self.type in CALL_TYPES:
            self._remember_call(event)


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
    totals: Totals = attrs.field(factory=Totals)
    rank: int = 0
    own: dict[str, Any] = attrs.field(factory=dict)
    """Fields of its own record: name, source, user, start, end, duration, status, error, scores."""
    scored: dict[str, list[int]] = attrs.field(factory=dict)
    """Scores of its events by name: their sum in 10**-9, and their number."""
    first_turn: FirstTurn | None = None
    last_turn: LatestTurn | None = None  # with its status
    last_user: LatestTurn | None = None  # the latest one that names a user
    turns_end: int | None = None
    first_seen: int | None = None  # the first start of any event
    last_seen: int | None = None  # the last end of any event
    body: str | None = None
    patch: str | None = None
    touched: bool = False  # body or patch changed
    facets: Facets = attrs.field(factory=Facets)
    judged: Judged = _NOT_JUDGED
    calls: dict[str, CallMeasures] = attrs.field(factory=dict)
    """Measures of its model calls, by model."""
    calls_changed: bool = False
    is_stored: bool = False
    stored_active: int | None = None  # the last activity that it is stored with
    _latest: dict[str, Any] | None = None  # the fields in ``body``, where they are decoded
    _own_changed: bool = False  # since ``own`` was set

    def apply(self, decoded: DecodedRecord) -> None:
        """Fold a record of the session itself in."""
        if decoded.kind == UPDATE:
            self.patch = _merged(self.patch, decoded.event)
            self._latest = None
        else:
            rank, event, body = decoded.rank, decoded.event, decoded.body
            if rank < self.rank or (
                rank == self.rank
                and self.body is not None
                and not _supersedes(event, body, self.body)
            ):
                return
            self.rank, self.body, self._latest = rank, body, event
        self.touched = self._own_changed = True

    def _summarize_own(self) -> None:
        """Set ``own`` from the record and the late updates."""
        event = self._latest
        if event is None:
            event = orjson.loads(self.body) if self.body else {}
        event = patched(event, self.patch)
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
        self._latest, self._own_changed = None, False

    def apply_turn(self, decoded: DecodedRecord) -> None:
        """Fold in what a turn of a conversation says of its session."""
        event, rank = decoded.event, decoded.rank
        start, event_id = summary_fields.time(event, "start_time") or 0, event["event_id"]
        first = FirstTurn(
            start,
            event_id,
            summary_fields.text(event.get("event_name")),
            summary_fields.text(event.get("source")),
        )
        if self.first_turn is None or first[:2] < self.first_turn[:2]:
            self.first_turn = first
        last = LatestTurn(start, event_id, rank, _status(event, rank))
        if self.last_turn is None or last[:3] > self.last_turn[:3]:
            self.last_turn = last
        user = LatestTurn(start, event_id, rank, summary_fields.user(event))
        if user.text and (self.last_user is None or user[:3] > self.last_user[:3]):
            self.last_user = user
        end = summary_fields.time(event, "end_time")
        if end is not None:
            self.turns_end = max(end, self.turns_end or 0)

    def add_facets(self, record: DecodedRecord) -> None:
        """Add the texts by which a filter finds the session."""
        self.facets.add(record.kind, resolve(record.event))

    def replace_totals(self, before: Totals | None, event: EventState) -> None:
        """Add what an event adds now, and take away what it added ``before``."""
        event.add_to(self.totals)
        if before is not None:
            self.totals.subtract(before)
        start = event.start_time
        if start is None:
            return
        end = event.end_time or start
        if self.first_seen is None or start < self.first_seen:
            self.first_seen = start
        if self.last_seen is None or end > self.last_seen:
            self.last_seen = end

    def replace_scores(self, before: Mapping[str, int], scores: Mapping[str, int]) -> None:
        """Add an event's scores, and take away those it had ``before``."""
        if before == scores:
            return
        for sign, changes in ((-1, before), (1, scores)):
            for name, nano in changes.items():
                total = self.scored.setdefault(name, [0, 0])
                total[0] += sign * nano
                total[1] += sign
        names = sorted(name for name, (_, count) in self.scored.items() if count > 0)
        self.scored = {name: self.scored[name] for name in names[:_MOST_SCORES]}

    def replace_call(self, before: Call | None, call: Call | None) -> None:
        """Add what a model call adds now, and take away what it added ``before``."""
        if replace_call(self.calls, before, call):
            self.calls_changed = True

    def remove_event(self, event: EventState) -> None:
        """Take away what a deleted event added."""
        self.replace_call(event.call(), None)
        self.replace_scores(event.scores_nano(), {})
        self.totals.subtract(event.totals())

    def summarize(self) -> None:
        """Set the columns that a list shows, from everything known of the session."""
        if self._own_changed:
            self._summarize_own()
        own, first = self.own, self.first_turn
        self.name = own.get("name") or (first.name if first else None)
        self.source = own.get("source") or (first.source if first else None)
        self.user = own.get("user") or (self.last_user.text if self.last_user else None)
        self.error = own.get("error")
        self.scores = self._mean_scores()
        self.status = self._final_status()
        self._summarize_times()

    @property
    def last_active(self) -> int | None:
        """When anything of it last began or ended; None without a start."""
        if self.start_time is None or self.end_time is None:
            return None
        return max(self.end_time, self.last_seen or 0)

    @property
    def outcome(self) -> str:
        """The status as people read it: an ended session with an error has "failed"."""
        ended_badly = self.status == models.ENDED and self.error is not None
        return models.FAILED if ended_badly else self.status

    def _mean_scores(self) -> dict[str, float]:
        means = {name: total / count for name, (total, count) in self.scored.items()}
        means |= self.own.get("scores") or {}  # a score of the whole session counts more
        return {name: means[name] / 1e9 for name in sorted(means)}

    def _final_status(self) -> str:
        if self.rank == 1 or self.totals.open_turns > 0:
            return models.OPEN
        if self.rank == 0 and self.last_turn is None and self.totals.events:
            # Only events arrived, from a client that neither opens nor ends sessions.
            return models.ENDED
        last_status = self.last_turn.text if self.last_turn else None
        return str(self.own.get("status") or last_status or models.OPEN)

    def _summarize_times(self) -> None:
        """Start and end: from the session and its turns, else from its events."""
        first_turn_start = self.first_turn.start if self.first_turn else None
        starts = [at for at in (self.own.get("start"), first_turn_start) if at is not None]
        ends = [at for at in (self.own.get("end"), self.turns_end) if at is not None]
        if self.first_seen is not None and not starts:
            starts.append(self.first_seen)
        if self.last_seen is not None and (not ends or self.status == models.OPEN):
            ends.append(self.last_seen)
        self.start_time = min(starts) if starts else None
        if self.start_time is None:
            return
        self.end_time = max([*ends, self.start_time])
        spans_turns = self.first_turn is not None or self.status == models.OPEN
        own_duration = None if spans_turns else self.own.get("duration")
        elapsed = float(self.end_time - self.start_time)
        self.duration = elapsed if own_duration is None else own_duration


def in_session(decoded: DecodedRecord, session_id: str) -> DecodedRecord:
    """The record as a record of another session, which is its parent where the old one was."""
    source = decoded.event["session_id"]
    event = {
        name: session_id if name in ("session_id", "parent_id") and value == source else value
        for name, value in decoded.event.items()
    }
    return DecodedRecord(decoded.kind, event, rehomed(decoded.body, source, session_id))


def fold(
    decoded: DecodedRecord, sessions: dict[str, SessionState], events: dict[str, EventState]
) -> None:
    """Fold one record into the states that it touches; adds those that are missing."""
    event_id, session_id = decoded.event["event_id"], decoded.event["session_id"]
    event = events.get(event_id)
    if event is not None and event.session_id != session_id:
        # Folding never moves an event to another session.
        decoded, session_id = in_session(decoded, event.session_id), event.session_id
    session = sessions.get(session_id)
    if session is None:
        session = sessions[session_id] = SessionState(session_id)
    session.add_facets(decoded)
    if decoded.of_session:
        session.apply(decoded)
        return
    before, scores, call = None, _NO_SCORES, None
    if event is None:
        event = events[event_id] = EventState(event_id, session_id)
    else:
        before, scores, call = event.totals(), event.scores_nano(), event.call()
    event.apply(decoded)
    session.replace_call(call, event.call())
    session.replace_totals(before, event)
    session.replace_scores(scores, event.scores_nano())
    if decoded.kind not in (EVENT, UPDATE):
        session.apply_turn(decoded)
