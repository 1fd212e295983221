"""Retention and a clock that is wrong: what counts is the time in which the store was in use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from support.records import id_of, session_end
from support.subprocesses import run

from sessiontrace.model.ids import new_id
from sessiontrace.store import retention
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.retention import Retention
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.store.sqlite.use_clock import UseClock

DAY_MS = 86_400_000
DAY_NS = DAY_MS * 1_000_000
RULE = Retention(30.0, None)

Turn = Callable[[float], None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    opened.close()


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Turn:
    """Turns the wall clock by so many days."""
    real, offset = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + offset[0])

    def turn(days: float) -> None:
        offset[0] += round(days * DAY_NS)

    return turn


def add(store: SqliteStore, count: int = 1) -> list[str]:
    records = [session_end(new_id()) for _ in range(count)]
    store.write(records)
    return [id_of(record) for record in records]


def ids(store: SqliteStore) -> set[str]:
    return {session.session_id for session in store.sessions(SessionQuery()).sessions}


def use(store: SqliteStore, turn: Turn, days: int) -> int:
    """The store is in use for nearly so many days; how many sessions are deleted meanwhile."""
    deleted = 0
    for _ in range(days):
        turn(0.99)
        deleted += retention.trim(store, RULE)
    return deleted


def test_A33_a_clock_that_jumps_ahead_deletes_nothing(
    store: SqliteStore, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    """A year ahead, and another one; programs start and write in between."""
    before = add(store, 3)
    for _ in range(3):
        turn(365)
        assert retention.trim(store, RULE) == 0
        store.close()
        before += add(store)
        assert retention.trim(store, RULE) == 0
    assert ids(store) == set(before)
    assert caplog.records == []


def test_A33_a_first_look_at_a_store_trusts_its_last_write(store: SqliteStore, turn: Turn) -> None:
    """An earlier version, which kept no clock, wrote the file; the clock was wrong since."""
    add(store, 3)
    store._run(lambda connection: connection.execute("DELETE FROM notes"))
    store.close()
    turn(400)
    assert retention.trim(store, RULE) == 0
    assert len(ids(store)) == 3


def test_A33_what_was_not_written_for_thirty_days_of_use_goes_and_is_logged(
    store: SqliteStore, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    """The store was in use on each day. The line says how many, from when, and why; the first of a
    day is a warning.
    """
    caplog.set_level(logging.INFO)
    old = add(store, 3)
    written = time.strftime("%Y-%m-%d %H:", time.gmtime(time.time_ns() / 1e9))
    assert use(store, turn, 1) == 0
    young = add(store)
    assert use(store, turn, 29) == 0
    turn(0.99)
    assert retention.trim(store, RULE, 2) == 2
    assert retention.trim(store, RULE, 2) == 1
    assert ids(store) == set(young)
    assert set(old).isdisjoint(young)
    first, second = (r for r in caplog.records if "retention by age" in r.getMessage())
    assert f"deleted 2 sessions, written last between {written}" in first.getMessage()
    assert "1 more are over the limit" in first.getMessage()
    assert "deleted 1 sessions" in second.getMessage()
    assert (first.levelname, second.levelname) == ("WARNING", "INFO")


def test_A33_days_without_use_count_as_one(store: SqliteStore, turn: Turn) -> None:
    """A program that runs once a month keeps sessions for thirty runs, where the size allows it."""
    add(store)
    for _ in range(28):
        turn(30)
        assert retention.trim(store, RULE) == 0
    turn(30)
    turn(30)
    assert use(store, turn, 3) == 1


def test_A33_a_clock_that_comes_back_ages_what_it_dated_ahead(
    store: SqliteStore, turn: Turn
) -> None:
    """For an hour the clock was a year ahead. What was written then is not kept for a year more,
    and what was written before is not deleted for it.
    """
    early = add(store)
    turn(365)
    ahead = add(store)
    assert retention.trim(store, RULE) == 0
    turn(-365)
    late = add(store)
    assert use(store, turn, 30) == 0
    assert ids(store) == {*early, *ahead, *late}
    assert use(store, turn, 3) == 3


def test_A33_a_clock_that_starts_in_1970_deletes_nothing(store: SqliteStore, turn: Turn) -> None:
    """A board without a battery boots in 1970 and gets the time from the network later."""
    early = add(store)
    turn(-20_000)
    add(store)
    assert retention.trim(store, RULE) == 0
    turn(20_000)
    add(store)
    assert retention.trim(store, RULE) == 0
    assert len(ids(store)) == 3
    assert use(store, turn, 40) >= 2
    assert early[0] not in ids(store)


def test_A33_a_short_rule_is_not_overrun_by_a_jump(store: SqliteStore, turn: Turn) -> None:
    """With a limit of half a day, a jump counts as three hours."""
    add(store)
    turn(50)
    assert retention.trim(store, Retention(0.5, None)) == 0
    deleted = []
    for _ in range(4):
        turn(0.11)
        deleted.append(retention.trim(store, Retention(0.5, None)))
    assert deleted == [0, 0, 0, 1]


def test_A33_a_clock_that_cannot_be_read_is_started_anew(store: SqliteStore, turn: Turn) -> None:
    """Garbage in the document deletes nothing and raises nothing."""
    add(store)
    for body in ('{"seen": "x"}', '{"seen": 1, "pauses": 3}', '{"seen": 1, "pauses": [[1], {}]}'):
        store._run(
            lambda connection, body=body: connection.execute(
                "UPDATE notes SET body = ? WHERE id = 'clock'", (body,)
            )
        )
        assert retention.trim(store, RULE) == 0


STEP = some.one_of(
    some.integers(0, 2 * DAY_MS), some.integers(-DAY_MS, 0), some.integers(-(10**12), 10**12)
)


@settings(deadline=None, max_examples=300)
@given(some.lists(STEP, min_size=1, max_size=60), some.sampled_from([0.5, 3.0, 30.0]))
def test_A33_no_walk_of_the_clock_deletes_before_the_time_of_use(
    steps: list[int], days: float
) -> None:
    """However the clock goes: a session is over the limit only after so many days of use, in which
    a step of the clock counts as one day at most.
    """
    now = 1_800_000_000_000
    clock = UseClock(now)
    written, used = now, 0.0
    for step in steps:
        now += step
        before, clock = clock, clock.advance(now)
        if not set(before.pauses) <= set(clock.pauses):
            written = min(written, now)
        used += min(abs(step), DAY_MS, days * DAY_MS / 4 if abs(step) > 3_600_000 else DAY_MS)
        if written < clock.cutoff(days):
            assert used >= days * DAY_MS * 0.9
            return


PROGRAM = """
import sys, time

real, ahead = time.time_ns, int(sys.argv[2]) * 86_400_000_000_000
time.time_ns = lambda: real() + ahead
import sessiontrace as st

st.init(st.Local(path=sys.argv[1]), spool=sys.argv[1] + ".spool")
for number in range(int(sys.argv[3])):
    with st.session(f"session {number}"):
        pass
print(st.flush(10).complete)
"""


def test_A33_a_program_on_a_wrong_clock_leaves_the_store_as_it_is(tmp_path: Path) -> None:
    """A real program records to the local store, then one whose clock is 400 days ahead."""
    path = tmp_path / "store.db"
    for days, count in ((0, 3), (400, 1), (400, 1)):
        assert run(PROGRAM, tmp_path, str(path), str(days), str(count)).stdout == "True\n"
    store = SqliteStore(path, read_only=True)
    assert len(ids(store)) == 5
    store.close()
