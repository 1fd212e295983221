"""The store: what records become, what a list of sessions tells, and which files it refuses."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from support.records import T0, event, make, session_end, session_start

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.model.ids import new_id
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite import schema
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path):
    made = SqliteStore(tmp_path / "of" / "store.db", busy_s=0.05)
    yield made
    made.close()


def test_the_file_and_its_directory_are_the_users_alone(store: SqliteStore):
    """Prompts are in it."""
    store.write([session_start(new_id())])
    assert stat.S_IMODE(os.stat(store.path.parent).st_mode) == 0o700
    for name in os.listdir(store.path.parent):
        assert stat.S_IMODE(os.stat(store.path.parent / name).st_mode) == 0o600, name


def test_every_connection_is_set_up_the_same(store: SqliteStore):
    """What the schema relies on must hold in each process that opens the file."""
    store.open()
    connection = store._connection
    assert connection is not None
    asked = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "foreign_keys", "trusted_schema", "synchronous")
    }
    assert asked == {
        "journal_mode": "wal", "foreign_keys": 1, "trusted_schema": 0, "synchronous": 2,
    }  # fmt: skip


def test_a_newer_schema_is_refused_and_left_alone(store: SqliteStore):
    """An old program beside a new one must not write what the new one cannot read."""
    store.write([session_start(new_id())])
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match=r"newer sessiontrace.*pip install -U"):
        store.write([session_start(new_id())])
    assert store.path.read_bytes() == before


def test_an_older_schema_is_migrated_and_keeps_its_rows(tmp_path: Path):
    """Version 1 with a session in it becomes version 3, each step once, in one transaction."""
    path = tmp_path / "store.db"
    sid = new_id()
    store = SqliteStore(path)
    store.write([session_end(sid)])
    store.close()
    later = [
        *schema.MIGRATIONS,
        ["ALTER TABLE sessions ADD COLUMN score REAL"],
        ["UPDATE sessions SET score = 0.5"],
    ]
    connection = schema.connect(path, busy_s=1)
    schema.migrate(connection, path, later)
    schema.migrate(connection, path, later)
    assert connection.execute("SELECT session_id, score FROM sessions").fetchall() == [(sid, 0.5)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path):
    """A disk that fills up in the middle must leave the old version, whole."""
    path = tmp_path / "store.db"
    make(path)
    connection = schema.connect(path, busy_s=1)
    later = [*schema.MIGRATIONS, ["CREATE TABLE extra (a)", "INSERT INTO nowhere VALUES (1)"]]
    with pytest.raises(sqlite3.Error):
        schema.migrate(connection, path, later)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert connection.execute("SELECT * FROM sqlite_master WHERE name='extra'").fetchall() == []
    connection.close()


def test_a_reader_does_not_make_a_file_and_says_that_there_is_none(tmp_path: Path):
    """``sessions list`` on a fresh machine."""
    with pytest.raises(StoreError, match="does not exist"):
        SqliteStore(tmp_path / "none.db", read_only=True).sessions(SessionQuery())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"no database at all, only text" * 40, b"SQLite format 3\0"])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes):
    """SESSIONTRACE_STORE=notes.txt"""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"not a SQLite database|damaged"):
        SqliteStore(path).write([session_start(new_id())])
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path):
    """--db ~/.mozilla/cookies.sqlite"""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (a)")
    connection.close()
    with pytest.raises(StoreError, match="another program's"):
        SqliteStore(path).open()


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
