"""Queries of the SQLite store, one function each.

No thread owns it; the caller passes the connection. Invariant: every value is a parameter of its
statement, and every result is bounded by a limit.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs
import orjson

from sessiontrace.model.record import turn_event
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store.folding import patched
from sessiontrace.store.models import (
    Changes,
    EventSummary,
    SessionPage,
    SessionQuery,
    SessionSummary,
    StoredSession,
    visible,
)
from sessiontrace.store.preview import FIRST_STEPS, OPENING, preview_of
from sessiontrace.store.sqlite.calls import outer_events, visible_event
from sessiontrace.store.sqlite.query_conditions import ORDERS, conditions
from sessiontrace.store.sqlite.rows import judged_in
from sessiontrace.store.summary_fields import IS_CALL

__all__ = [
    "below_visible",
    "changes",
    "event",
    "ids_with_prefix",
    "previews",
    "record",
    "records",
    "session",
    "session_record",
    "sessions",
    "sessions_known",
]

_MOST = 10_000
_HEAD = 1024  # characters of a record: its times, and mostly the model of a call

_NANOS = re.compile(r'[,{]"start_nanos":(\d{1,6})[,}]')
_MODEL = re.compile(
    r'"config":\{(?:(?!"metadata":|"inputs":|"outputs":).)*?"model":("(?:[^"\\]|\\.)*")'
)

_SUMMARIES = (
    "SELECT session_id, name, source, user, start_time, end_time, duration, status, error, "
    "events, errors, models, tokens, cost_nano / 1e9, unpriced, last_active, judged, scores "
    "FROM sessions WHERE "
)
_PAGE = (
    _SUMMARIES.replace("scores FROM", "{order}, scores FROM")  # noqa: S608 - query_conditions
    + "id IN (SELECT id FROM sessions WHERE {where} ORDER BY {order} {way}, session_id {way} "
    "LIMIT ?) ORDER BY {order} {way}, session_id {way}"
)
_COLUMNS = (
    "SELECT event_id, session_id, parent_id, type, name, start_time, end_time, duration, status, "
    "turn, error, tokens, cost_nano / 1e9, "
    "coalesce(unpriced, type = 'model' AND tokens > 0 AND cost_nano = 0), "
)
_STEPS = (
    # First a search in the text: parsing the JSON of every step would cost more than the query.
    _COLUMNS + "CASE WHEN instr(body, '\"time_to_first_chunk_ms\"') > 0 "
    "THEN json_extract(body, '$.metrics.time_to_first_chunk_ms') END, "
    f"substr(body, 1, {_HEAD}), "
    f"CASE WHEN {IS_CALL} AND instr(substr(body, 1, {_HEAD}), '\"config\":') = 0 "
    "AND instr(body, '\"config\":') > 0 THEN json_extract(body, '$.config.model') END "
    "FROM events WHERE "
)
_OUTLINE = _COLUMNS + "NULL, NULL, NULL FROM events WHERE "


def sessions(connection: sqlite3.Connection, query: SessionQuery) -> SessionPage:
    """One page of the list, in the order of the query."""
    limit = max(1, min(query.limit, _MOST))
    where, values = conditions(query)
    text = _PAGE.format(
        where=" AND ".join(where),
        order=ORDERS[query.order],
        way="ASC" if query.ascending else "DESC",
    )
    rows = connection.execute(text, (*values, limit + 1)).fetchall()
    summaries = [_summary((*row[:-2], row[-1])) for row in rows[:limit]]
    has_more = len(rows) > limit
    return SessionPage(
        summaries, (rows[limit - 1][-2], summaries[-1].session_id) if has_more else None
    )


def _summary(row: Sequence[Any]) -> SessionSummary:
    *columns, last_active, judged, scores = row
    marks = judged_in(judged)
    return SessionSummary(
        *[*columns, orjson.loads(scores), last_active, marks.labels, marks.reviewed]
    )


def session(
    connection: sqlite3.Connection, session_id: str, limit: int, first_chunks: bool = True
) -> StoredSession | None:
    """A session, its own record, and its steps in order of their start."""
    row = connection.execute(
        _SUMMARIES + "session_id = ? AND start_time IS NOT NULL", (session_id,)
    ).fetchone()
    if row is None:
        return None
    summary = _summary(row)
    limit = max(1, min(limit, _MOST))
    columns = _STEPS if first_chunks else _OUTLINE
    steps = connection.execute(
        columns + "session_id = ? AND rank > 0 ORDER BY start_time, event_id LIMIT ?",
        (session_id, limit),
    ).fetchall()
    events = [_step(step) for step in steps]
    if outer := outer_events(connection, session_id):
        events = [attrs.evolve(e, parent_id=visible(e.parent_id, outer)) for e in events]
    return StoredSession(
        summary, _own_record(connection, summary), events, summary.events - len(events)
    )


def _step(row: Sequence[Any]) -> EventSummary:
    *columns, chunk, head, model = row
    if model is None and columns[3] in CALL_TYPES:
        model = _model_in(head)
    model = model if isinstance(model, str) else None
    return EventSummary(*[*columns, _first_chunk(chunk), _nanos_in(head), model])


def _nanos_in(head: str | None) -> int:
    """The nanoseconds of a start in the first characters of a record."""
    match = _NANOS.search((head or "").partition('"inputs":')[0])
    return int(match[1]) if match else 0


def _model_in(head: str | None) -> str | None:
    """The model that a call names in the first characters of its record."""
    match = _MODEL.search(head or "")
    return str(orjson.loads(match[1])) if match else None


def _first_chunk(ms: Any) -> float | None:
    return float(ms) if isinstance(ms, (int, float)) and ms >= 0 else None


def session_record(connection: sqlite3.Connection, session_id: str) -> dict[str, Any] | None:
    """The whole record of a session; its events supply the fields that it lacks."""
    row = connection.execute(
        _SUMMARIES + "session_id = ? AND start_time IS NOT NULL", (session_id,)
    ).fetchone()
    if row is None:
        return None
    summary = _summary(row)
    own_record = _own_record(connection, summary)
    return {
        "source": summary.source,
        "start_time": summary.start_time,
        "end_time": summary.end_time,
        "duration": summary.duration,
        **own_record,
    }


def record(connection: sqlite3.Connection, event_id: str) -> Mapping[str, Any] | None:
    """The whole record of an event or of a session."""
    event_record = event(connection, event_id)
    return session_record(connection, event_id) if event_record is None else event_record


def _own_record(connection: sqlite3.Connection, summary: SessionSummary) -> dict[str, Any]:
    body, patch = connection.execute(
        "SELECT body, patch FROM session_records WHERE session_id = ?", (summary.session_id,)
    ).fetchone() or (None, None)
    record: dict[str, Any] = {
        "event_id": summary.session_id,
        "session_id": summary.session_id,
        "event_type": "session",
        "event_name": summary.name,
    }
    if body:
        record |= orjson.loads(body)
    return patched(record, patch)


def event(connection: sqlite3.Connection, event_id: str) -> Mapping[str, Any] | None:
    """The whole record of one event, also of one that is shown as a part of another.

    For a turn, it is the chain event that represents it.
    """
    row = _row_of(connection, event_id)
    return None if row is None else _whole(connection, row)


def records(
    connection: sqlite3.Connection, ids: Sequence[str], most_bytes: int
) -> dict[str, Mapping[str, Any]]:
    """The whole records of some events, in their order, until they have ``most_bytes``."""
    by_id: dict[str, Mapping[str, Any]] = {}
    size = 0
    for event_id in ids:
        row = _row_of(connection, event_id)
        if row is not None:
            by_id[event_id] = _whole(connection, row)
            size += len(row[0])
        if size >= most_bytes:
            break
    return by_id


def _row_of(connection: sqlite3.Connection, event_id: str) -> tuple[str, str | None, int] | None:
    row: tuple[str, str | None, int] | None = connection.execute(
        "SELECT body, patch, turn FROM events WHERE event_id = ? AND rank != 0", (event_id,)
    ).fetchone()
    return row


def _whole(connection: sqlite3.Connection, row: tuple[str, str | None, int]) -> Mapping[str, Any]:
    body, patch, is_turn = row
    record: dict[str, Any] = orjson.loads(body)
    return below_visible(connection, patched(turn_event(record) if is_turn else record, patch))


def below_visible(connection: sqlite3.Connection, record: dict[str, Any]) -> dict[str, Any]:
    """The record, below the call that shows its parent if another one does."""
    parent = record.get("parent_id")
    if isinstance(parent, str) and (above := visible_event(connection, parent)) != parent:
        return {**record, "parent_id": above}
    return record


def sessions_known(connection: sqlite3.Connection, session_ids: Collection[str]) -> frozenset[str]:
    """Those of the sessions whose own record has arrived, not only updates of it."""
    return frozenset(
        session_id
        for session_id in session_ids
        if connection.execute(
            "SELECT 1 FROM session_records WHERE session_id = ? AND body IS NOT NULL",
            (session_id,),
        ).fetchone()
    )


def previews(connection: sqlite3.Connection, session_ids: Collection[str]) -> dict[str, str]:
    """The first message by a user in the first steps of each session that has one there."""
    lines: dict[str, str] = {}
    for session_id in session_ids:
        steps = connection.execute(
            "SELECT substr(body, 1, ?) || coalesce(substr(patch, 1, ?), '') FROM events "
            "WHERE session_id = ? AND body IS NOT NULL ORDER BY start_time, event_id LIMIT ?",
            (OPENING, OPENING, session_id, FIRST_STEPS),
        )
        line = next(filter(None, (preview_of(opening) for (opening,) in steps)), None)
        if line is not None:
            lines[session_id] = line
    return lines


def changes(connection: sqlite3.Connection, after: int | None, since: int) -> Changes:
    """Events that came after a row, and sessions written since."""
    newest = connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
    steps = connection.execute(
        _STEPS + "id > ? AND rank > 0 ORDER BY id LIMIT ?",
        (newest if after is None else after, _MOST),
    ).fetchall()
    events = [_step(step) for step in steps]
    if len(steps) == _MOST:
        newest = connection.execute(
            "SELECT id FROM events WHERE event_id = ?", (steps[-1][0],)
        ).fetchone()[0]
    rows = connection.execute(
        _SUMMARIES + "written >= ? AND start_time IS NOT NULL ORDER BY written LIMIT ?",
        (since, _MOST),
    ).fetchall()
    at = connection.execute("SELECT coalesce(max(written), ?) FROM sessions", (since,)).fetchone()
    return Changes(events, [_summary(row) for row in rows], newest, at[0])


def ids_with_prefix(connection: sqlite3.Connection, prefix: str, limit: int) -> Sequence[str]:
    """Session ids by their prefix, latest first."""
    rows = connection.execute(
        "SELECT session_id FROM sessions WHERE session_id >= ? AND session_id < ? "
        "AND start_time IS NOT NULL ORDER BY session_id DESC LIMIT ?",
        (prefix, prefix + "\U0010ffff", max(1, min(limit, _MOST))),
    ).fetchall()
    return [row[0] for row in rows]
