"""The figures of sessions, counted by SQLite from the rows of the sessions themselves.

No thread owns it; the caller passes the connection, and the condition on the table of sessions.
SQLite sums up and joins the values of each group into one text, so that one row comes back for each
group. Invariant: the groups of one condition that has no tags or models count each session once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import orjson

from sessiontrace.store.dashboard.gathering import Part
from sessiontrace.store.dashboard.models import MODEL, TAG

__all__ = ["Condition", "grouped", "has_more_values", "leading", "only", "total"]

_SUMS = 8
_OF_SESSIONS = (
    "count(*), sum(failed), sum(events), sum(errors), sum(models), sum(tokens), sum(cost_nano), "
    "sum(unpriced)"
)
_VALUES = (
    ", group_concat(CAST(round(duration * 1000) AS INTEGER)), "
    "group_concat(nullif(first_chunks, ''))"
)
_OF_MODELS = (
    "count(*), sum(m.errors > 0), sum(m.calls), sum(m.errors), sum(m.calls), sum(m.tokens), "
    "sum(m.cost_nano), sum(m.unpriced), group_concat(nullif(m.latencies, '')), "
    "group_concat(nullif(m.first_chunks, ''))"
)
# The index holds all columns, in the order of time.
_SESSIONS = "sessions INDEXED BY sessions_by_activity"
_RANKS = {
    "cost": "cost_nano", "sessions": "1", "failed": "failed", "errors": "errors",
    "tokens": "tokens", "steps": "events",
}  # fmt: skip
_KEYS = {name: f"coalesce({name}, '')" for name in ("name", "user", "source")} | {TAG: "tags"}


@attrs.frozen
class Condition:
    """A condition on the table of sessions, and its values."""

    where: str
    values: Sequence[Any]

    @classmethod
    def of_time(cls, first: int, end: int) -> Condition:
        """From a time until before another."""
        return cls("last_active >= ? AND last_active < ?", (first, end))


def total(
    connection: sqlite3.Connection, fitting: Condition, group: Condition | None = None
) -> Iterator[tuple[Any, Part]]:
    """The figures of the sessions by an expression, or of all of them, under None."""
    own, by = (Condition("NULL", ()), "") if group is None else (group, " GROUP BY 1")
    rows = connection.execute(
        f"SELECT {own.where}, {_OF_SESSIONS}{_VALUES} FROM {_SESSIONS} "  # noqa: S608 - from above
        f"WHERE {fitting.where}{by}",
        (*own.values, *fitting.values),
    )
    for key, *columns in rows:
        if columns[0]:
            yield key, _part(columns)


def grouped(
    connection: sqlite3.Connection, by: str, fitting: Condition, since: int
) -> Iterator[tuple[str, bool, Part]]:
    """The figures by a dimension, and whether they are of before ``since``.

    A session with several tags is in several groups.
    """
    if by == MODEL:
        statement = (
            f"SELECT m.model, old, {_OF_MODELS} FROM "  # noqa: S608 - from above
            f"(SELECT id, last_active < ? AS old FROM {_SESSIONS} WHERE {fitting.where}) "
            "CROSS JOIN session_models AS m ON m.session = id GROUP BY 1, 2"
        )
    else:
        statement = (
            f"SELECT {_KEYS[by]}, last_active < ?, {_OF_SESSIONS}{_VALUES} "  # noqa: S608 - above
            f"FROM {_SESSIONS} WHERE {fitting.where} GROUP BY 1, 2"
        )
    for key, old, *columns in connection.execute(statement, (since, *fitting.values)):
        part = _part(columns)
        for value in key.split("\n") if by == TAG else (key,):
            yield value, bool(old), part


def has_more_values(connection: sqlite3.Connection, by: str, fitting: Condition, most: int) -> bool:
    """Whether the sessions have more values of a dimension than this."""
    ((count,),) = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {_KEYS[by]} FROM {_SESSIONS} "  # noqa: S608 - above
        f"WHERE {fitting.where} LIMIT ?)",
        (*fitting.values, most + 1),
    )
    return bool(count > most)


def leading(
    connection: sqlite3.Connection,
    by: str,
    fitting: Condition,
    since: int,
    order: tuple[str, int],
) -> tuple[list[str], int]:
    """The first values of a dimension by a sum, and how many there are; as ``ranking.place``."""
    rank, most = order
    rows = connection.execute(
        f"SELECT {_KEYS[by]} AS own, "  # noqa: S608 - from above
        f"sum(CASE WHEN last_active >= ? THEN {_RANKS[rank]} ELSE 0 END) AS measure, "
        f"sum(last_active >= ?) AS sessions, sum({_RANKS[rank]}) AS both, count(*) OVER () "
        f"FROM {_SESSIONS} WHERE {fitting.where} GROUP BY 1 "
        "ORDER BY measure DESC, sessions DESC, both - measure DESC, own LIMIT ?",
        (since, since, *fitting.values, most),
    ).fetchall()
    return [row[0] for row in rows], rows[0][-1] if rows else 0


def only(by: str, fitting: Condition, chosen: Iterable[str]) -> Condition:
    """Those of the sessions that have one of the values."""
    among = f"{_KEYS[by]} IN (SELECT value FROM json_each(?))"  # noqa: S608 - from above
    values = orjson.dumps(list(chosen)).decode()
    return Condition(f"{fitting.where} AND {among}", (*fitting.values, values))


def _part(columns: Sequence[Any]) -> Part:
    latencies, first_chunks = columns[_SUMS:]
    return Part(columns[:_SUMS], _numbers(latencies), _numbers(first_chunks))


def _numbers(text: str | None) -> list[int]:
    return sorted(orjson.loads(f"[{text}]")) if text else []
