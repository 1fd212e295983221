"""Full-text search over names, inputs, outputs and errors, in an FTS5 table without content.

The server fills the index in steps, after the writers: indexing costs more than writing, and an
acknowledgement should not wait for it. Invariant: an event that is not indexed yet comes after the
last indexed one, or is in the queue. The index holds words only; a changed event is indexed again
as a new document, and old documents are removed when they outnumber the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import orjson

from sessiontrace.store.facets import tags_in
from sessiontrace.store.folding import patched
from sessiontrace.store.judging.entries import JUDGEMENTS
from sessiontrace.store.search_text import text_of, words_of
from sessiontrace.store.sqlite import rows
from sessiontrace.store.sqlite.charts import hours
from sessiontrace.store.sqlite.transaction import transaction

__all__ = ["HITS", "expression", "index", "start_again", "unindexed"]

_SPARE_DOCUMENTS = 50_000

HITS = (
    "id IN (SELECT session FROM search_documents WHERE document IN "
    "(SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT 50000))"
)
"""The condition on ``sessions`` that a session holds the words of an ``expression``."""

_SESSIONS_AT_ONCE = 20
_SET_FACETS = "UPDATE sessions SET facets = ?, tags = ? WHERE session_id = ?"
_UNFACETED = "SELECT session_id FROM facet_queue LIMIT ?"
_QUEUED = "SELECT id FROM search_queue ORDER BY id LIMIT ?"
_EVENTS = (
    "SELECT s.id, e.name, e.body, e.patch FROM events e CROSS JOIN sessions s "
    "ON s.session_id = e.session_id WHERE "
)
_EVENT = _EVENTS + "e.id = ?"
_NEW = _EVENTS + "e.id > ? AND e.id <= ? ORDER BY e.id"
_SESSION = (
    "SELECT s.id, s.name, r.body, r.patch FROM session_records r JOIN sessions s "
    "ON s.session_id = r.session_id WHERE r.rowid = ?"
)

_Row = tuple[int, str | None, str | None, str | None]


def expression(text: str) -> str | None:
    """The FTS5 query for all words, the last one as a prefix; None without a word."""
    words = words_of(text)
    if not words:
        return None
    return " ".join(f'"{word}"' for word in words) + "*"


def index(connection: sqlite3.Connection, most: int) -> int:
    """Index at most ``most`` documents in one transaction; returns how many are left."""
    with transaction(connection):
        queued = [row[0] for row in connection.execute(_QUEUED, (most,))]
        _add(connection, (row for number in queued for row in _row(connection, number)))
        connection.executemany(
            "DELETE FROM search_queue WHERE id = ?", [(number,) for number in queued]
        )
        if len(queued) + _add_new(connection, most - len(queued)) < most:
            _sweep(connection)
        _gather_facets(connection)
        return unindexed(connection)


def unindexed(connection: sqlite3.Connection) -> int:
    """How many documents are left to index, including deleted new ones."""
    count: int = connection.execute(
        "SELECT (SELECT count(*) FROM search_queue) + (SELECT coalesce(max(id), 0) FROM events) "
        "- (SELECT upto FROM search_progress) + (SELECT count(*) FROM facet_queue)"
    ).fetchone()[0]
    return count


def _row(connection: sqlite3.Connection, number: int) -> list[_Row]:
    """The row that is queued under this number; empty when it was deleted since."""
    query = _EVENT if number > 0 else _SESSION
    records: list[_Row] = connection.execute(query, (abs(number),)).fetchall()
    return records


def _add_new(connection: sqlite3.Connection, most: int) -> int:
    upto: int = connection.execute("SELECT upto FROM search_progress").fetchone()[0]
    count, end = connection.execute(
        "SELECT count(*), max(id) FROM (SELECT id FROM events WHERE id > ? ORDER BY id LIMIT ?)",
        (upto, most),
    ).fetchone()
    if count:
        _add(connection, connection.execute(_NEW, (upto, end)))
        connection.execute("UPDATE search_progress SET upto = ?", (end,))
    return int(count)


def _add(connection: sqlite3.Connection, records: Iterable[_Row]) -> None:
    """Index documents, and record to which sessions they belong."""
    last = connection.execute(
        "SELECT seq FROM sqlite_sequence WHERE name = 'search_documents'"
    ).fetchone()
    first = last[0] + 1 if last else 1
    sessions: list[int] = []

    def documents() -> Iterator[tuple[int, str]]:
        for session, name, body, patch in records:
            sessions.append(session)
            yield first + len(sessions) - 1, _text(name, body, patch)

    connection.executemany("INSERT INTO search (rowid, text) VALUES (?, ?)", documents())
    connection.executemany("INSERT INTO search_documents VALUES (?, ?)", enumerate(sessions, first))


def _text(name: str | None, body: str | None, patch: str | None) -> str:
    record = patched(orjson.loads(body) if body else {}, patch)
    if patch is None or f'"{JUDGEMENTS}"' not in patch:
        return text_of(name, record)
    return text_of(name, record, orjson.loads(patch).get(JUDGEMENTS))


def _gather_facets(connection: sqlite3.Connection) -> None:
    """The facets of some sessions that an earlier version stored."""
    ids = [row[0] for row in connection.execute(_UNFACETED, (_SESSIONS_AT_ONCE,))]
    if not ids:
        return
    sessions = rows.load_sessions(connection, ids)
    for session in sessions.values():
        text = str(session.facets)
        connection.execute(_SET_FACETS, (text, tags_in(text), session.session_id))
    hours.note_changes(connection, (session.stored_active for session in sessions.values()))
    connection.executemany(
        "DELETE FROM facet_queue WHERE session_id = ?", [(session_id,) for session_id in ids]
    )


def _sweep(connection: sqlite3.Connection) -> None:
    """Empty the index, to fill it again, when most of it is from deleted events."""
    last, count = connection.execute(
        "SELECT coalesce(max(document), 0), count(*) FROM search_documents"
    ).fetchone()
    if last - count >= max(_SPARE_DOCUMENTS, count):
        start_again(connection)


def start_again(connection: sqlite3.Connection) -> None:
    """Empty the index, to fill it again in steps; inside the caller's transaction."""
    connection.execute("INSERT INTO search (search) VALUES ('delete-all')")
    connection.execute("DELETE FROM search_documents")
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'search_documents'")
    connection.execute("DELETE FROM search_queue WHERE id > 0")
    connection.execute("UPDATE search_progress SET upto = 0")
    connection.execute("INSERT OR IGNORE INTO search_queue SELECT -rowid FROM session_records")
