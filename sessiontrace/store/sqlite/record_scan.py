"""Reads whole records across sessions.

No thread owns it. Invariant: records come latest start first, and a page counts only matching ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.record import turn_event
from sessiontrace.store.folding import patched
from sessiontrace.store.judging.history import Judgement, judgements_of
from sessiontrace.store.models import EventPage, EventQuery
from sessiontrace.store.sqlite.calls import has_folded
from sessiontrace.store.sqlite.queries import below_visible, session_record
from sessiontrace.store.step_text import contains

__all__ = ["events", "find_steps", "judgements"]

_MOST = 10_000
_SHOWN = ("rank > 0", "rank != 0")
"""Which events a query reads: without, and with those that are shown as parts of others."""


def events(connection: sqlite3.Connection, query: EventQuery) -> EventPage:
    """The matching events and sessions, as whole records."""
    limit = max(0, min(query.limit, _MOST))
    page: list[Mapping[str, Any]] = []
    count = 0
    for record in _records(connection, query):
        if query.fits is not None and not query.fits(record):
            continue
        count += 1
        if query.skip < count <= query.skip + limit:
            page.append(record)
        elif query.fits is None and count > query.skip + limit:
            break
    if query.fits is None:
        count = _count(connection, query)
    return EventPage(page, count)


def find_steps(
    connection: sqlite3.Connection, session_id: str, text: str, limit: int
) -> Sequence[str]:
    """Steps of one session that contain a text, in order of their start."""
    folded = text.casefold()
    # First a search in the JSON of a step, in which the text is escaped; most are not decoded.
    escaped = orjson.dumps(folded)[1:-1].decode()
    rows = connection.execute(
        "SELECT event_id, body, patch FROM events WHERE session_id = ? AND rank > 0 "
        "ORDER BY start_time, event_id",
        (session_id,),
    )
    event_ids: list[str] = []
    for event_id, body, patch in rows:
        if escaped not in (body or "").casefold() and escaped not in (patch or "").casefold():
            continue
        if contains(patched(orjson.loads(body or "{}"), patch), folded):
            event_ids.append(event_id)
            if len(event_ids) >= limit:
                break
    return event_ids


def _records(connection: sqlite3.Connection, query: EventQuery) -> Iterator[dict[str, Any]]:
    """Events and sessions' own records, merged by their start, latest first."""
    where, values = _conditions(query, "event_id")
    steps = connection.execute(
        "SELECT start_time, event_id, body, patch, turn FROM events "  # noqa: S608 - from below
        f"WHERE {_SHOWN[query.folded]} AND {where} ORDER BY start_time DESC, event_id DESC",
        values,
    )
    folded = has_folded(connection)
    where, values = _conditions(query, "session_id")
    heads = connection.execute(
        "SELECT start_time, session_id FROM sessions "  # noqa: S608 - from below
        f"WHERE start_time IS NOT NULL AND {where} ORDER BY start_time DESC, session_id DESC",
        values,
    )
    head = heads.fetchone()
    for start, event_id, body, patch, turn in steps:
        while head is not None and (head[0], head[1]) > (start, event_id):
            yield _session(connection, head[1])
            head = heads.fetchone()
        record = orjson.loads(body)
        if turn:
            record = turn_event(record)
        record = patched(record, patch)
        yield below_visible(connection, record) if folded else record
    while head is not None:
        yield _session(connection, head[1])
        head = heads.fetchone()


def _session(connection: sqlite3.Connection, session_id: str) -> dict[str, Any]:
    record = session_record(connection, session_id)
    return {} if record is None else record


def _count(connection: sqlite3.Connection, query: EventQuery) -> int:
    total = 0
    for table, condition, column in (
        ("events", _SHOWN[query.folded], "event_id"),
        ("sessions", "start_time IS NOT NULL", "session_id"),
    ):
        where, values = _conditions(query, column)
        total += connection.execute(
            f"SELECT count(*) FROM {table} WHERE {condition} AND {where}",  # noqa: S608 - from above
            values,
        ).fetchone()[0]
    return total


def _conditions(query: EventQuery, id_column: str) -> tuple[str, list[Any]]:
    where: list[str] = ["1"]
    values: list[Any] = []
    for condition, value in (
        ("session_id = ?", query.session_id),
        (f"{id_column} = ?", query.event_id),
        ("start_time >= ?", query.since),
        ("start_time < ?", query.until),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    return " AND ".join(where), values


_MAY_HAVE = (
    "(patch IS NOT NULL OR instr(body, '\"feedback\":') > 0 OR instr(body, '\"metrics\":') > 0)"
)
_JUDGED = (
    f"SELECT session_id, body, patch FROM session_records WHERE session_id = ? "  # noqa: S608
    f"AND {_MAY_HAVE}",
    f"SELECT event_id, body, patch FROM events WHERE session_id = ? AND rank > 0 "  # noqa: S608
    f"AND {_MAY_HAVE} ORDER BY start_time, event_id",
)


def judgements(connection: sqlite3.Connection, session_id: str) -> list[Judgement]:
    """Those of the session first, then those of its steps in the order of their start."""
    return [
        judgement
        for statement in _JUDGED
        for event_id, body, patch in connection.execute(statement, (session_id,))
        for judgement in judgements_of(event_id, _loaded(body), _loaded(patch))
    ]


def _loaded(text: str | None) -> dict[str, object]:
    decoded: dict[str, object] = orjson.loads(text) if text else {}
    return decoded
