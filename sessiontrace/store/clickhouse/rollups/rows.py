"""The roll-up of a session with late updates, from its summary and its calls as they are now.

Pure. Invariant: it has the columns of a row that ClickHouse makes of a session without late
updates, in the same order (``COLUMNS``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sessiontrace.store.clickhouse.rollups.time_codes import code
from sessiontrace.store.dashboard.measures import CallMeasures
from sessiontrace.store.models import SessionSummary

__all__ = ["rollup"]

_NO_SCORE = -9e99


def rollup(
    summary: SessionSummary,
    texts: tuple[Sequence[str], Sequence[str]],
    calls: Mapping[str, CallMeasures],
    written: int,
    at: int,
) -> tuple[Any, ...]:
    """The row. ``texts``: facets, and names in lower case; ``calls`` by model; ``written`` in s."""
    failed = summary.error is not None or summary.errors > 0
    scores = summary.scores
    means = [round(score * 1e9) for score in scores.values()]
    own = calls.values()
    return (
        summary.session_id, summary.start_time, summary.last_active, int(failed),
        max(summary.end_time, summary.start_time) - summary.start_time,
        summary.name or "", summary.user or "", summary.source or "", summary.duration,
        summary.outcome, summary.events, summary.errors, summary.models, summary.tokens,
        round(summary.cost * 1e9), summary.unpriced, list(scores), means, [1] * len(means),
        sum(means) / len(means) if means else _NO_SCORE, 0, *texts, list(calls),
        [call.calls for call in own], [call.errors for call in own], [call.tokens for call in own],
        [call.cost_nano for call in own], [call.unpriced for call in own],
        [[code(time) for time in call.latencies] for call in own],
        [[code(time) for time in call.first_chunks] for call in own], written, at,
    )  # fmt: skip
