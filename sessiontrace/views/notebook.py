"""A session's steps for a notebook, from the local store.

One short read. Invariant: the file is never created, written to or waited for longer than a quarter
of a second.
"""

from __future__ import annotations

from pathlib import Path

from sessiontrace.model.errors import StoreError
from sessiontrace.store.models import StoredSession
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.text.format import duration
from sessiontrace.text.html_tree import ROWS_MAX, TreeRow
from sessiontrace.views.step_tree import StepNode, depth_first, nested
from sessiontrace.views.tree import about

__all__ = ["stored_steps"]

_BUSY_S = 0.05
_LIMIT_S = 0.2


def stored_steps(path: Path, session_id: str) -> tuple[str, list[TreeRow], int] | None:
    """The session's facts, its first steps, and how many there are beyond them.

    None where the store does not have the session, or cannot be read.
    """
    store = SqliteStore(path, read_only=True, busy_s=_BUSY_S, limit_s=_LIMIT_S)
    try:
        stored = store.session(session_id, ROWS_MAX)
    except StoreError:
        return None
    finally:
        store.close()
    return None if stored is None else _rows(stored)


def _rows(stored: StoredSession) -> tuple[str, list[TreeRow], int]:
    rows = [_row(node) for node in depth_first(nested(stored))]
    return about(stored.summary), rows, stored.omitted


def _row(node: StepNode) -> TreeRow:
    event = node.event
    took = "running" if event.duration is None else duration(event.duration)
    return TreeRow(node.depth, event.name, " · ".join([node.kind, took, *node.notes]), event.error)
