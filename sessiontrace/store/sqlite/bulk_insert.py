"""Inserts many rows by one statement.

Runs on the thread that writes; the caller passes the connection. For each statement that SQLite
executes, Python gives up its lock and takes it again, which is a turn for each other thread that
computes. Invariant: the rows are inserted in their order.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

__all__ = ["insert"]

_ROWS = 100
# Before, a statement could have 999 variables.
_HAS_MANY_VARIABLES = sqlite3.sqlite_version_info >= (3, 32)


def insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute an ``INSERT ... VALUES (...)`` for all rows.

    ``statement``: with the marks of one row of at most 300 columns, at its end.
    """
    end = len(rows) // _ROWS * _ROWS if _HAS_MANY_VARIABLES else 0
    for at in range(0, end, _ROWS):
        values = tuple(chain.from_iterable(rows[at : at + _ROWS]))
        connection.execute(_of_many(statement), values)
    if end < len(rows):
        connection.executemany(statement, rows[end:])


@functools.lru_cache(maxsize=16)
def _of_many(statement: str) -> str:
    """The statement for many rows."""
    marks = statement.rpartition(" VALUES ")[2]
    return statement + f", {marks}" * (_ROWS - 1)
