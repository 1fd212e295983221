"""Which stored model calls belong together, so that they may be one call recorded twice.

Used on the thread that writes. Invariant: whichever of the calls the search begins at, it ends with
the same ones, and it gives up beyond ``MOST`` calls, whatever a sender nests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sessiontrace.store.models import StoredCall

__all__ = [
    "LATE_MS",
    "LIMIT",
    "LONGEST_MS",
    "MOST",
    "CallRow",
    "Calls",
    "TooManyCallsError",
    "related",
]

MOST = 500
"""Calls beyond twice as many as the search begins at."""
LIMIT = 4 * MOST
"""Rows of one query."""
LONGEST_MS = 3_600_000
"""A call that started earlier than this before another one is not looked at beside it."""
LATE_MS = 10_000
"""How long after a call the record of its stream may begin: until the application reads it."""

Window = tuple[int, int]


class TooManyCallsError(Exception):
    """A query found ``LIMIT`` rows, so there may be others."""


class CallRow(NamedTuple):
    """Where a model call is, and when it was (Unix ms)."""

    event_id: str
    parent_id: str | None
    start: int
    end: int


class Calls(Protocol):
    """The model calls of a store. Each method may raise ``TooManyCallsError``."""

    def any_linked(self, ids: Collection[str]) -> bool:
        """Whether one of these events is a model call and has another right above or below it.

        True also where the store would have to look at them all to know.
        """
        ...

    def by_id(self, ids: Collection[str]) -> Iterable[CallRow]:
        """Those of the events that are model calls."""
        ...

    def below(self, ids: Collection[str]) -> Iterable[CallRow]:
        """The model calls whose parent is one of these events."""
        ...

    def beside(self, windows: Mapping[str, Window]) -> Iterable[CallRow]:
        """The model calls below each parent that start in its window."""
        ...

    def whole(self, ids: Collection[str]) -> list[StoredCall]:
        """These calls with their records."""
        ...


def related(
    stored: Calls, event_ids: Collection[str], beside: int | None
) -> Sequence[StoredCall] | None:
    """The calls that belong together with these, without those that nothing belongs to.

    ``beside``: how many ms may be between two calls below one parent; None: such do not count.
    """
    if beside is None and not stored.any_linked(event_ids):  # as almost always
        return []
    most = 2 * len(event_ids) + MOST
    try:
        calls = _gathered(stored, event_ids, beside, most)
    except TooManyCallsError:
        return None
    linked = _linked(calls, beside)
    if len(calls) > most:
        return None
    return stored.whole(linked) if linked else []


def _gathered(
    stored: Calls, event_ids: Collection[str], beside: int | None, most: int
) -> Collection[CallRow]:
    calls: dict[str, CallRow] = {}
    new = {row.event_id: row for row in stored.by_id(event_ids)}
    while new and len(calls) <= most:
        calls |= new
        rows = [*stored.below(new.keys())]
        above = {row.parent_id for row in new.values() if row.parent_id} - calls.keys()
        if above := above - set(event_ids):
            rows += stored.by_id(above)
        if beside is not None:
            windows = _windows(new.values(), beside)
            rows += [row for row in stored.beside(windows) if _overlaps(row, windows)]
        new = {row.event_id: row for row in rows if row.event_id not in calls}
    return calls.values()


def _windows(rows: Iterable[CallRow], beside: int) -> dict[str, Window]:
    """When the calls below each parent were, and ``beside`` ms before and after."""
    windows: dict[str, Window] = {}
    for row in rows:
        if row.parent_id is not None:
            first, last = max(row.start - beside, 0), row.end + beside
            start, end = windows.get(row.parent_id, (first, last))
            windows[row.parent_id] = (min(start, first), max(end, last))
    return windows


def _overlaps(row: CallRow, windows: Mapping[str, Window]) -> bool:
    return row.parent_id is not None and row.end >= windows[row.parent_id][0]


def _linked(rows: Collection[CallRow], beside: int | None) -> set[str]:
    """The calls with another one above, below or, with ``beside``, near in time."""
    ids = {row.event_id for row in rows}
    linked: set[str] = set()
    for row in rows:
        if row.parent_id in ids:
            linked |= {row.event_id, str(row.parent_id)}
    if beside is None:
        return linked
    before: dict[str | None, CallRow] = {}  # of each parent: the call that ended last so far
    for row in sorted(rows, key=lambda row: (row.start, row.event_id)):
        last = before.get(row.parent_id)
        if last is not None and last.end + beside >= row.start:
            linked |= {last.event_id, row.event_id}
        if last is None or row.end > last.end:
            before[row.parent_id] = row
    return linked
