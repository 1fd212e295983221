"""Creates, opens and migrates the SQLite file.

Runs on the thread that opens the file. Invariant: ``user_version`` is the number of applied
migrations, and each was applied once, in one transaction with that number.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.store.sqlite.migrations import MIGRATIONS
from sessiontrace.store.sqlite.query_conditions import add_functions

__all__ = ["APPLICATION_ID", "MIGRATIONS", "check", "connect", "is_created", "migrate", "translate"]

APPLICATION_ID = 0x53545243
"""Marks the file as a store ("STRC"), so that no other program's database is written."""

_PAGE_BYTES = 8192  # of a new file; an older one keeps what it has


def connect(path: Path, *, busy_s: float, read_only: bool = False) -> sqlite3.Connection:
    """A connection to an existing file, with the store's settings; raises ``sqlite3.Error``."""
    connection = sqlite3.connect(
        path, timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        add_functions(connection)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # An acknowledged record leaves the spool, so a commit must outlive a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            # A changed row, and a page that is split, leave no copy that a deletion would miss.
            connection.execute("PRAGMA secure_delete = ON")
            # macOS keeps what is synced in the drive's cache otherwise; elsewhere it does nothing.
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA checkpoint_fullfsync = ON")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            # A checkpoint writes every changed page and syncs twice: fewer of them are cheaper.
            connection.execute("PRAGMA wal_autocheckpoint = 2000")
            # Large enough to hold one group of the server's changes until it commits.
            connection.execute("PRAGMA cache_size = -8192")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, busy_s: float) -> None:
    deadline = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite waits for other locks, but not for the one that this change needs.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
    busy_s: float = 1.0,
) -> None:
    """Bring the file to the current version; ``StoreError`` for a newer or a foreign one.

    Such a file stays unchanged, to the byte.
    """
    version = _version(connection, path, len(migrations))
    if version == 0 and connection.execute("PRAGMA page_count").fetchone() == (0,):
        # In pages of 4096 bytes, events of a kilobyte leave a fifth empty.
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        # Allows to free space without a VACUUM of the whole file. Writes the first page.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_wal(connection, busy_s)
    if version == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated while we waited for the lock.
        version = _version(connection, path, len(migrations))
        for number in range(version, len(migrations)):
            for statement in migrations[number]:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_created(path: Path) -> bool:
    """Whether the file is there and has a schema.

    Asks SQLite: where a process opens and closes the file itself, the system drops all locks that
    its connections hold (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        ) as connection:
            return bool(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return path.exists()  # opening it will give the reason


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ``StoreError`` for a file that does not have the current version."""
    version = _version(connection, path, len(MIGRATIONS))
    if version == 0:
        raise StoreError(f"{path} is empty: no session was stored there yet")
    if version < len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by an older sessiontrace (its schema is version {version}); any "
            "program that writes to it, or `sessiontrace serve`, brings it up to date"
        )


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    version, mark, tables = _identity(connection)
    if mark != APPLICATION_ID and (version or mark or tables):
        raise StoreError(
            f"{path} is another program's database; name another file (path= or "
            "SESSIONTRACE_STORE, or --db on the command line)"
        )
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer sessiontrace (its schema is version {version}, this "
            f"one knows up to {newest}); upgrade with `pip install -U sessiontrace`, or name "
            "another file (path= or SESSIONTRACE_STORE, or --db on the command line)"
        )
    return version


def _identity(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Version, mark and number of tables in one snapshot: another process may be migrating."""
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
    finally:
        if alone and connection.in_transaction:
            connection.execute("ROLLBACK")
    return int(version), int(mark), int(tables)


_REASONS = (
    ("interrupted", "reading {path} took too long and was stopped"),
    ("full", "the disk that holds {path} is full; make room on it"),
    ("readonly", "{path} cannot be written to; check the owner and mode of file and directory"),
    ("unable to open", "{path} cannot be opened; check that its directory exists and is yours"),
    ("not a database", "{path} is not a SQLite database; name another file, or move it away"),
    ("malformed", "{path} is damaged; move it away (sqlite3's .recover can save most of it)"),
)


def translate(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """An error of SQLite or the system as a ``StoreError`` that says what to do."""
    text = str(error)
    if isinstance(error, sqlite3.Error) and ("locked" in text or "busy" in text):
        return StoreBusyError(
            f"{path} is in use by another process that is writing to it; try again"
        )
    for sign, reason in _REASONS:
        if sign in text:
            kind = StoreTimeoutError if sign == "interrupted" else StoreError
            return kind(reason.format(path=path))
    if isinstance(error, OSError):
        return StoreError(f"{path} cannot be used: {error.strerror or type(error).__name__}")
    return StoreError(f"{path} cannot be used: {text}")
