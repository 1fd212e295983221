"""Reads the rows that new records touch, folds the records in, and writes the rows back.

Runs on the thread that writes; the caller passes the connection. Invariant: reading and writing
happen in one ``BEGIN IMMEDIATE``, so that two processes never fold into the same old row.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson

from sessiontrace.model.record import EVENT, START, UPDATE
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store.dashboard.measures import CallMeasures, first_chunks_of
from sessiontrace.store.facets import Facets, tags_in
from sessiontrace.store.folding import (
    DecodedRecord,
    EventState,
    FirstTurn,
    LatestTurn,
    SessionState,
    Totals,
)
from sessiontrace.store.judging.entries import JUDGEMENTS, LABEL, REVIEW, Judged, judged_of
from sessiontrace.store.models import Document
from sessiontrace.store.sqlite import bulk_insert, media
from sessiontrace.store.sqlite import documents as stored_documents
from sessiontrace.store.sqlite.charts import hours
from sessiontrace.store.sqlite.fresh import event_row
from sessiontrace.store.sqlite.fresh.event_row import Row
from sessiontrace.store.sqlite.fresh.fresh_event import fold_records
from sessiontrace.store.sqlite.fresh.outline import touched
from sessiontrace.store.sqlite.transaction import transaction

__all__ = [
    "Walk",
    "at_once",
    "gather_facets",
    "judged_in",
    "load_events",
    "load_sessions",
    "repeated",
    "store_events",
    "store_sessions",
    "write",
]

_IDS_AT_ONCE = 500

_SESSION = (
    "session_id", "name", "source", "user", "start_time", "end_time", "duration", "status",
    "error", "events", "errors", "models", "tokens", "cost_nano", "unpriced", "failed", "folded",
    "scores", "last_active", "outcome", "judged", "tags", "first_chunks", "facets", "scored",
    "state",
)  # fmt: skip
_EVENT = event_row.COLUMNS
_MODEL = (
    "model", "calls", "errors", "tokens", "cost_nano", "unpriced", "latencies", "first_chunks",
)  # fmt: skip
_JUDGED_AT = _SESSION.index("judged")
_ACTIVE = _SESSION.index("last_active")
_UNPRICED = _EVENT.index("unpriced")
_RECORD = ("session_id", "body", "patch")
_JUDGED = tuple(
    f"SELECT patch FROM {table} WHERE session_id = ? AND instr(patch, '\"judgements\"')"  # noqa: S608
    for table in ("session_records", "events")
)
# Bound as 0 where a row lacks them, see `event_row`.
_ABSENT = frozenset({"error", "patch"})


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("nullif(?, 0)" if name in _ABSENT else "?" for name in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - from above


def _upsert(table: str, columns: Sequence[str]) -> str:
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
    return f"{_insert(table, columns)} ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}"


_PUT_SESSION = _upsert("sessions", (*_SESSION, "written"))
_PUT_RECORD = _upsert("session_records", _RECORD)
# Two statements: most events are new and need no upsert, whose trigger makes SQLite journal the
# pages of each row separately.
_ADD_EVENT = _insert("events", _EVENT)
_PUT_EVENT = _upsert("events", _EVENT)
_OF_SESSION = "FROM sessions WHERE session_id = ?"
_DROP_MODELS = f"DELETE FROM session_models WHERE session = (SELECT id {_OF_SESSION})"  # noqa: S608
_ADD_MODEL = (
    f"INSERT INTO session_models (session, {', '.join(_MODEL)}) "
    f"SELECT id, {', '.join('?' * len(_MODEL))} {_OF_SESSION}"
)
_MODELS = (
    f"SELECT session_id, {', '.join(f'session_models.{name}' for name in _MODEL)} "  # noqa: S608
    "FROM sessions JOIN session_models ON session = id WHERE session_id IN ({marks})"
)


Walk = Callable[[Sequence[Any]], Iterable[Sequence[Any]]]
"""Cuts a long list into pieces: into one, or into many with pauses between them."""


def at_once(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """The ``Walk`` without a pause."""
    return (items,)


def write(
    connection: sqlite3.Connection,
    decoded: Sequence[DecodedRecord | Row],
    documents: Sequence[Document] = (),
    walk: Walk = at_once,
) -> None:
    """Fold what ``outlines`` gave into the file and write documents, in one transaction."""
    touch = touched(decoded)
    session_ids = touch.session_ids
    with transaction(connection):
        events = load_events(connection, set(touch.event_ids))
        stored_ids = list(events)
        session_ids.update(event.session_id for event in events.values())
        sessions = load_sessions(connection, session_ids)
        _load_records(connection, sessions, touch.changed)
        several = repeated(touch.event_ids)
        added: list[Row | EventState] = []
        for piece in walk(decoded):
            added += fold_records(piece, sessions, events, several)
        for session in sessions.values():
            session.summarize()
        store_sessions(connection, sessions.values())
        _store_records(connection, sessions.values())
        for stored in walk([events[event_id] for event_id in stored_ids]):
            store_events(connection, stored)
        for piece in walk(added):
            bulk_insert.insert(
                connection,
                _ADD_EVENT,
                [row if isinstance(row, tuple) else event_row.event_row(row) for row in piece],
            )
        media.use(connection, touch.with_media)
        stored_documents.write(connection, documents)
        marks = filter(_is_mark, touch.judging)
        for session_id in {record.event["session_id"] for record in marks}:
            _judge(connection, sessions[session_id])
            store_sessions(connection, [sessions[session_id]])


def repeated(ids: Sequence[str]) -> frozenset[str]:
    """Those that are there more than once."""
    if len(set(ids)) == len(ids):  # as in most transactions
        return frozenset()
    return frozenset(event_id for event_id, count in Counter(ids).items() if count > 1)


def _is_mark(record: DecodedRecord) -> bool:
    """Whether it labels a session or a step, or marks it as reviewed, or takes that back."""
    entries = record.event[JUDGEMENTS]
    return isinstance(entries, dict) and any(
        isinstance(entry, dict) and entry.get("kind") in (LABEL, REVIEW)
        for entry in entries.values()
    )


def _store_records(connection: sqlite3.Connection, sessions: Iterable[SessionState]) -> None:
    connection.executemany(
        _PUT_RECORD,
        [
            (session.session_id, session.body, _or_0(session.patch))
            for session in sessions
            if session.touched
        ],
    )


def store_sessions(connection: sqlite3.Connection, sessions: Iterable[SessionState]) -> None:
    """Write the rows of sessions, without their records."""
    now = time.time_ns() // 1_000_000
    states = list(sessions)
    connection.executemany(_PUT_SESSION, [(*_session_row(session), now) for session in states])
    _store_models(connection, [session for session in states if session.calls_changed])
    hours.note_changes(connection, chain.from_iterable(map(_times, states)))
    for session in states:
        session.stored_active, session.is_stored = session.last_active, True


def _times(session: SessionState) -> Iterable[int | None]:
    """The last activity of a session, as it is stored and as it is now."""
    return {session.stored_active, session.last_active}


def _store_models(connection: sqlite3.Connection, sessions: Sequence[SessionState]) -> None:
    stored = [(session.session_id,) for session in sessions if session.is_stored]
    connection.executemany(_DROP_MODELS, stored)
    connection.executemany(
        _ADD_MODEL,
        [
            (
                model, own.calls, own.errors, own.tokens, own.cost_nano, own.unpriced,
                _numbers(own.latencies), _numbers(own.first_chunks), session.session_id,
            )
            for session in sessions
            for model, own in session.calls.items()
        ],
    )  # fmt: skip
    for session in sessions:
        session.calls_changed = False


def _numbers(values: Sequence[int]) -> str:
    return ",".join(map(str, values))


def _values(text: str) -> list[int]:
    return sorted(map(int, text.split(","))) if text else []


def store_events(connection: sqlite3.Connection, events: Iterable[EventState]) -> None:
    """Write the rows of events that are stored already."""
    connection.executemany(_PUT_EVENT, map(event_row.event_row, events))


def _session_row(session: SessionState) -> tuple[Any, ...]:
    failed = session.error is not None or session.totals.errors > 0
    words = (session.name, session.user, session.source)
    folded = "\n".join([word.casefold() for word in words if word])
    totals, facets = session.totals, str(session.facets)
    return (
        session.session_id, session.name, session.source, session.user, session.start_time,
        session.end_time, session.duration, session.status, _or_0(session.error),
        totals.events, totals.errors, totals.models, totals.tokens, totals.cost_nano,
        totals.unpriced, int(failed), folded, _object(session.scores), session.last_active,
        session.outcome, _judged_row(session.judged), tags_in(facets),
        _numbers(first_chunks_of(session.calls)), facets,
        _object(session.scored), _json(_state(session)),
    )  # fmt: skip


def _judged_row(judged: Judged) -> str:
    is_judged = judged.labels or judged.reviewed is not None
    return _json([judged.labels, judged.reviewed]) if is_judged else ""


def _state(session: SessionState) -> list[Any]:
    """What no other column holds and folding needs; the column's JSON array, in this order."""
    turns = (session.first_turn, session.last_turn, session.last_user)
    seen = None if session.first_seen is None else [session.first_seen, session.last_seen]
    return [
        session.rank, session.own, *(None if turn is None else [*turn] for turn in turns),
        session.turns_end, seen, session.totals.open_turns,
    ]  # fmt: skip


def _restore(session: SessionState, state: Sequence[Any]) -> None:
    """Set what ``_state`` returned."""
    session.rank, session.own, first_turn, last_turn, last_user, turns_end, seen, open_turns = state
    session.first_turn = FirstTurn(*first_turn) if first_turn else None
    session.last_turn = LatestTurn(*last_turn) if last_turn else None
    session.last_user = LatestTurn(*last_user) if last_user else None
    session.turns_end = turns_end
    session.first_seen, session.last_seen = seen or (None, None)
    session.totals.open_turns = open_turns


def _or_0(value: str | None) -> str | int:
    return 0 if value is None else value


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _object(values: Mapping[str, Any]) -> str:
    return _json(values) if values else "{}"


def _select(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], ids: Iterable[str]
) -> Iterator[tuple[Any, ...]]:
    """Rows whose first column is one of ``ids``."""
    sorted_ids = sorted(ids)
    for start in range(0, len(sorted_ids), _IDS_AT_ONCE):
        chunk = sorted_ids[start : start + _IDS_AT_ONCE]
        yield from connection.execute(
            f"SELECT {', '.join(columns)} FROM {table} "  # noqa: S608 - names from above
            f"WHERE {columns[0]} IN ({','.join('?' * len(chunk))})",
            chunk,
        )


def load_events(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, EventState]:
    """The stored events of these ids."""
    events: dict[str, EventState] = {}
    for row in _select(connection, "events", _EVENT, ids):
        event = events[row[0]] = EventState(*row)
        event.turn = bool(event.turn)
        if event.rank < 0:
            event.rank, event.folded = -event.rank, True
        if row[_UNPRICED] is None:  # written before version 5
            unpriced = event.type in CALL_TYPES and event.tokens > 0 and not event.cost_nano
            event.unpriced = int(unpriced)
    return events


def load_sessions(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, SessionState]:
    """The stored sessions of these ids, without their records."""
    sessions: dict[str, SessionState] = {}
    for row in _select(connection, "sessions", _SESSION, ids):
        session = sessions[row[0]] = SessionState(*row[:9])
        session.totals = Totals(*row[9:15])
        session.judged = judged_in(row[_JUDGED_AT])
        session.stored_active, session.is_stored = row[_ACTIVE], True
        session.facets = Facets(row[-3])
        session.scored = orjson.loads(row[-2]) if row[-2] else _scored_before(connection, row[0])
        _restore(session, orjson.loads(row[-1]))
    _load_models(connection, sessions)
    for (session_id,) in _select(connection, "facet_queue", ("session_id",), sessions):
        gather_facets(connection, sessions[session_id])
    return sessions


def _load_models(connection: sqlite3.Connection, sessions: Mapping[str, SessionState]) -> None:
    ids = sorted(sessions)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        chunk = ids[start : start + _IDS_AT_ONCE]
        statement = _MODELS.format(marks=",".join("?" * len(chunk)))
        for session_id, model, *sums, latencies, chunks in connection.execute(statement, chunk):
            measures = CallMeasures(*sums)
            measures.latencies, measures.first_chunks = _values(latencies), _values(chunks)
            sessions[session_id].calls[model] = measures


def gather_facets(connection: sqlite3.Connection, session: SessionState) -> None:
    """The facets of a session from its stored records; takes it out of ``facet_queue``."""
    session_id, session.facets = session.session_id, Facets()
    columns = ("session_id", "body", "patch", "turn")
    rows = [
        *((*row, 0) for row in _select(connection, "session_records", _RECORD, (session_id,))),
        *_select(connection, "events", columns, (session_id,)),
    ]
    for _, body, patch, turn in rows:
        ids = {"session_id": session_id, "event_id": session_id}
        for kind, text in ((START if turn else EVENT, body), (UPDATE, patch)):
            if text:
                session.add_facets(DecodedRecord(kind, {**ids, **orjson.loads(text)}, text))
    connection.execute("DELETE FROM facet_queue WHERE session_id = ?", (session_id,))
    _judge(connection, session)


def _judge(connection: sqlite3.Connection, session: SessionState) -> None:
    """What the judgements of a session and of its steps say of it."""
    (of_session,), of_steps = (
        [orjson.loads(patch).get(JUDGEMENTS) for (patch,) in patches] or [None]
        for patches in (
            connection.execute(statement, (session.session_id,)) for statement in _JUDGED
        )
    )
    session.judged = judged_of(of_session, of_steps)
    session.facets.replace(("label", "reviewed"), session.judged.facets())


def judged_in(column: str) -> Judged:
    """The judgements of a session in its column."""
    if not column:
        return Judged()
    labels, reviewed = orjson.loads(column)
    return Judged(tuple(labels), reviewed)


def _scored_before(connection: sqlite3.Connection, session_id: str) -> dict[str, list[int]]:
    """The scores of a session's events, which files before version 3 did not store."""
    session = SessionState(session_id)
    for row in _select(connection, "events", ("session_id", *_EVENT), (session_id,)):
        session.replace_scores({}, EventState(*row[1:]).scores_nano())
    return session.scored


def _load_records(
    connection: sqlite3.Connection, sessions: Mapping[str, SessionState], ids: Iterable[str]
) -> None:
    present = [name for name in ids if name in sessions]
    for session_id, body, patch in _select(connection, "session_records", _RECORD, present):
        sessions[session_id].body, sessions[session_id].patch = body, patch
