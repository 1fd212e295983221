"""Which groups of a breakdown come first.

Pure, no thread owns it. Invariant: the order does not depend on the order in which groups were
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sessiontrace.store.dashboard.models import Breakdown, Figures, Group

__all__ = ["MOST_GROUPS", "RANKS", "SUMS", "breakdown_of", "place"]

MOST_GROUPS = 100
"""So many groups are shown."""

Measure = Callable[[Figures], float]

SUMS: dict[str, Measure] = {
    "cost": lambda figures: figures.cost_nano,
    "sessions": lambda figures: figures.sessions,
    "failed": lambda figures: figures.failed,
    "errors": lambda figures: figures.errors,
    "tokens": lambda figures: figures.tokens,
    "steps": lambda figures: figures.steps,
}
"""What groups may be ordered by, the greatest first, and needs no percentiles."""

RANKS: dict[str, Measure] = SUMS | {
    "p50": lambda figures: _level(figures, 0),
    "p95": lambda figures: _level(figures, 1),
    "p99": lambda figures: _level(figures, 2),
    "first_chunk": lambda figures: figures.first_chunk[1] if figures.first_chunk else -1,
}
"""What groups may be ordered by, the greatest first."""


def place(rank: str, group: Group) -> tuple[float, float, float, str]:
    """The key by which groups are ordered."""
    measure, figures, before = RANKS[rank], group.figures, group.before
    return -measure(figures), -figures.sessions, -measure(before), group.value or ""


def breakdown_of(groups: Iterable[Group], rank: str, most: int) -> Breakdown:
    """The first of the groups."""
    ordered = sorted(groups, key=lambda group: place(rank, group))
    return Breakdown(ordered[:most], max(0, len(ordered) - most))


def _level(figures: Figures, at: int) -> float:
    return figures.latency[at] if figures.latency else -1
