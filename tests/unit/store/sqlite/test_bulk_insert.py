"""Hundreds of events come in one transaction; each is in the file, in the order of arrival."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from sessiontrace.store.sqlite import bulk_insert


@pytest.mark.parametrize("has_many_variables", [True, False], ids=["today", "before SQLite 3.32"])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_all_rows_are_inserted_in_their_order(
    count: int, has_many_variables: bool, monkeypatch: pytest.MonkeyPatch
):
    """Whether they fill whole statements, or some are left."""
    monkeypatch.setattr(bulk_insert, "_HAS_MANY_VARIABLES", has_many_variables)
    events = [(f"event {number}", number % 3) for number in range(count)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, name, error)")
        statement = "INSERT INTO events (name, error) VALUES (?, nullif(?, 0))"
        bulk_insert.insert(connection, statement, events)
        stored = connection.execute("SELECT name, ifnull(error, 0) FROM events ORDER BY id")
        assert stored.fetchall() == events


def test_a_row_that_cannot_be_inserted_leaves_none_of_its_statement():
    """As in ``executemany``, the error goes to the transaction, which is rolled back."""
    rows = [(number,) for number in range(150)] + [(7,)] + [(number,) for number in range(200, 249)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY)")
        with pytest.raises(sqlite3.IntegrityError):
            bulk_insert.insert(connection, "INSERT INTO events (id) VALUES (?)", rows)
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (100,)
