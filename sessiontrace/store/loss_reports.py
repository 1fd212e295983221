"""Reports of lost records, stored so that the page can show that something is missing.

Pure except for the store that is passed in. A program's counters end with it; a document in the
store outlives it. Invariant: a program has one document, which holds all of its losses so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from sessiontrace.model.ids import now_ns
from sessiontrace.store.models import Document

if TYPE_CHECKING:
    from sessiontrace.store.protocol import Store

__all__ = ["KIND", "Loss", "forgotten", "recent", "report", "stale"]

KIND = "sessiontrace.losses"

_RECENT_MS = 86_400_000
_STALE_DAYS = 30  # of use of the store
_SHOWN = 20


@attrs.frozen
class Loss:
    """The losses of one process: ``counts`` of records by reason.

    ``at``: time of the last report, Unix ms. ``id`` names the process's document.
    """

    id: str
    service: str
    pid: int
    at: int
    counts: Mapping[str, int]


def report(id: str, service: str, pid: int, counts: Mapping[str, int]) -> Document:
    """The document that reports these losses."""
    now = now_ns() // 1_000_000
    return Document(
        KIND, id, now, {"service": service, "pid": pid, "at": now, "counts": dict(counts)}
    )


def forgotten(id: str) -> Document:
    """The document that deletes a report, after someone has read it."""
    return Document(KIND, id, 0, None)


def recent(store: Store, now: int | None = None) -> list[Loss]:
    """Losses reported within the last day, latest first."""
    since = (now_ns() // 1_000_000 if now is None else now) - _RECENT_MS
    losses = [_loss(loss) for loss in store.documents(KIND, 0, 10 * _SHOWN)[0]]
    latest = sorted((loss for loss in losses if loss.at >= since), key=lambda loss: -loss.at)
    return latest[:_SHOWN]


def stale(store: Store) -> list[Document]:
    """The documents that delete old reports, some at a time."""
    before = store.cutoff(_STALE_DAYS)
    oldest, _ = store.documents(KIND, 0, _SHOWN, oldest_first=True)
    return [forgotten(document.id) for document in oldest if _loss(document).at < before]


def _loss(document: Document) -> Loss:
    body: Mapping[str, Any] = document.body or {}
    counts = body.get("counts")
    at, pid = body.get("at"), body.get("pid")
    return Loss(
        document.id,
        str(body.get("service") or ""),
        pid if isinstance(pid, int) else 0,
        at if isinstance(at, int) else document.at,
        counts if isinstance(counts, dict) else {},
    )
