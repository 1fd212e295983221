"""How sessions lie over time, and how long they took: counts for the two charts above the list.

No thread owns it. Invariant: the buckets of one chart together hold every session that fits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import attrs

from sessiontrace.store.protocol import SessionQuery
from sessiontrace.store.sqlite.queries import conditions

__all__ = ["DURATIONS_MS", "Histogram", "histogram", "width_of"]

DURATIONS_MS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
"""The bounds between the buckets of durations; a session of 10 ms is in the second one."""

_WIDTHS_MS = (
    1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 43_200_000, 86_400_000,
    604_800_000, 2_592_000_000,
)  # fmt: skip


@attrs.frozen
class Histogram:
    """Counts over time from ``start`` (Unix ms) in steps of ``width`` ms, and over durations.

    ``failed`` are those of ``sessions`` with an error. ``durations`` has one more entry than
    ``DURATIONS_MS`` has bounds.
    """

    start: int
    width: int
    sessions: Sequence[int]
    failed: Sequence[int]
    durations: Sequence[int]


def histogram(connection: sqlite3.Connection, query: SessionQuery, most: int) -> Histogram | None:
    """The charts of the sessions that fit, in at most ``most`` steps of time; None without any."""
    where, values = conditions(query)
    fitting = f"FROM sessions WHERE {' AND '.join(where)}"
    first, last = connection.execute(
        f"SELECT min(start_time), max(start_time) {fitting}",
        values,
    ).fetchone()
    if first is None:
        return None
    first = query.since if query.since is not None else first
    last = query.until - 1 if query.until is not None else last
    width = width_of(last - first, most)
    start = first // width * width
    count = (last - start) // width + 1
    sessions, failed = [0] * count, [0] * count
    rows = connection.execute(
        f"SELECT (start_time - ?) / ? AS bucket, count(*), sum(failed) {fitting} GROUP BY bucket",
        (start, width, *values),
    )
    for bucket, number, bad in rows:
        if 0 <= bucket < count:
            sessions[bucket], failed[bucket] = number, bad
    durations = [0] * (len(DURATIONS_MS) + 1)
    cases = " ".join(f"WHEN duration < {bound} THEN {at}" for at, bound in enumerate(DURATIONS_MS))
    rows = connection.execute(
        f"SELECT CASE {cases} ELSE {len(DURATIONS_MS)} END AS bucket, count(*) "
        f"{fitting} GROUP BY bucket",
        values,
    )
    for bucket, number in rows:
        durations[bucket] = number
    return Histogram(start, width, sessions, failed, durations)


def width_of(span: int, most: int) -> int:
    """The round step of time, in ms, with which ``span`` ms take at most ``most`` steps."""
    for width in _WIDTHS_MS:
        if span // width + 2 <= most:
            return width
    return _WIDTHS_MS[-1] * (span // (_WIDTHS_MS[-1] * max(1, most - 2)) + 1)
