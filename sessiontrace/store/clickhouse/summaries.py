"""Session summaries from the summary tables, without reading any step.

No thread owns it; the caller passes the connection. Invariant: the same rules summarize a session
as in the SQLite store (``folding``), from parts that the views have kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from sessiontrace.model.record import END, EVENT, START, UPDATE
from sessiontrace.store.clickhouse.connection import Connection, Query, Row
from sessiontrace.store.clickhouse.rows import EVENT_ROLE, SESSION_ROLE, SHOWS_NOTHING
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.folding import (
    DecodedRecord,
    EventState,
    FirstTurn,
    LatestTurn,
    SessionState,
    Totals,
)
from sessiontrace.store.judging.entries import JUDGEMENTS, Judged, judged_of
from sessiontrace.store.models import SessionSummary

__all__ = ["Patch", "changed_events", "patched_event", "patches", "summaries", "summary_of"]

_MOST_SCORES = 50  # as many as a session keeps in the SQLite store

_PARTS = """
SELECT
    session_id, argMaxIfMerge(own), argMinIfMerge(first_turn), argMaxIfMerge(last_turn),
    argMaxIfMerge(last_user), min(told_start), max(turns_end), min(seen_start), max(seen_end)
FROM sessions
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
GROUP BY session_id
"""

_SUMS = """
SELECT
    session_id, sumMap(scores), sumMap(mapApply((name, _) -> (name, toUInt64(1)), scores)),
    count(), sum(failed), sum(model), sum(tokens), sum(cost_nano), sum(unpriced), sum(open)
FROM (
    SELECT session_id, step, failed, model, tokens, cost_nano, unpriced, open, scores
    FROM tallies
    WHERE project = {project:String} AND session_id IN {ids:Array(String)}
    ORDER BY session_id, step, version DESC, model DESC
    LIMIT 1 BY session_id, step
)
GROUP BY session_id
"""

_PATCHES = """
SELECT session_id, event_id, body, matters
FROM patches FINAL
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
ORDER BY at
"""

_CHANGED = """
SELECT event_id, role, rank, body
FROM events
WHERE project = {project:String} AND session_id IN {ids:Array(String)}
    AND event_id IN {events:Array(String)}
ORDER BY event_id, version DESC
LIMIT 1 BY event_id
"""


@attrs.frozen
class Patch:
    """A late update, decoded. ``effect``: what it does to lists, trees and its event (``rows``)."""

    session_id: str
    event_id: str
    event: dict[str, Any]
    body: str
    effect: int

    @property
    def matters(self) -> bool:
        """Whether it changes what a list or a tree shows."""
        return self.effect != SHOWS_NOTHING

    @property
    def update(self) -> DecodedRecord:
        return DecodedRecord(UPDATE, self.event, self.body)


def patches(rows: Iterable[Row]) -> list[Patch]:
    """The updates in ``rows``, in order of arrival."""
    return [
        Patch(session_id, event_id, orjson.loads(body), body, effect)
        for session_id, event_id, body, effect in rows
    ]


def summaries(
    connection: Connection, project: str, ids: Sequence[str]
) -> dict[str, SessionSummary]:
    """The summaries of the stored ones of these sessions, by id."""
    if not ids:
        return {}
    values = {"project": project, "ids": list(ids)}
    parts, sums, changes = connection.ask_all(
        [Query(_PARTS, values), Query(_SUMS, values), Query(_PATCHES, values)]
    )
    states = {row[0]: _state(row) for row in parts}
    for session_id, scores, counts, *totals in sums:
        if session_id in states:
            states[session_id].totals = Totals(*totals)
            states[session_id].scored = {
                name: [scores[name], counts[name]] for name in sorted(scores)[:_MOST_SCORES]
            }
    updates = patches(changes)
    _amend(connection, project, states, [patch for patch in updates if patch.matters])
    by_id: dict[str, SessionSummary] = {}
    for session_id, judged in _judged(updates).items():
        if session_id in states:
            states[session_id].judged = judged
    for session_id, state in states.items():
        state.summarize()
        if (summary := summary_of(state)) is not None:
            by_id[session_id] = summary
    return by_id


def summary_of(state: SessionState) -> SessionSummary | None:
    """The summary of a summarized state; None when only updates have arrived."""
    if state.start_time is None or state.end_time is None or state.duration is None:
        return None
    totals = state.totals
    return SessionSummary(
        state.session_id, state.name, state.source, state.user, state.start_time, state.end_time,
        state.duration, state.status, state.error, totals.events, totals.errors, totals.models,
        totals.tokens, totals.cost_nano / 1e9, totals.unpriced, state.scores,
        state.last_active or 0, state.judged.labels, state.judged.reviewed,
    )  # fmt: skip


def _judged(updates: Sequence[Patch]) -> dict[str, Judged]:
    """What judgements among late updates say of their sessions."""
    by_session: dict[str, dict[str, dict[str, Any]]] = {}
    for patch in updates:
        if isinstance(judgements := patch.event.get(JUDGEMENTS), dict):
            events = by_session.setdefault(patch.session_id, {})
            events.setdefault(patch.event_id, {}).update(judgements)
    return {
        session_id: judged_of(events.pop(session_id, None), events.values())
        for session_id, events in by_session.items()
    }


def _state(row: Row) -> SessionState:
    session_id, own, first_turn, last_turn, last_user, start, turns_end, seen, seen_end = row
    state = SessionState(session_id)
    if own:
        state.own, state.rank = orjson.loads(own)
        # The list is in the order of the first start that was recorded.
        state.own["start"] = start
    if first_turn:
        state.first_turn = FirstTurn(*orjson.loads(first_turn)[0])
        state.last_turn = LatestTurn(*orjson.loads(last_turn)[1])
        state.turns_end = turns_end or None
    if last_user:
        state.last_user = LatestTurn(*orjson.loads(last_user)[2])
    if seen != NEVER:
        state.first_seen, state.last_seen = seen, seen_end
    return state


def _amend(
    connection: Connection,
    project: str,
    states: Mapping[str, SessionState],
    changes: Sequence[Patch],
) -> None:
    """Fold late updates into the states, over the records that they change."""
    event_ids = sorted({patch.event_id for patch in changes})
    if not event_ids:
        return
    sessions = sorted({patch.session_id for patch in changes})
    rows = connection.query(
        Query(_CHANGED, {"project": project, "ids": sessions, "events": event_ids})
    )
    row_of = {row[0]: row for row in rows}
    by_event: dict[str, list[Patch]] = {}
    for patch in changes:
        by_event.setdefault(patch.event_id, []).append(patch)
    for event_id, own_changes in by_event.items():
        session_id = own_changes[0].session_id
        state, row = states.get(session_id), row_of.get(event_id)
        if state is None:
            continue
        if event_id == session_id:
            _amend_session(state, row, own_changes)
        elif row is not None and row[2]:
            before, after = _before_and_after(session_id, row, own_changes)
            state.replace_totals(before.totals(), after)
            state.replace_scores(before.scores_nano(), after.scores_nano())


def _amend_session(state: SessionState, row: Row | None, changes: Sequence[Patch]) -> None:
    start = state.own.get("start")
    if row is not None:
        _, _, rank, body = row
        state.rank = 0  # apply the record itself first, whatever its rank
        state.apply(DecodedRecord(START if rank == 1 else END, orjson.loads(body), body))
    for patch in changes:
        state.apply(patch.update)
    if start is not None:
        state.own["start"] = start


def changed_events(
    connection: Connection, project: str, changes: Sequence[Patch]
) -> list[EventState]:
    """The steps that late updates change, without those that are shown as parts of others."""
    by_event: dict[str, list[Patch]] = {}
    for patch in changes:
        if patch.event_id != patch.session_id:
            by_event.setdefault(patch.event_id, []).append(patch)
    if not by_event:
        return []
    sessions = sorted({patch.session_id for patch in changes})
    rows = connection.query(
        Query(_CHANGED, {"project": project, "ids": sessions, "events": sorted(by_event)})
    )
    states = [patched_event(by_event[row[0]][0].session_id, row, by_event[row[0]]) for row in rows]
    return [state for state in states if state.rank and not state.folded]


def _before_and_after(
    session_id: str, row: Row, changes: Sequence[Patch]
) -> tuple[EventState, EventState]:
    before = _restored(session_id, row)
    return before, patched_event(session_id, row, changes)


def patched_event(session_id: str, row: Row, changes: Iterable[Patch]) -> EventState:
    """An event (id, role, rank, body) with its late updates folded in."""
    state = _restored(session_id, row)
    for patch in changes:
        state.apply(patch.update)
    return state


def _restored(session_id: str, row: Row) -> EventState:
    event_id, role, rank, body = row
    assert role != SESSION_ROLE
    state = EventState(event_id, session_id)
    kind = EVENT if role == EVENT_ROLE else START if rank == 1 else END
    state.apply(DecodedRecord(kind, orjson.loads(body), body))
    return state
