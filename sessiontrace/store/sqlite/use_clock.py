"""How long the store was in use: the time that its retention counts.

Runs on the thread that writes. A wall clock that jumps ahead must not age sessions, and nothing
distinguishes a jump from a long pause. So a stretch in which no program read the clock counts as
one day at most. Invariant: sessions that the clock dated into the future are dated to the moment at
which it comes back.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.runtime.log import logger
from sessiontrace.store.models import Document
from sessiontrace.store.sqlite import documents
from sessiontrace.store.sqlite.transaction import transaction

__all__ = ["UseClock", "cutoff", "observe"]

_KIND, _ID = "sessiontrace.retention", "clock"
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_FRESH_MS = 600_000  # an observation of the last ten minutes is not written again
_MOST_PAUSES = 1_000


@attrs.frozen
class UseClock:
    """When the wall clock was read last, and the pauses before that; times in Unix ms.

    A pause is a stretch of more than an hour, as start and end, in which no program read the clock.
    """

    seen: int
    pauses: tuple[tuple[int, int], ...] = ()

    def advance(self, now: int) -> UseClock:
        """The clock after it was read at ``now``, which may be earlier than before."""
        future = [start for start, end in self.pauses if end > now + _HOUR_MS]
        pauses = tuple(pause for pause in self.pauses if pause[1] <= now + _HOUR_MS)
        seen = min(future, default=self.seen)
        if now - seen > _HOUR_MS:
            pauses = (*pauses, (seen, now))[-_MOST_PAUSES:]
        return UseClock(now, pauses)

    def cutoff(self, days: float) -> int:
        """The time since when the store was in use for so many days."""
        pause_counts = min(_DAY_MS, days * _DAY_MS / 4)
        left, moment = days * _DAY_MS, float(self.seen)
        for start, end in sorted(self.pauses, key=lambda pause: pause[1], reverse=True):
            if end - start <= pause_counts:
                continue
            if moment - end >= left:
                break
            left -= max(0.0, moment - end)
            moment = min(moment, start + pause_counts)
        return round(moment - left)


def observe(connection: sqlite3.Connection) -> UseClock:
    """Read the wall clock, and store what that says about the time since it was read last."""
    now = time.time_ns() // 1_000_000
    before = _stored(connection)
    if before is None:  # a new file, or one of an earlier version: its last write is known
        latest = connection.execute("SELECT max(written) FROM sessions").fetchone()[0]
        before = UseClock(now if latest is None else min(now, latest))
    elif abs(now - before.seen) < _FRESH_MS:
        return UseClock(now, before.pauses)
    clock = before.advance(now)
    with transaction(connection):
        documents.write(connection, [Document(_KIND, _ID, now, attrs.asdict(clock))])
        if not set(before.pauses) <= set(clock.pauses):  # the clock was ahead, and came back
            connection.execute("UPDATE sessions SET written = ? WHERE written > ?", (now, now))
    if clock.pauses and clock.pauses[-1][1] == now and now - clock.pauses[-1][0] > 2 * _DAY_MS:
        logger().info(
            "the store was not in use for %.1f days, or the clock was set; they count as one day",
            (now - clock.pauses[-1][0]) / _DAY_MS,
        )
    return clock


def cutoff(connection: sqlite3.Connection, days: float) -> int:
    """The time (Unix ms) since when the store was in use for so many days."""
    return observe(connection).cutoff(days)


def _stored(connection: sqlite3.Connection) -> UseClock | None:
    body = documents.document(connection, _KIND, _ID)
    if body is None:
        return None
    seen, pauses = body.get("seen"), body.get("pauses")
    if not isinstance(seen, int) or not isinstance(pauses, Sequence):
        return None
    return UseClock(seen, tuple(pause for value in pauses if (pause := _pause(value))))


def _pause(value: Any) -> tuple[int, int] | None:
    if isinstance(value, Mapping) or not isinstance(value, Sequence) or len(value) != 2:
        return None
    start, end = value
    return (start, end) if isinstance(start, int) and isinstance(end, int) else None
