"""The SQLite store as its callers see it: files, writers beside it, limits."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from support.records import T0, event, session_end, session_start

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.model.ids import new_id
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path):
    opened = SqliteStore(tmp_path / "of" / "store.db", busy_s=0.05)
    yield opened
    opened.close()


def test_the_file_and_its_directory_are_the_users_alone(store: SqliteStore):
    """Prompts are in it."""
    store.write([session_start(new_id())])
    assert stat.S_IMODE(os.stat(store.path.parent).st_mode) == 0o700
    for name in os.listdir(store.path.parent):
        assert stat.S_IMODE(os.stat(store.path.parent / name).st_mode) == 0o600, name


def test_a_reader_does_not_make_a_file_and_says_that_there_is_none(tmp_path: Path):
    """``sessions list`` on a fresh machine."""
    with pytest.raises(StoreError, match="does not exist"):
        SqliteStore(tmp_path / "none.db", read_only=True).sessions(SessionQuery())
    assert os.listdir(tmp_path) == []


def test_another_writer_makes_it_busy_and_nothing_is_half_written(store: SqliteStore):
    """Busy is the one error that goes away by itself, so it has a class of its own."""
    sid = new_id()
    store.write([session_start(sid)])
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        store.write([session_end(sid)])
    other.execute("ROLLBACK")
    other.close()
    store.write([session_end(sid)])
    assert store.sessions(SessionQuery()).sessions[0].status == "ended"


def test_a_full_disk_undoes_the_batch_and_says_so(store: SqliteStore):
    """SQLite's own limit of pages stands in for the disk: the error and its text are the same."""
    store.write([session_start(new_id())])
    connection = store._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    sid = new_id()
    with pytest.raises(StoreError, match="full") as caught:
        store.write([event(sid, inputs={"text": "x" * 20_000}) for _ in range(20)])
    assert not isinstance(caught.value, StoreBusyError)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.session(sid) is None


def test_a_read_that_takes_too_long_is_given_up(store: SqliteStore):
    """A filter over a huge store must not hold a reading thread for minutes."""
    store.write([event(new_id(), T0 + at) for at in range(2000)])
    hurried = SqliteStore(store.path, read_only=True, limit_s=0.0)
    with pytest.raises(StoreTimeoutError, match="too long"):
        hurried._read(
            lambda connection: connection.execute(
                "SELECT count(*) FROM events a, events b, events c"
            ).fetchone()
        )
    assert hurried.sessions(SessionQuery(limit=1)).sessions
    hurried.close()


def test_a_reader_cannot_write(store: SqliteStore):
    """The page reads with connections that could not change a row if they were told to."""
    store.open()
    reader = SqliteStore(store.path, read_only=True)
    with pytest.raises(StoreError):
        reader._run(lambda connection: connection.execute("DELETE FROM sessions"))
    reader.close()


@pytest.mark.parametrize("error", ["", "0", "it broke"])
def test_an_error_is_one_whatever_its_text(store: SqliteStore, error: str):
    """Also when it says nothing, and when its session is read back and written again."""
    sid = new_id()
    store.write([event(sid, error=error)])
    store.write([event(sid)])
    found = store.session(sid)
    assert found is not None
    assert [one.error for one in found.events] == [error, None]
    assert (found.summary.events, found.summary.errors) == (2, 1)
    step = found.events[0]
    store.forget([step.event_id])
    assert store.sessions(SessionQuery()).sessions[0].errors == 0
