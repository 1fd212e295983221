"""API keys, which may send to a project, read it, or both; stored as documents.

Pure except for the clock and the random bits; the caller passes the store. Invariant: a store holds
only hashes. A key is 256 random bits, so that its plain SHA-256 cannot be reversed and needs no
salt. A browser gets the key's *pass*, derived from it by HMAC, which opens the page and nothing
else; the store holds only the hash of the pass, too.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from datetime import datetime, timezone
from typing import Any

import attrs

from sessiontrace.model.errors import StoreError
from sessiontrace.model.secret import Secret
from sessiontrace.store.models import DEFAULT_PROJECT, Document
from sessiontrace.store.protocol import Store

__all__ = [
    "BOTH", "INGEST", "MAY", "READ", "Key", "active", "add", "hashed", "is_project", "pass_of",
    "revoke",
]  # fmt: skip

INGEST = "ingest"
READ = "read"
BOTH = "both"
MAY = (INGEST, READ, BOTH)
"""Permissions of a key."""

_KIND = "api-key"
_MOST = 10_000
_PREFIX = "st-"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME_CHARS = 100
_SHORTEST_ID = 4


@attrs.frozen
class Key:
    """A stored key: ``hash`` and ``pass_hash`` in hex, ``at`` in Unix ms.

    Its id, for ``list`` and ``revoke``, is the start of ``hash``.
    """

    hash: str
    pass_hash: str
    name: str
    project: str
    may: str
    at: int

    @property
    def id(self) -> str:
        return self.hash[:12]

    def created(self) -> str:
        """When the key was created, in UTC, to the minute."""
        return datetime.fromtimestamp(self.at / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M")

    def allows(self, need: str) -> bool:
        """Whether the key has the permission ``need``; ``BOTH`` needs both."""
        return self.may in (BOTH, need)


def hashed(key: str) -> str:
    """The hash of a key or a pass, as the store holds it."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def pass_of(key: str) -> str:
    """The pass of a key, for a browser."""
    return hmac.new(key.encode(), b"sessiontrace browser pass", hashlib.sha256).hexdigest()


def is_project(name: str) -> bool:
    """Whether a project may have this name."""
    return _PROJECT.fullmatch(name) is not None


def add(store: Store, name: str, project: str = DEFAULT_PROJECT, may: str = BOTH) -> Secret:
    """Create a key, store its hashes, and return the key, which cannot be shown again.

    Raises ``StoreError`` for an invalid project or name.
    """
    if not is_project(project):
        raise StoreError(
            f"{project!r} is not a project name: use a-z, 0-9, - and _, at most 63 characters"
        )
    if not name.strip() or len(name) > _NAME_CHARS or not name.isprintable():
        raise StoreError(f"the name of a key must have 1 to {_NAME_CHARS} printable characters")
    assert may in MAY
    key = _PREFIX + secrets.token_urlsafe(32)
    body = {"name": name.strip(), "project": project, "may": may, "pass": hashed(pass_of(key))}
    store.write([], [Document(_KIND, hashed(key), time.time_ns() // 1_000_000, body)])
    return Secret(key)


def active(store: Store) -> list[Key]:
    """The active keys, oldest first; 10 000 at most."""
    documents, _ = store.documents(_KIND, limit=_MOST, oldest_first=True)
    return [key for document in documents if (key := _key(document)) is not None]


def revoke(
    store: Store, name_or_id: str, project: str | None = None, *, every: bool = False
) -> list[Key]:
    """Revoke the key of this name, or the one whose id has this prefix; returns what it revoked.

    ``project``: only keys of this project. ``every``: all keys of the name, which are several while
    a key is being replaced. Raises ``StoreError`` when no key matches, and when several do: the
    message names them.
    """
    keys = [key for key in active(store) if project in (None, key.project)]
    matches = [key for key in keys if key.name == name_or_id]
    if len(projects := sorted({key.project for key in matches})) > 1:
        raise StoreError(
            f"keys of several projects have this name ({', '.join(projects)}): add --project NAME, "
            "or revoke one of them by its id"
        )
    if len(matches) > 1 and not every:
        ids = ", ".join(f"{key.id} (created {key.created()})" for key in matches)
        raise StoreError(
            f"{len(matches)} keys have this name: {ids}; revoke one by its id, or all with --all"
        )
    if not matches and len(name_or_id) >= _SHORTEST_ID:
        matches = [key for key in keys if key.hash.startswith(name_or_id.lower())]
        if len(matches) > 1:
            ids = ", ".join(key.id for key in matches)
            raise StoreError(f"several keys start with {name_or_id}, use a longer prefix: {ids}")
    if not matches:
        where = "" if project is None else f" in project {project!r}"
        raise StoreError(f"no key{where} has this name or id; `sessiontrace keys list` shows them")
    store.write([], [Document(_KIND, key.hash, key.at, None) for key in matches])
    return matches


def _key(document: Document) -> Key | None:
    body: dict[str, Any] = dict(document.body or {})
    name, project, may, opens = (body.get(name) for name in ("name", "project", "may", "pass"))
    if not all(isinstance(value, str) for value in (name, project, may, opens)) or may not in MAY:
        return None  # from a later version: refuse the key rather than grant it too much
    return Key(document.id, str(opens), str(name), str(project), str(may), document.at)
