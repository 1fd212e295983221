"""The form of ``columns_of`` in Python, which is the specification; see ``event_columns``."""

from __future__ import annotations

from typing import Any

from sessiontrace.model.call_usage import is_cached
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store import summary_fields

__all__ = ["Columns", "columns_of"]

Columns = tuple[str | None, str, str, int, int | None, float | None, str, str | None, int, int, int]
"""Parent, type, name, start, end, duration, status, error, tokens, cost in 10**-9, unpriced."""


def columns_of(event: dict[str, Any]) -> Columns:
    """The columns of an event that has ended, from its fields.

    Tokens and cost are 0 for a step that calls no model; ``unpriced`` is 1 for a call that used
    tokens at an unknown cost.
    """
    kind = summary_fields.text(event.get("event_type")) or "chain"
    start = summary_fields.time(event, "start_time") or 0
    end = summary_fields.time(event, "end_time")
    tokens, cost_nano = 0, None
    if kind in CALL_TYPES:
        tokens, cost_nano = summary_fields.tokens(event), summary_fields.cost_nano(event)
    is_unpriced = kind in CALL_TYPES and cost_nano is None and tokens > 0 and not is_cached(event)
    return (
        summary_fields.text(event.get("parent_id")),
        kind,
        summary_fields.text(event.get("event_name")) or "unknown",
        start,
        end,
        summary_fields.duration(event, start, end),
        summary_fields.status(event),
        summary_fields.error(event),
        tokens,
        cost_nano or 0,
        int(is_unpriced),
    )
