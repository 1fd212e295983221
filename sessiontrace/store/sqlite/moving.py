"""Moves events to another session, and reads what that needs.

Runs on the thread that writes. Invariant: an event is in one session at any time, and the totals of
both sessions are the sums over their events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.store.folding import SessionState
from sessiontrace.store.gathered import GATHERED
from sessiontrace.store.rehoming import rehomed
from sessiontrace.store.sqlite import media, rows
from sessiontrace.store.sqlite.transaction import transaction

__all__ = ["gathered", "move", "steps_of"]

_IDS_AT_ONCE = 500
_MOVED_AT_ONCE = 1_000


def gathered(
    connection: sqlite3.Connection, session_ids: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """The gathered parts of those of the sessions that have any."""
    parts: dict[str, Mapping[str, Any]] = {}
    statement = "SELECT session_id, patch FROM session_records WHERE patch IS NOT NULL AND"
    for session_id, patch in _rows(connection, statement, session_ids):
        if value := orjson.loads(patch).get(GATHERED):
            parts[session_id] = value
    return parts


def steps_of(
    connection: sqlite3.Connection, session_ids: Collection[str]
) -> dict[str, Sequence[str]]:
    """The ids of the events of these sessions, also of events with late updates only."""
    steps: dict[str, list[str]] = {}
    statement = "SELECT session_id, event_id FROM events WHERE"
    for session_id, event_id in _rows(connection, statement, session_ids):
        steps.setdefault(session_id, []).append(event_id)
    return dict(steps)


def _rows(
    connection: sqlite3.Connection, statement: str, session_ids: Collection[str]
) -> Iterator[tuple[str, str]]:
    ids = sorted(session_ids)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        chunk = ids[start : start + _IDS_AT_ONCE]
        marks = ",".join("?" * len(chunk))
        yield from connection.execute(f"{statement} session_id IN ({marks})", chunk)


def move(
    connection: sqlite3.Connection, source: str, target: str, event_ids: Collection[str]
) -> None:
    """Move those of the events that are in ``source``, some at a time: an event may be large."""
    ids = sorted(event_ids)
    for at in range(0, len(ids), _MOVED_AT_ONCE):
        _move(connection, source, target, ids[at : at + _MOVED_AT_ONCE])


def _move(
    connection: sqlite3.Connection, source: str, target: str, event_ids: Collection[str]
) -> None:
    with transaction(connection):
        events = [
            event
            for event in rows.load_events(connection, event_ids).values()
            if event.session_id == source
        ]
        sessions = rows.load_sessions(connection, (source, target))
        if not events or source not in sessions:
            return
        sessions.setdefault(target, SessionState(target))
        for event in events:
            sessions[source].remove_event(event)
            event.session_id = target
            event.parent_id = target if event.parent_id == source else event.parent_id
            event.body = None if event.body is None else rehomed(event.body, source, target)
            sessions[target].replace_totals(None, event)
            sessions[target].replace_scores({}, event.scores_nano())
            sessions[target].replace_call(None, event.call())
        sessions[target].summarize()
        rows.store_sessions(connection, [sessions[target]])
        media.share(connection, source, target)
        rows.store_events(connection, events)
        sessions[source].first_seen, sessions[source].last_seen = connection.execute(
            "SELECT min(start_time), max(coalesce(end_time, start_time)) FROM events "
            "WHERE session_id = ? AND rank != 0",
            (source,),
        ).fetchone()
        for session in sessions.values():
            session.summarize()
            rows.gather_facets(connection, session)
        rows.store_sessions(connection, sessions.values())
