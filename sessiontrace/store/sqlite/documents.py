"""Documents in the SQLite store, in the table ``notes``.

No thread owns it; the caller passes the connection. Invariant: a document is one row, named by kind
and id, and its body is a JSON object.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.store.models import Document

__all__ = ["document", "documents", "write"]

_MOST = 10_000


def write(connection: sqlite3.Connection, documents: Sequence[Document]) -> None:
    """Write or delete documents within the open transaction."""
    for document in documents:
        if document.body is None:
            connection.execute(
                "DELETE FROM notes WHERE kind = ? AND id = ?", (document.kind, document.id)
            )
        else:
            connection.execute(
                "INSERT INTO notes VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (document.kind, document.id, document.at, orjson.dumps(document.body).decode()),
            )


def document(connection: sqlite3.Connection, kind: str, id: str) -> Mapping[str, Any] | None:
    """The body of one document."""
    row = connection.execute(
        "SELECT body FROM notes WHERE kind = ? AND id = ?", (kind, id)
    ).fetchone()
    return None if row is None else _decoded(row[0])


def documents(
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
    decoded: dict[str, Any] = orjson.loads(body)
    return decoded
