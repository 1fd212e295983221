"""The figures of a dashboard by a dimension, from those of whole hours and from sessions.

No thread owns it; the caller passes the connection. Where a dimension may have many values, their
sums are counted first, and the values of percentiles are read for the groups that are first.
Invariant: each session is counted once in each group that it belongs to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator

import attrs

from sessiontrace.store.dashboard.gathering import Part, figures_of
from sessiontrace.store.dashboard.models import MODEL, TAG, Breakdown, Group, Period
from sessiontrace.store.dashboard.ranking import SUMS, breakdown_of
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.charts import hours, scan
from sessiontrace.store.sqlite.charts.dashboard import condition_of, is_filtered

__all__ = ["breakdown"]

Row = tuple[str, bool, Part]
"""A value, whether it is of the period before, and its figures."""


def breakdown(
    connection: sqlite3.Connection,
    query: SessionQuery,
    period: Period,
    by: str,
    order: tuple[str, int],
) -> Breakdown:
    """The figures of each value of a dimension; ``order`` is one of ``RANKS`` and how many come."""
    is_kept = by in hours.KEPT and not is_filtered(query)
    source = _Source(connection, by, period, None if is_kept else condition_of(query, period))
    rank, most = order
    if rank not in SUMS or not source.has_more_values(most):
        return breakdown_of(_groups(source.rows()), rank, most)
    chosen, count = source.leading(rank, most)
    rows = (row for row in source.rows(chosen) if row[0] in chosen)
    first = breakdown_of(_groups(rows), rank, most)
    return Breakdown(first.groups, count - len(first.groups))


def _groups(rows: Iterable[Row]) -> Iterator[Group]:
    parts: dict[str, tuple[list[Part], list[Part]]] = {}
    for value, old, part in rows:
        parts.setdefault(value, ([], []))[old].append(part)
    for value, (own, before) in parts.items():
        yield Group(value or None, figures_of(own), figures_of(before))


@attrs.frozen
class _Source:
    """Where the figures come from; ``fitting`` is None where hours are kept for all of them."""

    connection: sqlite3.Connection
    by: str
    period: Period
    fitting: scan.Condition | None

    def has_more_values(self, most: int) -> bool:
        """Whether there are more groups than this, as far as that is cheap to know."""
        if self.fitting is None:
            return True
        if self.by in (MODEL, TAG):
            return False
        return scan.has_more_values(self.connection, self.by, self.fitting, most)

    def rows(self, chosen: Collection[str] | None = None) -> Iterator[Row]:
        """The figures of all values, or at least of those that are chosen."""
        since = self.period.since
        if self.fitting is not None:
            fitting = self.fitting if chosen is None else scan.only(self.by, self.fitting, chosen)
            yield from scan.grouped(self.connection, self.by, fitting, since)
            return
        for old, ranges, spans in self._halves():
            for within in ranges:
                for value, part in hours.groups(self.connection, self.by, within, chosen):
                    yield value, old, part
            for span in spans:
                fitting = scan.Condition.of_time(*span)
                yield from scan.grouped(self.connection, self.by, fitting, since)

    def leading(self, rank: str, most: int) -> tuple[Collection[str], int]:
        """The values that come first by a sum, and how many there are in all."""
        if self.fitting is not None:
            order, since = (rank, most), self.period.since
            chosen, count = scan.leading(self.connection, self.by, self.fitting, since, order)
            return set(chosen), count
        first = breakdown_of(_groups(self._sums()), rank, most)
        return {own.value or "" for own in first.groups}, len(first.groups) + first.omitted

    def _sums(self) -> Iterator[Row]:
        """The figures without percentiles, of hours that are kept."""
        for old, ranges, spans in self._halves():
            for within in ranges:
                for value, part in hours.sums(self.connection, self.by, within):
                    yield value, old, part
            for span in spans:
                fitting = scan.Condition.of_time(*span)
                for value, _, part in scan.grouped(self.connection, self.by, fitting, 0):
                    yield value, old, attrs.evolve(part, latencies=(), first_chunks=())

    def _halves(self) -> Iterator[tuple[bool, list[hours.Range], list[hours.Span]]]:
        period = self.period
        for old, span in enumerate(((period.since, period.until), (period.before, period.since))):
            yield bool(old), *hours.cover(self.connection, span)
