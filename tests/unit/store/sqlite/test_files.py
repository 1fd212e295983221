"""A store's files: removed or replaced under a program, open to others, or links to nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.records import event
from support.spools import uid

from sessiontrace.model.errors import StoreError
from sessiontrace.runtime import log
from sessiontrace.store.sqlite.store import SqliteStore

SESSION = uid(1)


def put(store: SqliteStore, number: int) -> None:
    assert store.write([event(SESSION, event_id=uid(number))]) == {}


@pytest.fixture(autouse=True)
def _stores_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python 3.13 warns of a connection that is collected without having been closed."""
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*arguments, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", remembered)
    yield
    for connection in connections:
        connection.close()


def stored(path: Path) -> int:
    """How many events another program finds."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])
    finally:
        connection.close()


def test_A29_a_removed_store_is_made_again(tmp_path: Path) -> None:
    """A user removes the store's files while a program records. What the program is told is stored
    is in a file that has the name.
    """
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    put(store, 2)
    for file in tmp_path.glob("store.db*"):
        file.unlink()
    put(store, 3)
    assert stored(path) == 1
    path.unlink()
    put(store, 4)
    assert stored(path) == 1
    store.close()


def test_A29_a_replaced_store_is_written_to(tmp_path: Path) -> None:
    """A backup is moved over the store: records go to the file that has the name now."""
    path, backup = tmp_path / "store.db", tmp_path / "backup.db"
    other = SqliteStore(backup)
    put(other, 10)
    other.close()
    store = SqliteStore(path)
    reader = SqliteStore(path, read_only=True)
    put(store, 2)
    assert reader.event(uid(2)) is not None
    version = reader.version()
    backup.replace(path)
    put(store, 3)
    assert stored(path) == 2
    assert reader.event(uid(10)) is not None
    assert reader.version() != version
    reader.close()
    store.close()


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
def test_A29_a_removed_log_loses_nothing(tmp_path: Path, suffixes: list[str]) -> None:
    """Only the store's log is removed: what was in it is saved, and the program goes on."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    for number in range(2, 12):
        put(store, number)
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink()
    put(store, 12)
    assert stored(path) == 11
    store.close()
    assert stored(path) == 11


def test_A29_a_store_that_loses_its_name_within_a_write_is_written_again(tmp_path: Path) -> None:
    """The file goes between the check and the commit. The write is done once more."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    put(store, 2)
    real = store._current

    def current() -> sqlite3.Connection:
        connection = real()
        store._current = real  # type: ignore[method-assign]
        path.unlink()
        return connection

    store._current = current  # type: ignore[method-assign]
    assert store.write([event(SESSION, event_id=uid(3))]) == {}
    assert stored(path) == 1
    store.close()


def test_A29_a_link_to_nothing_makes_no_file(tmp_path: Path) -> None:
    """SQLite would follow the link and make a file that everybody can read."""
    target, path = tmp_path / "target.db", tmp_path / "store.db"
    path.symlink_to(target)
    with pytest.raises(StoreError, match="link to a file that does not exist"):
        SqliteStore(path).open()
    assert not target.exists()


def test_A29_a_store_that_others_can_change_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file has mode 0666: it is used, with a line that says what to do."""
    log.reset()
    path = tmp_path / "store.db"
    SqliteStore(path).open()
    assert not caplog.records
    path.chmod(0o666)
    SqliteStore(path).open()
    assert "can be changed by other users" in caplog.text


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_A29_a_store_of_another_user_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file belongs to another user, who can change what is in it."""
    log.reset()
    path = tmp_path / "store.db"
    SqliteStore(path).open()
    os.chown(path, 65534, 65534)
    SqliteStore(path).open()
    assert "can be changed by other users" in caplog.text


def test_A29_directories_of_a_store_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """With a umask of 0 the directories above the store were open to everybody."""
    before = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "a" / "b" / "store.db")
        store.open()
        store.close()
    finally:
        os.umask(before)
    for place in (tmp_path / "a", tmp_path / "a" / "b"):
        assert place.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "store.db").stat().st_mode & 0o777 == 0o600
