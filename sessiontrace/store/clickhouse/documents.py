"""Documents in ClickHouse, in the table ``notes``.

No thread owns it; the caller passes the connection. Invariant: of several versions of a document, a
read returns the last body and the time of the first version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.models import Document

__all__ = ["StoredVersion", "document", "documents", "versions"]

_MOST = 10_000
_LIVE = "FROM notes FINAL WHERE project = {project:String} AND kind = {kind:String} AND gone = 0"


def document(connection: Connection, project: str, kind: str, id: str) -> Mapping[str, Any] | None:
    """The body of one document."""
    rows = connection.query(
        Query(
            f"SELECT body {_LIVE} AND id = {{id:String}}",
            {"project": project, "kind": kind, "id": id},
        )
    )
    return _decoded(rows[0][0]) if rows else None


def documents(
    connection: Connection, project: str, kind: str, skip: int, limit: int, oldest_first: bool
) -> tuple[Sequence[Document], int]:
    """A page of a kind, and how many there are."""
    order = "at, id" if oldest_first else "at DESC, id DESC"
    values = {
        "project": project, "kind": kind, "limit": max(0, min(limit, _MOST)), "skip": max(0, skip),
    }  # fmt: skip
    page = f"SELECT id, at, body {_LIVE} ORDER BY {order}"
    page += " LIMIT {limit:UInt64} OFFSET {skip:UInt64}"
    rows, count = connection.ask_all(
        [Query(page, values), Query(f"SELECT count() {_LIVE}", values)]
    )
    return [Document(kind, name, at, _decoded(body)) for name, at, body in rows], int(count[0][0])


class StoredVersion(NamedTuple):
    """The last version of a document: its number, and the time of the first; None when deleted."""

    number: int
    at: int | None


def versions(
    connection: Connection, project: str, documents: Sequence[Document]
) -> dict[tuple[str, str], StoredVersion]:
    """The versions of the stored ones of these documents, deleted ones too, by kind and id."""
    text = (
        "SELECT kind, id, at, gone, version FROM notes FINAL WHERE project = {project:String} "
        "AND kind IN {kinds:Array(String)} AND id IN {ids:Array(String)}"
    )
    values = {
        "project": project, "kinds": sorted({document.kind for document in documents}),
        "ids": sorted({document.id for document in documents}),
    }  # fmt: skip
    return {
        (kind, name): StoredVersion(int(version), None if gone else at)
        for kind, name, at, gone, version in connection.query(Query(text, values))
    }


def _decoded(body: str) -> dict[str, Any]:
    decoded: dict[str, Any] = orjson.loads(body)
    return decoded
