"""Model calls that belong together, and the events that are shown as parts of others.

No thread owns it; the caller passes the connection. Invariant: an event whose ``rank`` is negative
is shown as a part of the event that its late updates name (``gathered.FOLDED``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import orjson

from sessiontrace.store.gathered import folded_into
from sessiontrace.store.models import StoredCall
from sessiontrace.store.related_calls import (
    LIMIT,
    LONGEST_MS,
    MOST,
    CallRow,
    TooManyCallsError,
    related,
)
from sessiontrace.store.summary_fields import IS_CALL

__all__ = [
    "Stored",
    "children",
    "ending_with",
    "has_folded",
    "outer_events",
    "related",
    "visible_event",
]

_IDS_AT_ONCE = 500

_CALLS = (
    "SELECT event_id, parent_id, start_time, "  # noqa: S608 - our own types
    "coalesce(end_time, start_time) FROM events "
    f"WHERE {IS_CALL} AND rank != 0 AND "
)
_BESIDE = f"{_CALLS}parent_id = ? AND start_time BETWEEN ? AND ? LIMIT {LIMIT}"
_CALL = f"SELECT 1 FROM events WHERE {IS_CALL} AND rank != 0"  # noqa: S608 - our own types
# Most calls of a request have the same few parents, which are looked up once each.
_LINKED = (
    f"{_CALL} AND event_id IN ({_CALL.replace('1', 'parent_id', 1)} AND event_id IN ({{marks}})) "
    "LIMIT 1",
    f"{_CALL.replace('events', 'events AS below')} AND parent_id IN ({{marks}}) AND EXISTS "
    f"({_CALL} AND event_id = below.parent_id) LIMIT 1",
)
_WHOLE = "SELECT event_id, session_id, parent_id, body, patch FROM events WHERE "


class Stored:
    """The model calls of a file, as ``related`` reads them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def any_linked(self, ids: Collection[str]) -> bool:
        return any(
            self._connection.execute(query.format(marks=marks), chunk).fetchone()
            for chunk, marks in _chunks(ids)
            for query in _LINKED
        )

    def by_id(self, ids: Collection[str]) -> Iterator[CallRow]:
        return self._calls("event_id", ids)

    def below(self, ids: Collection[str]) -> Iterator[CallRow]:
        return self._calls("parent_id", ids)

    def beside(self, windows: Mapping[str, tuple[int, int]]) -> Iterator[CallRow]:
        for parent, (start, end) in windows.items():
            values = (parent, start - LONGEST_MS, end)
            yield from _limited(self._connection.execute(_BESIDE, values).fetchall())

    def whole(self, ids: Collection[str]) -> list[StoredCall]:
        calls = []
        for chunk, marks in _chunks(ids):
            rows = self._connection.execute(f"{_WHOLE}event_id IN ({marks})", chunk)
            for event_id, session_id, parent_id, body, patch in rows:
                change = orjson.loads(patch) if patch else {}
                record = orjson.loads(body)
                calls.append(StoredCall(event_id, session_id, parent_id, record, change))
        return calls

    def _calls(self, column: str, ids: Iterable[str]) -> Iterator[CallRow]:
        for chunk, marks in _chunks(ids):
            query = f"{_CALLS}{column} IN ({marks}) LIMIT {LIMIT}"
            yield from _limited(self._connection.execute(query, chunk).fetchall())


def _limited(rows: Sequence[tuple[str, str | None, int, int]]) -> Iterator[CallRow]:
    if len(rows) == LIMIT:
        raise TooManyCallsError
    return map(CallRow._make, rows)


def _chunks(ids: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    in_order = sorted(ids)
    for at in range(0, len(in_order), _IDS_AT_ONCE):
        chunk = in_order[at : at + _IDS_AT_ONCE]
        yield chunk, ",".join("?" * len(chunk))


def children(
    connection: sqlite3.Connection, session_id: str, parent_ids: Iterable[str]
) -> dict[str, str]:
    """The events of a session whose parent is one of these, each with its parent."""
    return dict(_of_session(connection, session_id, "event_id, parent_id", "parent_id", parent_ids))


def ending_with(
    connection: sqlite3.Connection, session_id: str, endings: Iterable[str]
) -> dict[str, str]:
    """The events of a session whose ids end with these 17 characters, by their endings."""
    ending = "substr(event_id, 20)"
    return dict(_of_session(connection, session_id, f"{ending}, event_id", ending, endings))


def _of_session(
    connection: sqlite3.Connection, session_id: str, columns: str, column: str, ids: Iterable[str]
) -> Iterator[tuple[str, str]]:
    for chunk, marks in _chunks(ids):
        yield from connection.execute(
            f"SELECT {columns} FROM events "  # noqa: S608 - from above
            f"WHERE session_id = ? AND rank != 0 AND {column} IN ({marks})",
            [session_id, *chunk],
        )


def has_folded(connection: sqlite3.Connection) -> bool:
    """Whether any event is shown as a part of another."""
    return connection.execute("SELECT 1 FROM events WHERE rank < 0 LIMIT 1").fetchone() is not None


def outer_events(connection: sqlite3.Connection, session_id: str) -> dict[str, str]:
    """By event of a session that is shown as a part of another: that other one."""
    return _outer(
        connection.execute(
            "SELECT event_id, patch FROM events WHERE session_id = ? AND rank < 0", (session_id,)
        ).fetchall()
    )


def visible_event(connection: sqlite3.Connection, event_id: str) -> str:
    """The event that shows this one: itself, where it is not shown as a part of another."""
    for _ in range(MOST):
        row = connection.execute(
            "SELECT event_id, patch FROM events WHERE event_id = ? AND rank < 0", (event_id,)
        ).fetchone()
        outer = _outer([row] if row else [])
        if not outer:
            break
        event_id = outer[event_id]
    return event_id


def _outer(rows: Sequence[tuple[str, str]]) -> dict[str, str]:
    targets = ((event_id, folded_into(orjson.loads(patch))) for event_id, patch in rows)
    return {event_id: target for event_id, target in targets if target is not None}
