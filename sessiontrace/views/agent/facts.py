"""A session or a step as one line of facts for a coding agent.

Pure. Invariant: numbers, times and words of our own are bare; all that was recorded is quoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from sessiontrace.model.step_types import SPAN_TYPES
from sessiontrace.store.models import (
    ABANDONED,
    CANCELLED,
    ENDED,
    OPEN,
    EventSummary,
    SessionSummary,
)
from sessiontrace.text.format import amount, cost, duration
from sessiontrace.views.agent.recorded import bare_id, quote

__all__ = ["moment", "session_line", "step_line"]

_STATUSES = frozenset({ABANDONED, CANCELLED, ENDED, OPEN})

_ERROR_WIDTH = 240


def moment(ms: int) -> str:
    """Unix ms as ISO 8601 in UTC, to the second; a time out of range as its number."""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def session_line(summary: SessionSummary, width: int = _ERROR_WIDTH) -> str:
    """Id, name, outcome, counts, user, times and error of a session, as one line."""
    return " · ".join(_session_facts(summary, width))


def _session_facts(summary: SessionSummary, width: int) -> Iterator[str]:
    yield f"session {bare_id(summary.session_id)}"
    yield quote(summary.name or "unnamed session", 90)
    yield summary.outcome if summary.status in _STATUSES else quote(summary.outcome, 20)
    yield duration(summary.duration)
    yield amount(summary.events, "step")
    if summary.errors:
        yield f"{amount(summary.errors, 'step')} failed"
    if summary.tokens:
        yield amount(summary.tokens, "token")
    if money := cost(summary.cost, summary.unpriced, summary.tokens):
        yield money
    if summary.user:
        yield f"user {quote(summary.user, 60)}"
    for name, value in list(summary.scores.items())[:5]:
        yield f"score {quote(str(name), 30)} {value:g}"
    yield f"started {moment(summary.start_time)}"
    yield f"last active {moment(summary.last_active or summary.end_time)}"
    if summary.error is not None:
        yield f"error {quote(summary.error, width)}"


def step_line(event: EventSummary, number: int, orphan: bool = False) -> str:
    """Number, type, name, duration, counts and error of a step, as one line."""
    return f"{number}. " + " · ".join(_step_facts(event, orphan))


def _step_facts(event: EventSummary, orphan: bool) -> Iterator[str]:
    kind = event.type if event.type in SPAN_TYPES else quote(event.type, 20)
    yield f"{'turn' if event.turn else kind} {quote(event.name, 90)}"
    yield "running" if event.duration is None else duration(event.duration)
    if event.status != ENDED:
        yield event.status if event.status in _STATUSES else quote(event.status, 20)
    if event.tokens:
        yield amount(event.tokens, "token")
    if money := cost(event.cost, event.unpriced, event.tokens):
        yield money
    if orphan:
        yield "its parent is missing"
    if event.error is not None:
        yield f"FAILED {quote(event.error, _ERROR_WIDTH)}"
