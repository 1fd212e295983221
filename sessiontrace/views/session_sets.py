"""A set of sessions in numbers, for one that is compared with another.

Reads only. A percentile is the smallest value that so many of the values do not exceed. Invariant:
a set knows how many sessions the query finds beyond those that were read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.store.models import SessionQuery, SessionSummary, StepGroup
from sessiontrace.store.protocol import Store

__all__ = ["SESSIONS_MAX", "SessionSet", "compared_steps", "percentile", "read_set"]

SESSIONS_MAX = 10_000
"""Sessions of a set that are read, the latest ones."""

_PAGE = 500
_STEPS_MAX = 500  # rows: types and names of steps


@attrs.frozen
class SessionSet:
    """The sessions that a query finds, at most ``SESSIONS_MAX``; ``has_more``: there are others."""

    sessions: Sequence[SessionSummary]
    groups: Mapping[tuple[str, str], StepGroup]
    has_more: bool

    def as_json(self) -> dict[str, Any]:
        """Counts, totals, medians and 95th percentiles, and the mean of each score."""
        measures: dict[str, Sequence[float]] = {
            "duration": [session.duration for session in self.sessions],
            "steps": [session.events for session in self.sessions],
            "tokens": [session.tokens for session in self.sessions],
            "cost": [session.cost for session in self.sessions],
        }
        return {
            "sessions": len(self.sessions),
            "has_more": self.has_more,
            "failed": sum(
                session.error is not None or session.errors > 0 for session in self.sessions
            ),
            "errors": sum(session.errors for session in self.sessions),
            "unpriced": sum(session.unpriced for session in self.sessions),
            "reviewed": sum(session.reviewed is not None for session in self.sessions),
            "measures": {name: _measured(values) for name, values in measures.items()},
            "scores": _mean_scores(self.sessions),
        }


def read_set(store: Store, query: SessionQuery) -> SessionSet:
    """The set of a query's sessions, with the steps of all of them by type and name."""
    sessions: list[SessionSummary] = []
    query = attrs.evolve(query, limit=_PAGE)
    groups: dict[tuple[str, str], StepGroup] = {}
    while True:
        page = store.sessions(query)
        sessions += page.sessions
        for group in store.step_groups([summary.session_id for summary in page.sessions]):
            key = (group.type, group.name)
            groups[key] = groups[key].with_group(group) if key in groups else group
        if page.next is None or len(sessions) >= SESSIONS_MAX:
            return SessionSet(sessions, groups, page.next is not None)
        query = attrs.evolve(query, after=page.next)


def compared_steps(left: SessionSet, right: SessionSet) -> list[dict[str, Any]]:
    """The steps of two sets by type and name, those first whose time per session differs most."""
    keys = {*left.groups, *right.groups}
    rows = [
        {
            "type": key[0],
            "name": key[1],
            "left": _step(left, key),
            "right": _step(right, key),
        }
        for key in keys
    ]
    rows.sort(key=lambda row: (-_difference(row), row["type"], row["name"]))
    return rows[:_STEPS_MAX]


def _step(part: SessionSet, key: tuple[str, str]) -> dict[str, Any] | None:
    group = part.groups.get(key)
    if group is None:
        return None
    return {
        "steps": group.steps,
        "sessions": group.sessions,
        "per_session": group.steps / len(part.sessions),
        "failed": group.failed,
        "tokens": group.tokens,
        "cost": group.cost_nano / 1e9,
        **_measured(group.durations),
        "time_per_session": math.fsum(group.durations) / len(part.sessions),
    }


def _difference(row: Mapping[str, Any]) -> float:
    left, right = (
        0.0 if row[side] is None else float(row[side]["time_per_session"])
        for side in ("left", "right")
    )
    return abs(right - left)


def _measured(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "total": math.fsum(ordered),
        "median": percentile(ordered, 0.5),
        "p95": percentile(ordered, 0.95),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ``ordered`` values that this share of them does not exceed; 0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _mean_scores(sessions: Iterable[SessionSummary]) -> dict[str, dict[str, float]]:
    values: dict[str, list[float]] = {}
    for session in sessions:
        for name, score in session.scores.items():
            values.setdefault(name, []).append(score)
    return {
        name: {"mean": math.fsum(scores) / len(scores), "sessions": len(scores)}
        for name, scores in sorted(values.items())
    }
