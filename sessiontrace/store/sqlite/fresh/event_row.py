"""The row of an event in SQLite.

Pure, no thread owns it. Invariant: texts that most rows lack are 0 in a row: for None, as for a
bool, the sqlite3 module looks up an adapter each time, which costs as much as a column of an index.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.store.folding import EventState

__all__ = ["COLUMNS", "Row", "event_row"]

COLUMNS = (
    "event_id", "session_id", "parent_id", "type", "name", "start_time", "end_time", "duration",
    "status", "turn", "error", "tokens", "cost_nano", "unpriced", "rank", "body", "patch",
)  # fmt: skip

Row = tuple[Any, ...]
"""Values in the order of ``COLUMNS``."""


def event_row(event: EventState) -> Row:
    """The row that holds an event; its rank is negative where another event shows it."""
    return (
        event.event_id, event.session_id, event.parent_id, event.type, event.name,
        event.start_time, event.end_time, event.duration, event.status, int(event.turn),
        0 if event.error is None else event.error, event.tokens, event.cost_nano, event.unpriced,
        -event.rank if event.folded else event.rank, event.body,
        0 if event.patch is None else event.patch,
    )  # fmt: skip
