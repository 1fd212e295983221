"""How long a store keeps sessions, and how large it may become.

Called on threads that write. Invariants: every program deletes by the rule that the server stored,
and by the default only when no rule is stored; each step is small, and the store logs it. A clock
that jumps ahead deletes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.model.ids import now_ns
from sessiontrace.store.models import Document, Overdue
from sessiontrace.store.protocol import Store

__all__ = [
    "AGE",
    "BY_HAND",
    "DELETIONS",
    "SIZE",
    "Retention",
    "RetentionChange",
    "agree",
    "agreed",
    "deletions",
    "overdue",
    "trim",
    "with_deletion",
]

_KIND, _ID = "sessiontrace.retention", "store"

DELETIONS = "sessiontrace.deletions"
"""The kind of the documents that count what was deleted, one for each day (UTC)."""

AGE, SIZE, BY_HAND = "age", "size", "by hand"
"""Why sessions are deleted."""

_DAYS_SHOWN = 30


@attrs.frozen
class Retention:
    """Limits: days of use since a session was last written, bytes of the file; None: no limit."""

    days: float | None = 30.0
    most_bytes: int | None = 2 << 30


@attrs.frozen
class RetentionChange:
    """Limits to change in a stored rule: None leaves one as it is, 0 removes it."""

    days: float | None = None
    most_bytes: int | None = None

    def of(self, rule: Retention) -> Retention:
        """The rule with these changes."""
        return Retention(
            rule.days if self.days is None else self.days or None,
            rule.most_bytes if self.most_bytes is None else self.most_bytes or None,
        )


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


def overdue(store: Store, retention: Retention) -> Overdue:
    """What ``trim`` would delete in all by this rule, as the store is now."""
    before = None if retention.days is None else store.cutoff(retention.days)
    return store.overdue(before, retention.most_bytes)


def with_deletion(
    body: Mapping[str, Any] | None, reason: str, sessions: int, media: int, media_bytes: int
) -> dict[str, Any]:
    """The body of a day's document, with one deletion more."""
    counts = dict(body or {})
    for name, count in ((reason, sessions), ("media", media), ("media_bytes", media_bytes)):
        before = counts.get(name)
        counts[name] = (before if isinstance(before, int) else 0) + count
    return counts


def deletions(store: Store) -> list[dict[str, Any]]:
    """What was deleted on each of the last 30 days with a deletion, latest first."""
    return [
        {"day": document.id, **(document.body or {})}
        for document in store.documents(DELETIONS, 0, _DAYS_SHOWN)[0]
    ]


def trim(store: Store, retention: Retention, sessions: int = 200) -> int:
    """Delete at most ``sessions`` sessions beyond the limits; returns how many."""
    if retention.days is None and retention.most_bytes is None:
        return 0
    before = None
    if retention.days is not None:
        before = store.cutoff(retention.days)
    return store.trim(before, retention.most_bytes, sessions)
