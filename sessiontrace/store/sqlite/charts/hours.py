"""The figures of whole hours and days, kept so that a dashboard does not read every session.

Writing and summing up run on the thread that writes, reading on any; the caller passes the
connection. An hour holds the sessions that were last active in it; a day, of UTC, its hours. A
change of a session drops what is kept of its hour and day, in the same transaction; they are summed
up again when the hour is quiet. Invariant: an hour with sessions is either in ``summed_figures``,
with all of them as they are, or in ``unsummed``; so is a day.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import orjson

from sessiontrace.store.dashboard.gathering import Part, merged
from sessiontrace.store.dashboard.models import MODEL, TAG
from sessiontrace.store.sqlite.charts import scan
from sessiontrace.store.sqlite.transaction import transaction

__all__ = ["KEPT", "Range", "cover", "figures", "groups", "note_changes", "sum_up", "sums"]

_HOUR_MS = 3_600_000
_HOUR, _DAY = 1, 24  # the widths that are kept, in hours

KEPT = (MODEL, "name", "source", TAG)
"""The dimensions that are kept; most users have hardly more than one session in an hour."""

_ALL = ""  # the dimension of the figures of all sessions
_DIMENSIONS = (_ALL, *KEPT)
_BUSY = 100  # sessions in an hour; to sum up fewer would cost too much of writing them
_AT_ONCE = 5_000  # sessions that are summed up in one transaction, if there is more than one hour

_SUMS = (
    "sessions", "failed", "steps", "errors", "calls", "tokens", "cost_nano", "unpriced",
)  # fmt: skip
_COLUMNS = f"{', '.join(_SUMS)}, latencies, first_chunks"
_TOTALS = ", ".join(f"sum({name})" for name in _SUMS)
_ADD = (
    f"INSERT INTO summed_figures (width, dimension, start, value, {_COLUMNS}) "  # noqa: S608 - above
    f"VALUES ({', '.join('?' * (len(_SUMS) + 6))})"
)
_OF_RANGE = "FROM summed_figures WHERE width = ? AND dimension = ? AND start >= ? AND start < ?"
_DROP = (
    "DELETE FROM summed_figures WHERE width = ? AND start = ? AND dimension IN "  # noqa: S608
    f"({', '.join(repr(name) for name in _DIMENSIONS)})"
)
_CHANGED = (
    "UPDATE unsummed SET changes = changes + ?, changed = ? "  # noqa: S608 - from above
    f"WHERE width = {_HOUR} AND start = ?"
)  # fmt: skip
_UNSUMMED = "INSERT OR IGNORE INTO unsummed VALUES (?, ?, ?, ?)"
_SUMMED = "DELETE FROM unsummed WHERE width = ? AND start = ?"
_HOURS = (
    "SELECT start, (SELECT count(*) FROM sessions WHERE "  # noqa: S608 - from above
    f"last_active >= start * {_HOUR_MS} AND last_active < (start + 1) * {_HOUR_MS}) AS size "
    f"FROM unsummed WHERE width = {_HOUR} AND start < ? AND changed < ? "
)
_PAID = f"{_HOURS} AND size >= {_BUSY} AND changes >= size ORDER BY start LIMIT 100"
_QUIET = f"{_HOURS} ORDER BY start DESC LIMIT 100"
_WHOLE_DAYS = (
    f"SELECT start FROM unsummed AS day WHERE width = {_DAY} "  # noqa: S608 - from above
    "AND start < ? AND NOT EXISTS "
    f"(SELECT 1 FROM unsummed WHERE width = {_HOUR} "
    f"AND start >= day.start * {_DAY} AND start < (day.start + 1) * {_DAY}) LIMIT 2"
)

Span = tuple[int, int]
"""From a time until before another (Unix ms)."""


# -- writing ----------------------------------------------------------------------------------


def note_changes(connection: sqlite3.Connection, times: Iterable[int | None]) -> None:
    """Drop what is kept of these times: of the sessions that change, before and after.

    Where time has moved on to another hour, sum up the busy hours before it that were written as
    often as they have sessions: that costs a few percent of writing them, in any order of arrival.
    """
    changes = Counter(at // _HOUR_MS for at in times if at is not None)
    now, moved_on = time.time_ns() // 1_000_000, False
    for hour, count in changes.items():
        if connection.execute(_CHANGED, (count, now, hour)).rowcount:
            continue
        moved_on = True
        for width, start in ((_HOUR, hour), (_DAY, hour // _DAY)):
            connection.execute(_UNSUMMED, (width, start, count, now))
            connection.execute(_DROP, (width, start))
    if moved_on:
        latest = max(changes) - 1  # sessions of an hour go on into the next one
        paid = connection.execute(_PAID, (latest, now)).fetchall()
        _sum_up(connection, [own for own in paid if own[1] <= _AT_ONCE], latest)


def sum_up(connection: sqlite3.Connection, quiet_ms: int = 10_000) -> int:
    """Sum up some of the past hours and days; returns how many of them are left.

    ``quiet_ms``: for so long nothing has changed in an hour.
    """
    now = time.time_ns() // 1_000_000
    this_hour = now // _HOUR_MS
    bounds = (this_hour, now - quiet_ms)
    if not _due(connection, bounds):
        return 0
    with transaction(connection):
        _sum_up(connection, connection.execute(_QUIET, bounds).fetchall(), this_hour)
        return _due(connection, bounds)


def _due(connection: sqlite3.Connection, bounds: tuple[int, int]) -> int:
    days = connection.execute(_WHOLE_DAYS, (bounds[0] // _DAY,)).fetchall()
    return len(connection.execute(_QUIET, bounds).fetchall()) + len(days)


def _sum_up(
    connection: sqlite3.Connection, hours: Sequence[tuple[int, int]], this_hour: int
) -> None:
    """Sum up the first of the hours, each with its size, and the days that are whole by now."""
    sessions = 0
    for hour, size in hours:
        if sessions and sessions + size > _AT_ONCE:
            break
        sessions += size
        connection.execute(_SUMMED, (_HOUR, hour))
        if size:
            connection.executemany(_ADD, _hour_rows(connection, hour))
    for (day,) in connection.execute(_WHOLE_DAYS, (this_hour // _DAY,)).fetchall():
        connection.execute(_SUMMED, (_DAY, day))
        connection.executemany(_ADD, _day_rows(connection, day))


def _hour_rows(connection: sqlite3.Connection, hour: int) -> Iterator[tuple[Any, ...]]:
    fitting = scan.Condition.of_time(hour * _HOUR_MS, (hour + 1) * _HOUR_MS)
    for _, part in scan.total(connection, fitting):
        yield _row(_HOUR, _ALL, hour, "", [part])
    for dimension in KEPT:
        parts: dict[str, list[Part]] = {}
        for value, _, part in scan.grouped(connection, dimension, fitting, 0):
            parts.setdefault(value, []).append(part)
        for value, own in parts.items():
            yield _row(_HOUR, dimension, hour, value, own)


def _day_rows(connection: sqlite3.Connection, day: int) -> Iterator[tuple[Any, ...]]:
    within = Range(_HOUR, day * _DAY, (day + 1) * _DAY)
    for dimension in _DIMENSIONS:
        parts: dict[str, list[Part]] = {}
        for value, part in groups(connection, dimension, within):
            parts.setdefault(value, []).append(part)
        for value, own in parts.items():
            yield _row(_DAY, dimension, day, value, own)


def _row(
    width: int, dimension: str, start: int, value: str, parts: Sequence[Part]
) -> tuple[Any, ...]:
    part = merged(parts)
    blobs = _blob(part.latencies), _blob(part.first_chunks)
    return width, dimension, start, value, *part.sums, *blobs


# -- reading ----------------------------------------------------------------------------------


@attrs.frozen
class Range:
    """Hours or days in a row that are kept, from ``first`` until before ``end``."""

    width: int
    first: int
    end: int


def cover(connection: sqlite3.Connection, span: Span) -> tuple[list[Range], list[Span]]:
    """The days and hours within a span that are kept, and the spans between them."""
    ranges: list[Range] = []
    left = [span]
    for width in (_DAY, _HOUR):
        spans, left = left, []
        for begin, end in spans:
            for own in _kept(connection, width, begin, end):
                ranges.append(own)
                if begin < (first := own.first * width * _HOUR_MS):
                    left.append((begin, first))
                begin = own.end * width * _HOUR_MS
            if begin < end:
                left.append((begin, end))
    return ranges, left


def _kept(connection: sqlite3.Connection, width: int, begin: int, end: int) -> Iterator[Range]:
    """The hours or days within a span that are kept, in rows as long as possible."""
    first, last = -(-begin // (width * _HOUR_MS)), end // (width * _HOUR_MS)
    rows = connection.execute(
        "SELECT start FROM unsummed WHERE width = ? AND start >= ? AND start < ? ORDER BY start",
        (width, first, last),
    ).fetchall()
    for (gap,) in (*rows, (last,)):
        if first < gap:
            yield Range(width, first, gap)
        first = gap + 1


def figures(connection: sqlite3.Connection, within: Range) -> list[Part]:
    """The figures of all sessions."""
    return [part for _, part in groups(connection, _ALL, within)]


def groups(
    connection: sqlite3.Connection,
    dimension: str,
    within: Range,
    chosen: Iterable[str] | None = None,
) -> Iterator[tuple[str, Part]]:
    """The figures of each value, of the chosen ones alone or of all, some for each of its times."""
    statement, values = f"SELECT value, {_COLUMNS} {_OF_RANGE}", _bounds(dimension, within)
    if chosen is not None:
        statement += " AND value IN (SELECT value FROM json_each(?))"
        values = (*values, orjson.dumps(list(chosen)).decode())
    for value, *sums, latencies, first_chunks in connection.execute(statement, values):
        yield value, Part(sums, _values(latencies), _values(first_chunks))


def sums(
    connection: sqlite3.Connection, dimension: str, within: Range
) -> Iterator[tuple[str, Part]]:
    """As ``groups``, but without the values of percentiles."""
    statement = f"SELECT value, {_TOTALS} {_OF_RANGE} GROUP BY value"
    for value, *totals in connection.execute(statement, _bounds(dimension, within)):
        yield value, Part(totals)


def _bounds(dimension: str, within: Range) -> tuple[Any, ...]:
    return within.width, dimension, within.first, within.end


# -- the values of percentiles ----------------------------------------------------------------

_SHORT, _LONG = b"I", b"q"  # four and eight bytes


def _blob(values: Any) -> bytes:
    """Numbers in ascending order: their size, and each of them, lowest byte first."""
    numbers = list(values)
    if not numbers or (numbers[0] >= 0 and numbers[-1] < 1 << 32):
        return _SHORT + _little_endian(array("I", numbers)).tobytes()
    return _LONG + _little_endian(array("q", numbers)).tobytes()


def _values(blob: bytes) -> Sequence[int]:
    numbers = memoryview(blob)[1:]
    if sys.byteorder == "little":  # read where they are
        return numbers.cast("I") if blob[:1] == _SHORT else numbers.cast("q")
    return _little_endian(array("I" if blob[:1] == _SHORT else "q", numbers.tobytes()))


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
