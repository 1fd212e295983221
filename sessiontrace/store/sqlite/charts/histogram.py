"""The two charts above the list of sessions, counted by SQLite.

No thread owns it. Invariant: the buckets of one chart together hold every session that fits.
"""

from __future__ import annotations

import sqlite3

from sessiontrace.store.histogram import DURATIONS_MS, Histogram, width_of
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.query_conditions import conditions

__all__ = ["histogram"]


def histogram(connection: sqlite3.Connection, query: SessionQuery, most: int) -> Histogram | None:
    """The charts of the sessions that fit, in at most ``most`` steps of time; None without any."""
    where, values = conditions(query)
    fitting = f"FROM sessions WHERE {' AND '.join(where)}"
    first, last = connection.execute(
        f"SELECT min(last_active), max(last_active) {fitting}",
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
        f"SELECT (last_active - ?) / ? AS bucket, count(*), sum(failed) {fitting} GROUP BY bucket",
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
