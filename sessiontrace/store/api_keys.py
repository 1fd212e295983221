"""API keys: who may send to a project, read it, or both; kept in a store as notes.

Pure but for the clock and the source of random bits; whoever calls holds the store. Invariant: a
store knows only hashes. A key is 256 random bits, so a plain SHA-256 of it cannot be turned back,
and needs no salt. A browser is given the key's *pass*, made from it by HMAC, which opens the page
and is worth nothing anywhere else; of that too the store holds the hash alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from typing import Any

import attrs

from sessiontrace.model.errors import StoreError
from sessiontrace.model.secret import Secret
from sessiontrace.store.models import DEFAULT_PROJECT, Document
from sessiontrace.store.protocol import Store

__all__ = ["BOTH", "INGEST", "MAY", "READ", "Key", "active", "add", "hashed", "pass_of", "revoke"]

INGEST = "ingest"
READ = "read"
BOTH = "both"
MAY = (INGEST, READ, BOTH)
"""What a key may do."""

_KIND = "api-key"
_MOST = 10_000
_PREFIX = "st-"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME_CHARS = 100


@attrs.frozen
class Key:
    """A key as the store knows it: ``hash`` and ``pass_hash`` in hex, ``at`` Unix ms.

    ``hash`` begins with what ``list`` and ``revoke`` call its id.
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

    def allows(self, need: str) -> bool:
        """Whether it may do ``need``; for ``BOTH`` it must be allowed both."""
        return self.may in (BOTH, need)


def hashed(key: str) -> str:
    """What a store keeps of a key or a pass."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def pass_of(key: str) -> str:
    """What a browser is given for a key."""
    return hmac.new(key.encode(), b"sessiontrace browser pass", hashlib.sha256).hexdigest()


def add(store: Store, name: str, project: str = DEFAULT_PROJECT, may: str = BOTH) -> Secret:
    """Make a key and keep its hashes; the key itself, which nobody can be told again.

    Raises ``StoreError`` for a project or name that cannot be.
    """
    if not _PROJECT.fullmatch(project):
        raise StoreError(f"{project!r} is no project's name: a-z, 0-9, - and _, at most 63 of them")
    if not name.strip() or len(name) > _NAME_CHARS or not name.isprintable():
        raise StoreError(f"a key needs a name, of at most {_NAME_CHARS} characters")
    assert may in MAY
    key = _PREFIX + secrets.token_urlsafe(32)
    body = {"name": name.strip(), "project": project, "may": may, "pass": hashed(pass_of(key))}
    store.write([], [Document(_KIND, hashed(key), time.time_ns() // 1_000_000, body)])
    return Secret(key)


def active(store: Store) -> list[Key]:
    """The keys that are good, oldest first; 10 000 at most."""
    found, _ = store.notes(_KIND, limit=_MOST, oldest_first=True)
    return [key for note in found if (key := _key(note)) is not None]


def revoke(store: Store, which: str) -> list[Key]:
    """Take back the keys of this name, or the one whose id begins so; which they were.

    Raises ``StoreError`` when there is none, or when an id's beginning is that of several.
    """
    known = active(store)
    gone = [key for key in known if key.name == which]
    if not gone and len(which) >= 4:
        gone = [key for key in known if key.hash.startswith(which.lower())]
        if len(gone) > 1:
            raise StoreError(f"several keys begin with {which}: {', '.join(_ids(gone))}")
    if not gone:
        raise StoreError("no key has this name or id; `sessiontrace keys list` shows them")
    store.write([], [Document(_KIND, key.hash, key.at, None) for key in gone])
    return gone


def _ids(keys: Iterable[Key]) -> list[str]:
    return [key.id for key in keys]


def _key(note: Document) -> Key | None:
    body: dict[str, Any] = dict(note.body or {})
    name, project, may, opens = (body.get(name) for name in ("name", "project", "may", "pass"))
    if not all(isinstance(one, str) for one in (name, project, may, opens)) or may not in MAY:
        return None  # of a version to come: better no key than one that may too much
    return Key(note.id, str(opens), str(name), str(project), str(may), note.at)
