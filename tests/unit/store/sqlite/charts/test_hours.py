"""Figures of whole hours and days that the SQLite store keeps for the dashboard."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import T0, event, session_end, session_start

from sessiontrace.model.ids import new_id
from sessiontrace.store.dashboard.models import Dashboard, Period
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.charts import hours
from sessiontrace.store.sqlite.store import SqliteStore

HOUR = 3_600_000
MIDNIGHT = T0 // (24 * HOUR) * 24 * HOUR
PERIOD = Period.of(MIDNIGHT - 24 * HOUR, MIDNIGHT + 48 * HOUR, MIDNIGHT + 72 * HOUR)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    opened.open()
    yield opened
    opened.close()


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    connection = store._connection
    assert connection is not None
    return connection


def sum_up(store: SqliteStore) -> None:
    while hours.sum_up(connection_of(store), quiet_ms=-1):
        pass


def unsummed(store: SqliteStore) -> list[tuple[int, int]]:
    """Width and start of what is not kept."""
    return connection_of(store).execute("SELECT width, start FROM unsummed").fetchall()


def dashboard(store: SqliteStore) -> Dashboard:
    return store.dashboard(SessionQuery(), PERIOD)


def session(store: SqliteStore, at: int, took: int = 1_000, **fields: object) -> str:
    sid = new_id()
    store.write([session_end(sid, at, took, **fields), event(sid, at)])
    return sid


def test_hours_and_days_that_are_over_are_kept_and_give_the_same_figures(store: SqliteStore):
    """The day's figures come from one row, not from its sessions; nothing in them changes."""
    for hour in range(24):
        session(store, MIDNIGHT + hour * HOUR, 1_000 + hour, event_name=f"agent {hour % 3}")
    counted = dashboard(store), store.breakdown(SessionQuery(), PERIOD, "name")
    sum_up(store)
    assert unsummed(store) == []
    assert hours.cover(connection_of(store), (MIDNIGHT - 1, MIDNIGHT + 25 * HOUR)) == (
        [hours.Range(24, MIDNIGHT // HOUR // 24, MIDNIGHT // HOUR // 24 + 1),
         hours.Range(1, MIDNIGHT // HOUR + 24, MIDNIGHT // HOUR + 25)],
        [(MIDNIGHT - 1, MIDNIGHT)],
    )  # fmt: skip
    assert (dashboard(store), store.breakdown(SessionQuery(), PERIOD, "name")) == counted


def test_a_session_that_goes_on_moves_from_its_hour_to_the_next(store: SqliteStore):
    """Its old hour is counted again without it, and so is the day."""
    sid = new_id()
    store.write([session_start(sid, MIDNIGHT + HOUR)])
    sum_up(store)
    store.write([event(sid, MIDNIGHT + 30 * HOUR)])
    assert len(unsummed(store)) == 4
    assert [point.sessions for point in dashboard(store).points if point.sessions] == [1]
    sum_up(store)
    assert [point.sessions for point in dashboard(store).points if point.sessions] == [1]
    assert dashboard(store).total.steps == 1


def test_a_busy_hour_is_summed_up_by_the_program_that_writes(store: SqliteStore):
    """No server has opened the store: its first dashboard is fast all the same."""
    store.write([session_end(new_id(), MIDNIGHT + number * 1_000) for number in range(150)])
    assert len(unsummed(store)) == 2
    session(store, MIDNIGHT + 2 * HOUR)
    assert (1, MIDNIGHT // HOUR) not in unsummed(store)
    assert dashboard(store).total.sessions == 151


def test_a_deleted_session_leaves_no_byte_in_the_kept_figures(store: SqliteStore):
    """Nor in figures that were dropped before, when another session of the hour changed."""
    secret = "secretname"
    sid = session(
        store, MIDNIGHT, event_name=secret, source=f"{secret}s", metadata={"tags": [f"{secret}t"]}
    )
    other = new_id()
    store.write([session_start(other, MIDNIGHT + 1)])
    sum_up(store)
    store.write([event(other, MIDNIGHT + 2)])
    sum_up(store)
    assert store.erase([sid]).remains == ""
    assert dashboard(store).total.sessions == 1
    store.close()
    content = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert secret.encode() not in content


def test_times_beyond_four_bytes_are_kept_exactly(store: SqliteStore):
    """A session of three hours has more microseconds than an unsigned integer holds."""
    session(store, MIDNIGHT, 3 * HOUR)
    session(store, MIDNIGHT, 5)
    sum_up(store)
    assert dashboard(store).total.latency == (3 * HOUR, 3 * HOUR, 3 * HOUR)


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("by", ["user", "name", "source"])
def test_of_many_groups_the_first_come_with_all_of_their_figures(
    store: SqliteStore, by: str, summed: bool
):
    """Which come first is known from the sums alone; the order is that of all groups."""
    for number in range(30):
        own = {"user": {"user_properties": {"user_id": f"x{number % 10}"}},
               "name": {"event_name": f"x{number % 10}"},
               "source": {"source": f"x{number % 10}"}}[by]  # fmt: skip
        at = MIDNIGHT + (number % 4) * HOUR - (number % 3) * 36 * HOUR
        session(store, at, 100 * number, **own, **({"error": "E: 1"} if number % 7 < 3 else {}))
    if summed:
        sum_up(store)
    for rank in ("sessions", "failed", "cost", "p95"):
        every = store.breakdown(SessionQuery(), PERIOD, by, rank, 100)
        first = store.breakdown(SessionQuery(), PERIOD, by, rank, 4)
        assert len(every.groups) == 10
        assert every.omitted == 0
        assert (first.groups, first.omitted) == (every.groups[:4], 6)
