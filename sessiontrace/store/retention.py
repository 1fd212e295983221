"""How long a store keeps sessions, and how large it may become.

Called on threads that write. Invariants: every program deletes by the rule that the server stored,
and by the default only when no rule is stored; each step is small, and the store logs it. A clock
that jumps ahead deletes nothing.
"""

from __future__ import annotations

from typing import Any

import attrs

from sessiontrace.model.ids import now_ns
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["Retention", "agree", "agreed", "trim"]

_KIND, _ID = "sessiontrace.retention", "store"


@attrs.frozen
class Retention:
    """Limits: days of use since a session was last written, bytes of the file; None: no limit."""

    days: float | None = 30.0
    most_bytes: int | None = 2 << 30


def agree(store: Store, retention: Retention) -> None:
    """Store the rule."""
    if agreed(store, None) != retention:
        body = attrs.asdict(retention)
        store.write((), [Document(_KIND, _ID, now_ns() // 1_000_000, body)])


def agreed(store: Store, otherwise: Retention | None = Retention()) -> Retention | None:
    """The stored rule; ``otherwise`` when there is none, or one that cannot be read."""
    body = store.document(_KIND, _ID)
    if body is None:
        return otherwise
    days, most = body.get("days"), body.get("most_bytes")
    if not all(value is None or _positive(value) for value in (days, most)):
        return otherwise
    return Retention(days, most)


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def trim(store: Store, retention: Retention, sessions: int = 200) -> int:
    """Delete at most ``sessions`` sessions beyond the limits; returns how many."""
    if retention.days is None and retention.most_bytes is None:
        return 0
    before = None
    if retention.days is not None:
        before = store.cutoff(retention.days)
    return store.trim(before, retention.most_bytes, sessions)
