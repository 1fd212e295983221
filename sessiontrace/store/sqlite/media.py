"""Media in the SQLite store: which there are, which sessions refer to them, and their removal.

Runs on the thread that writes; the caller passes the connection and the folder. Invariants: a file
is written before a record refers to it, and deleted within the transaction that deletes the last
session that does, while no other process can write.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.media.files import MediaFiles
from sessiontrace.store.media.limits import OVER_TOTAL, UNREADABLE, MediaLimits
from sessiontrace.store.media.references import Key, digests_in

__all__ = [
    "Unused",
    "keep",
    "remove_unused",
    "share",
    "size",
    "stored",
    "use",
    "used_by",
    "used_by_rows",
]

_IDS_AT_ONCE = 500
_UNCLAIMED_MS = 86_400_000
_UNUSED = (
    "SELECT bytes FROM media WHERE digest = ? AND digest NOT IN "
    "(SELECT digest FROM media_uses WHERE digest = media.digest)"
)


class Unused(NamedTuple):
    """Media that were deleted: how many, and their bytes; why others could not be."""

    media: int = 0
    size: int = 0
    failure: str = ""


def stored(connection: sqlite3.Connection, keys: Collection[Key]) -> dict[Key, str]:
    """The hashes of those of the media that are stored."""
    digests: dict[Key, str] = {}
    for key in keys:
        statement = "SELECT digest FROM media WHERE digest = ?"
        values: tuple[str | int, ...] = key[:1]
        if key[1] >= 0:
            statement, values = "SELECT digest FROM media WHERE head = ? AND bytes = ?", key
        if (row := connection.execute(statement, values).fetchone()) is not None:
            digests[key] = row[0]
    return digests


def size(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many media there are, and their bytes."""
    row = connection.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM media").fetchone()
    return int(row[0]), int(row[1])


def keep(
    connection: sqlite3.Connection,
    files: MediaFiles,
    key: Key,
    content: Iterable[bytes],
    limits: MediaLimits,
) -> str:
    """Write a medium to the folder, and its row; returns its hash, or why it is refused."""
    digest, length = files.put(content)
    reason = _refusal(connection, key, digest, length, limits)
    if reason:
        if not stored(connection, [(digest, -1)]):
            files.remove([digest])
        return reason
    head = key[0] if key[1] >= 0 else None
    now = time.time_ns() // 1_000_000
    connection.execute(
        "INSERT INTO media VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE "
        "SET head = coalesce(excluded.head, head), at = excluded.at",
        (digest, head, length, now),
    )
    return digest


def _refusal(
    connection: sqlite3.Connection, key: Key, digest: str, length: int, limits: MediaLimits
) -> str:
    is_whole = key[1] < 0
    if (is_whole and digest != key[0]) or (not is_whole and length != key[1]):
        return UNREADABLE
    return OVER_TOTAL if size(connection)[1] + length > limits.total_bytes else ""


def use(connection: sqlite3.Connection, decoded: Sequence[DecodedRecord]) -> None:
    """Note to which stored media the sessions of these records refer."""
    pairs = {
        (record.event["session_id"], digest)
        for record in decoded
        for digest in digests_in(record.body)
    }
    connection.executemany(
        "INSERT OR IGNORE INTO media_uses SELECT ?, digest FROM media WHERE digest = ?",
        sorted(pairs),
    )


def share(connection: sqlite3.Connection, source: str, target: str) -> None:
    """What one session refers to, another one does too: events move between them."""
    connection.execute(
        "INSERT OR IGNORE INTO media_uses SELECT ?, digest FROM media_uses WHERE session_id = ?",
        (target, source),
    )


def used_by(connection: sqlite3.Connection, session_ids: Sequence[str]) -> set[str]:
    """The media that these sessions refer to."""
    digests: set[str] = set()
    for start in range(0, len(session_ids), _IDS_AT_ONCE):
        chunk = session_ids[start : start + _IDS_AT_ONCE]
        marks = ",".join("?" * len(chunk))
        statement = f"SELECT digest FROM media_uses WHERE session_id IN ({marks})"  # noqa: S608
        digests.update(digest for (digest,) in connection.execute(statement, chunk))
    return digests


def used_by_rows(connection: sqlite3.Connection, rows: Sequence[tuple[int]]) -> set[str]:
    """The media that the sessions in these rows refer to."""
    statement = "SELECT digest FROM media_uses JOIN sessions USING (session_id) WHERE id = ?"
    return {digest for row in rows for (digest,) in connection.execute(statement, row)}


def remove_unused(
    connection: sqlite3.Connection, digests: Iterable[str], files: MediaFiles
) -> Unused:
    """Delete those of the media that no session refers to, within the open transaction.

    Media that no record has ever referred to go with them after a day.
    """
    unclaimed = connection.execute(
        "SELECT digest FROM media WHERE at < ? AND digest NOT IN (SELECT digest FROM media_uses)",
        (time.time_ns() // 1_000_000 - _UNCLAIMED_MS,),
    )
    sizes: list[int] = []
    failure = ""
    for digest in sorted({*digests, *(digest for (digest,) in unclaimed)}):
        row = connection.execute(_UNUSED, (digest,)).fetchone()
        if row is None:
            continue
        try:
            files.remove([digest])
        except OSError as error:  # its row stays, so that retention tries again
            failure = f"a file of media cannot be deleted: {error.strerror}"
            continue
        connection.execute("DELETE FROM media WHERE digest = ?", (digest,))
        sizes.append(row[0])
    return Unused(len(sizes), sum(sizes), failure)
