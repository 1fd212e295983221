"""What programs have lost, told in the store that they write to, for whoever looks at it.

Pure but for the store that is passed in. A program's counts die with it; as a note in the store
they outlive it, and the page can say that what it shows is not all. Invariant: a program has one
note, which holds all of its losses so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.model.ids import now_ns
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["KIND", "Loss", "forgotten", "note", "recent", "stale"]

KIND = "sessiontrace.losses"

_RECENT_MS = 86_400_000
_STALE_MS = 30 * 86_400_000
_SHOWN = 20


@attrs.frozen
class Loss:
    """What one process has lost: ``counts`` of records by what became of them.

    ``at``: when it was last told, Unix ms. ``id`` names the process's note.
    """

    id: str
    service: str
    pid: int
    at: int
    counts: Mapping[str, int]


def note(id: str, service: str, pid: int, counts: Mapping[str, int]) -> Document:
    """The note that tells of them."""
    now = now_ns() // 1_000_000
    return Document(
        KIND, id, now, {"service": service, "pid": pid, "at": now, "counts": dict(counts)}
    )


def forgotten(id: str) -> Document:
    """Takes a note away: somebody has read it."""
    return Document(KIND, id, 0, None)


def recent(store: Store, now: int | None = None) -> list[Loss]:
    """Losses told within the last day, latest first."""
    since = (now_ns() // 1_000_000 if now is None else now) - _RECENT_MS
    found = [_loss(one) for one in store.notes(KIND, 0, 10 * _SHOWN)[0]]
    latest = sorted((one for one in found if one.at >= since), key=lambda one: -one.at)
    return latest[:_SHOWN]


def stale(store: Store) -> list[Document]:
    """What takes away the notes that nobody will read any more, some at a time."""
    before = now_ns() // 1_000_000 - _STALE_MS
    oldest, _ = store.notes(KIND, 0, _SHOWN, oldest_first=True)
    return [forgotten(one.id) for one in oldest if _loss(one).at < before]


def _loss(one: Document) -> Loss:
    body: Mapping[str, Any] = one.body or {}
    counts = body.get("counts")
    at, pid = body.get("at"), body.get("pid")
    return Loss(
        one.id,
        str(body.get("service") or ""),
        pid if isinstance(pid, int) else 0,
        at if isinstance(at, int) else one.at,
        counts if isinstance(counts, dict) else {},
    )
