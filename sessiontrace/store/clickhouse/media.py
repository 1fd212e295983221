"""Media in ClickHouse: a table of their bytes, so that every server of the database has them.

No thread owns it; the caller passes the connection. Invariants: a medium is a row of its project,
in base64, which JSON can carry; a medium that is used again after a day is written again, so that
it outlives the records that refer to it.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.media.limits import OVER_TOTAL, UNREADABLE, MediaLimits
from sessiontrace.store.media.references import Key, digests_in

__all__ = [
    "Unused",
    "keep",
    "medium",
    "remove_unused",
    "share",
    "size",
    "stored",
    "used_by",
    "uses",
]

_DAY_S = 86_400
_STORED = (
    "SELECT digest, head, bytes, toUnixTimestamp(max(written)) FROM media "
    "WHERE project = {project:String} AND (digest IN {keys:Array(String)} "
    "OR head IN {keys:Array(String)}) GROUP BY digest, head, bytes"
)
_AGAIN = (
    "INSERT INTO media (project, digest, head, bytes, data) "
    "SELECT project, digest, head, bytes, data FROM media FINAL "
    "WHERE project = {project:String} AND digest IN {digests:Array(String)}"
)
_SIZE = (
    "SELECT count(), sum(size) FROM (SELECT digest, any(bytes) AS size FROM media "
    "WHERE project = {project:String} GROUP BY digest)"
)
_MEDIUM = (
    "SELECT data FROM media WHERE project = {project:String} AND digest = {digest:String} LIMIT 1"
)
_USED_BY = (
    "SELECT DISTINCT digest FROM media_uses "
    "WHERE project = {project:String} AND session_id IN {sessions:Array(String)}"
)
_STILL_USED = (
    "SELECT DISTINCT digest FROM media_uses "
    "WHERE project = {project:String} AND digest IN {digests:Array(String)}"
)
_SIZES = (
    "SELECT digest, any(bytes) FROM media "
    "WHERE project = {project:String} AND digest IN {digests:Array(String)} GROUP BY digest"
)
_REMOVE = (
    "ALTER TABLE media DELETE WHERE project = {project:String} "
    "AND digest IN {digests:Array(String)} SETTINGS mutations_sync = 2"
)
_SHARE = (
    "INSERT INTO media_uses (project, session_id, digest) "
    "SELECT DISTINCT project, {target:String}, digest FROM media_uses "
    "WHERE project = {project:String} AND session_id = {source:String}"
)


class Unused(NamedTuple):
    """Media that were deleted: how many, and their bytes."""

    media: int = 0
    size: int = 0


def stored(connection: Connection, project: str, keys: Collection[Key]) -> dict[Key, str]:
    """The hashes of those of the media that are stored."""
    values = {"project": project, "keys": sorted({key[0] for key in keys})}
    digests: dict[Key, str] = {}
    old: list[str] = []
    for digest, head, length, written in connection.query(Query(_STORED, values)):
        for key in ((digest, -1), (head, int(length))):
            if key in keys:
                digests[key] = digest
        if int(written) < time.time() - _DAY_S:
            old.append(digest)
    if old:
        connection.run(Query(_AGAIN, {"project": project, "digests": old}))
    return digests


def keep(
    connection: Connection, project: str, key: Key, content: Iterable[bytes], limits: MediaLimits
) -> str:
    """Insert a medium; returns its hash, or why it is refused."""
    data = b"".join(content)
    digest = hashlib.sha256(data).hexdigest()
    if (digest != key[0]) if key[1] < 0 else (len(data) != key[1]):
        return UNREADABLE
    if size(connection, project)[1] + len(data) > limits.total_bytes:
        return OVER_TOTAL
    row: dict[str, Sequence[Any]] = {
        "project": [project],
        "digest": [digest],
        "head": [key[0] if key[1] >= 0 else ""],
        "bytes": [len(data)],
        "data": [base64.b64encode(data).decode()],
    }
    connection.insert({"media": row})
    return digest


def medium(connection: Connection, project: str, digest: str) -> bytes | None:
    """The bytes of a medium."""
    rows = connection.query(Query(_MEDIUM, {"project": project, "digest": digest}))
    return base64.b64decode(rows[0][0]) if rows else None


def size(connection: Connection, project: str) -> tuple[int, int]:
    """How many media a project has, and their bytes."""
    count, total = connection.query(Query(_SIZE, {"project": project}))[0]
    return int(count), int(total)


def uses(project: str, decoded: Sequence[DecodedRecord]) -> Mapping[str, Sequence[Any]]:
    """The columns that say which sessions refer to which media; empty where none do."""
    pairs = sorted(
        {
            (record.event["session_id"], digest)
            for record in decoded
            for digest in digests_in(record.body)
        }
    )
    if not pairs:
        return {}
    return {
        "project": [project] * len(pairs),
        "session_id": [session_id for session_id, _ in pairs],
        "digest": [digest for _, digest in pairs],
    }


def share(connection: Connection, project: str, source: str, target: str) -> None:
    """What one session refers to, another one does too: events move between them."""
    connection.run(Query(_SHARE, {"project": project, "source": source, "target": target}))


def used_by(connection: Connection, project: str, session_ids: Sequence[str]) -> list[str]:
    """The media that these sessions refer to."""
    rows = connection.query(Query(_USED_BY, {"project": project, "sessions": list(session_ids)}))
    return [digest for (digest,) in rows]


def remove_unused(connection: Connection, project: str, digests: Sequence[str]) -> Unused:
    """Delete those of the media that no session refers to any more."""
    if not digests:
        return Unused()
    used = connection.query(Query(_STILL_USED, {"project": project, "digests": list(digests)}))
    unused = sorted(set(digests) - {digest for (digest,) in used})
    values = {"project": project, "digests": unused}
    sizes = connection.query(Query(_SIZES, values))
    if sizes:
        connection.run(Query(_REMOVE, values))
    return Unused(len(sizes), sum(int(length) for _, length in sizes))
