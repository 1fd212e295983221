"""Notes in the SQLite store: what vendors' APIs remember beside records.

No thread owns it; over a connection it is given. Invariant: a note is one row, named by kind and
id, and its body is a JSON object.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.store.models import Document

__all__ = ["keep", "note", "notes"]

_MOST = 10_000


def keep(connection: sqlite3.Connection, given: Sequence[Document]) -> None:
    """Write notes, or take them away, in the transaction that is open."""
    for one in given:
        if one.body is None:
            connection.execute("DELETE FROM notes WHERE kind = ? AND id = ?", (one.kind, one.id))
        else:
            connection.execute(
                "INSERT INTO notes VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (one.kind, one.id, one.at, orjson.dumps(one.body).decode()),
            )


def note(connection: sqlite3.Connection, kind: str, id: str) -> Mapping[str, Any] | None:
    """The body of one note."""
    row = connection.execute(
        "SELECT body FROM notes WHERE kind = ? AND id = ?", (kind, id)
    ).fetchone()
    return None if row is None else _decoded(row[0])


def notes(
    connection: sqlite3.Connection, kind: str, skip: int, limit: int, oldest_first: bool
) -> tuple[Sequence[Document], int]:
    """A page of a kind, and how many there are."""
    count = connection.execute("SELECT count(*) FROM notes WHERE kind = ?", (kind,)).fetchone()[0]
    order = "at, id" if oldest_first else "at DESC, id DESC"
    rows = connection.execute(
        f"SELECT id, at, body FROM notes WHERE kind = ? ORDER BY {order} "  # noqa: S608 - from above
        "LIMIT ? OFFSET ?",
        (kind, max(0, min(limit, _MOST)), max(0, skip)),
    ).fetchall()
    return [Document(kind, name, at, _decoded(body)) for name, at, body in rows], int(count)


def _decoded(body: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(body)
    return found
