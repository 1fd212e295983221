"""Full-text search over names, inputs, outputs and errors, in an FTS5 table without content.

Written by whoever serves the store, in steps, behind the writers: indexing costs more than writing,
and an acknowledgement should not wait for it. Invariant: what is not indexed yet is in the queue.
The index holds words only; a changed event is indexed again as a new document, and what old
documents held is swept away when they outnumber the others.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson

from sessiontrace.store.merge import overlay

__all__ = ["HITS", "MOST_CHARS", "MOST_WORDS", "WORD", "expression", "index", "texts"]

WORD = re.compile(r"[^\W_]+")
MOST_CHARS = 64 << 10
_MOST_DEPTH = 12
MOST_WORDS = 16
_SPARE_DOCUMENTS = 50_000

HITS = (
    "id IN (SELECT session FROM search_documents WHERE document IN "
    "(SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT 50000))"
)
"""The condition on ``sessions`` that a session holds the words of an ``expression``."""

_EVENT = (
    "SELECT s.id, e.name, e.body, e.patch FROM events e JOIN sessions s "
    "ON s.session_id = e.session_id WHERE e.id = ?"
)
_SESSION = (
    "SELECT s.id, s.name, r.body, r.patch FROM session_records r JOIN sessions s "
    "ON s.session_id = r.session_id WHERE r.rowid = ?"
)


def expression(text: str) -> str | None:
    """What FTS5 is asked for: all words, the last one as a beginning; None without a word."""
    words = WORD.findall(text)[:MOST_WORDS]
    if not words:
        return None
    return " ".join(f'"{word}"' for word in words) + "*"


def index(connection: sqlite3.Connection, most: int) -> int:
    """Index at most ``most`` documents, in one transaction; how many are left."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        queued = [
            row[0]
            for row in connection.execute(
                "SELECT id FROM search_queue ORDER BY id LIMIT ?", (most,)
            )
        ]
        for number in queued:
            _add(connection, number)
        connection.executemany("DELETE FROM search_queue WHERE id = ?", [(one,) for one in queued])
        if len(queued) < most:
            _sweep(connection)
        left: int = connection.execute("SELECT count(*) FROM search_queue").fetchone()[0]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return left


def _add(connection: sqlite3.Connection, number: int) -> None:
    row = connection.execute(_EVENT if number > 0 else _SESSION, (abs(number),)).fetchone()
    if row is None:  # deleted since
        return
    session, name, body, patch = row
    record = orjson.loads(body) if body else {}
    if patch:
        record = overlay(record, orjson.loads(patch))
    made = connection.execute("INSERT INTO search_documents (session) VALUES (?)", (session,))
    text = " ".join(texts(name, record))[:MOST_CHARS]
    connection.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (made.lastrowid, text))


def texts(name: str | None, record: dict[str, Any]) -> Iterator[str]:
    """What search looks through: name, error, and the values of inputs and outputs."""
    yield name or ""
    for field in ("error", "inputs", "outputs"):
        yield from _strings(record.get(field), _MOST_DEPTH)


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:MOST_CHARS]
    elif isinstance(value, (int, float)):
        yield str(value)
    elif depth and isinstance(value, dict):
        for held in value.values():
            yield from _strings(held, depth - 1)
    elif depth and isinstance(value, list):
        for held in value:
            yield from _strings(held, depth - 1)


def _sweep(connection: sqlite3.Connection) -> None:
    """Start the index anew when most of it is of events that were deleted."""
    last, kept = connection.execute(
        "SELECT coalesce(max(document), 0), count(*) FROM search_documents"
    ).fetchone()
    if last - kept < max(_SPARE_DOCUMENTS, kept):
        return
    connection.execute("INSERT INTO search (search) VALUES ('delete-all')")
    connection.execute("DELETE FROM search_documents")
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'search_documents'")
    connection.execute("INSERT OR IGNORE INTO search_queue SELECT id FROM events")
    connection.execute("INSERT OR IGNORE INTO search_queue SELECT -rowid FROM session_records")
