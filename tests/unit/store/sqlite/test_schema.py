"""The SQLite file: how it is opened and migrated, and which files are refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.records import event, make, session_end, session_start

from sessiontrace.model.errors import StoreError
from sessiontrace.model.ids import new_id
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite import schema
from sessiontrace.store.sqlite.store import SqliteStore, SqliteStores


@pytest.fixture
def store(tmp_path: Path):
    opened = SqliteStore(tmp_path / "of" / "store.db", busy_s=0.05)
    yield opened
    opened.close()


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


@pytest.mark.parametrize("has_header", [False, True])
def test_a_project_that_is_being_created_is_read_as_empty(tmp_path: Path, has_header: bool):
    """The first two requests of a new project come at once: one creates the file, and the other
    finds it without a schema, or without a byte.
    """
    path = tmp_path / "store.db"
    path.touch(mode=0o600)
    if has_header:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    reader = SqliteStores(path).reader("default", 2.0)
    assert reader.sessions(SessionQuery()).sessions == []
    reader.close()


def test_a_new_reader_leaves_the_locks_of_this_process(store: SqliteStore):
    """The system drops them when any descriptor of the file is closed. Another process then takes
    itself for the last, and removes the log from under this one.
    """
    store.open()
    writer = schema.connect(store.path, busy_s=1.0)
    writer.execute("DELETE FROM sessions")
    log = store.path.with_name(f"{store.path.name}-wal")
    before = log.stat().st_ino
    SqliteStores(store.path).reader("default", 2.0).close()
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version')"
    subprocess.run([sys.executable, "-c", program, str(store.path)], check=True)
    assert log.stat().st_ino == before
    writer.close()


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


def test_a_file_keeps_the_size_of_its_pages(tmp_path: Path):
    """A new one has pages that events of a kilobyte fill; an older one works as it is."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    made = sqlite3.connect(old)
    made.execute("PRAGMA page_size = 4096")
    made.execute("PRAGMA auto_vacuum = INCREMENTAL")
    schema.migrate(made, old, schema.MIGRATIONS[:1])
    made.close()
    for path, size in ((old, 4096), (new, 8192)):
        store = SqliteStore(path)
        store.write([event(new_id())])
        store.close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA page_size").fetchone() == (size,)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        connection.close()
