"""How much a store keeps: what its server was told, for every program that writes to it.

Called on threads that write. Invariant: a program deletes by the rule that the server left in the
store, and by the default only where none was left; each step of it is small.
"""

from __future__ import annotations

from typing import Any

import attrs

from sessiontrace.model.ids import now_ns
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["Retention", "agree", "agreed", "trim"]

_KIND, _ID = "sessiontrace.retention", "store"
_DAY_MS = 86_400_000


@attrs.frozen
class Retention:
    """How much is kept: days since a session was last written to, bytes of the file; None: all."""

    days: float | None = 30.0
    most_bytes: int | None = 2 << 30


def agree(store: Store, retention: Retention) -> None:
    """Leave the rule in the store."""
    if agreed(store, None) != retention:
        body = attrs.asdict(retention)
        store.write((), [Document(_KIND, _ID, now_ns() // 1_000_000, body)])


def agreed(store: Store, otherwise: Retention | None = Retention()) -> Retention | None:
    """The rule in the store; ``otherwise`` where none was left, or one that cannot be read."""
    body = store.note(_KIND, _ID)
    if body is None:
        return otherwise
    days, most = body.get("days"), body.get("most_bytes")
    if not all(value is None or _positive(value) for value in (days, most)):
        return otherwise
    return Retention(days, most)


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def trim(store: Store, retention: Retention, sessions: int = 200) -> int:
    """Delete at most ``sessions`` sessions that are beyond it; how many."""
    if retention.days is None and retention.most_bytes is None:
        return 0
    before = None
    if retention.days is not None:
        before = now_ns() // 1_000_000 - round(retention.days * _DAY_MS)
    return store.trim(before, retention.most_bytes, sessions)
