"""The SQLite file: its tables, its version, and how an older one becomes a current one.

Called by whoever opens the file, on that thread. Invariant: ``user_version`` is the number of
migrations that were applied, and each was applied once, in one transaction with that number.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from sessiontrace.errors import StoreError
from sessiontrace.store.base import StoreBusyError, StoreTimeoutError

__all__ = ["APPLICATION_ID", "MIGRATIONS", "check", "connect", "create", "migrate", "translate"]

APPLICATION_ID = 0x53545243
"""Marks the file as ours ("STRC"), so that another program's database is never written to."""

_FIRST = (
    """
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL UNIQUE,
        name TEXT, source TEXT, user TEXT,
        start_time INTEGER, end_time INTEGER, duration REAL,
        status TEXT NOT NULL, error TEXT,
        events INTEGER NOT NULL, errors INTEGER NOT NULL, models INTEGER NOT NULL,
        tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        folded TEXT NOT NULL,
        state TEXT NOT NULL
    )
    """,
    "CREATE INDEX sessions_by_start ON sessions (start_time, session_id)",
    "CREATE INDEX sessions_failed ON sessions (start_time, session_id) WHERE failed",
    """
    CREATE TABLE session_records (
        session_id TEXT PRIMARY KEY REFERENCES sessions (session_id) ON DELETE CASCADE,
        body TEXT, patch TEXT
    )
    """,
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
        parent_id TEXT, type TEXT NOT NULL, name TEXT NOT NULL,
        start_time INTEGER, end_time INTEGER, duration REAL,
        status TEXT NOT NULL, turn INTEGER NOT NULL, error TEXT,
        tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        body TEXT, patch TEXT
    )
    """,
    "CREATE INDEX events_by_session ON events (session_id, start_time)",
)

# Triggers tell the search index what it has still to read, whoever wrote it: ids of events as they
# are, rowids of session records negative. They look first: the conflict policy of an upsert would
# override an OR IGNORE of theirs. The index itself is filled by whoever serves the store.
_SECOND = (
    "CREATE INDEX events_by_start ON events (start_time)",
    "ALTER TABLE sessions ADD COLUMN written INTEGER NOT NULL DEFAULT 0",
    "UPDATE sessions SET written = CAST(strftime('%s', 'now') AS INTEGER) * 1000",
    "CREATE INDEX sessions_by_written ON sessions (written)",
    """
    CREATE TABLE notes (
        kind TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX notes_by_time ON notes (kind, at, id)",
    "CREATE VIRTUAL TABLE search USING fts5 (text, content = '', detail = none)",
    """
    CREATE TABLE search_documents (
        document INTEGER PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX search_documents_by_session ON search_documents (session)",
    "CREATE TABLE search_queue (id INTEGER PRIMARY KEY)",
    """
    CREATE TRIGGER events_written AFTER INSERT ON events BEGIN
        INSERT INTO search_queue SELECT new.id
        WHERE new.id NOT IN (SELECT id FROM search_queue);
    END
    """,
    """
    CREATE TRIGGER events_changed AFTER UPDATE ON events
    WHEN new.body IS NOT old.body OR new.patch IS NOT old.patch BEGIN
        INSERT INTO search_queue SELECT new.id
        WHERE new.id NOT IN (SELECT id FROM search_queue);
    END
    """,
    """
    CREATE TRIGGER records_written AFTER INSERT ON session_records BEGIN
        INSERT INTO search_queue SELECT -new.rowid
        WHERE -new.rowid NOT IN (SELECT id FROM search_queue);
    END
    """,
    """
    CREATE TRIGGER records_changed AFTER UPDATE ON session_records
    WHEN new.body IS NOT old.body OR new.patch IS NOT old.patch BEGIN
        INSERT INTO search_queue SELECT -new.rowid
        WHERE -new.rowid NOT IN (SELECT id FROM search_queue);
    END
    """,
    "INSERT INTO search_queue SELECT id FROM events",
    "INSERT INTO search_queue SELECT -rowid FROM session_records",
)

# Of ``scored`` NULL means: nobody has looked at the scores of the session's events yet. Deleting
# now takes an id out of the queue, so that writing need not look whether it is there.
_THIRD = (
    "ALTER TABLE sessions ADD COLUMN scores TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE sessions ADD COLUMN scored TEXT",
    "DELETE FROM search_queue WHERE id > 0 AND id NOT IN (SELECT id FROM events)",
    "DELETE FROM search_queue WHERE id < 0 AND -id NOT IN (SELECT rowid FROM session_records)",
    "DROP TRIGGER events_written",
    "DROP TRIGGER records_written",
    """
    CREATE TRIGGER events_written AFTER INSERT ON events BEGIN
        INSERT INTO search_queue VALUES (new.id);
    END
    """,
    """
    CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN
        DELETE FROM search_queue WHERE id = old.id;
    END
    """,
    """
    CREATE TRIGGER records_written AFTER INSERT ON session_records BEGIN
        INSERT INTO search_queue VALUES (-new.rowid);
    END
    """,
    """
    CREATE TRIGGER records_deleted AFTER DELETE ON session_records BEGIN
        DELETE FROM search_queue WHERE id = -old.rowid;
    END
    """,
)

MIGRATIONS: Sequence[Sequence[str]] = (_FIRST, _SECOND, _THIRD)
"""``MIGRATIONS[n]`` are the statements that bring version n to version n + 1."""


def create(path: Path) -> None:
    """Make an empty file (0600) and its directory (0700) where there are none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        return


def connect(path: Path, *, busy_s: float, read_only: bool = False) -> sqlite3.Connection:
    """A connection to an existing file, set up as every one of ours is; ``sqlite3.Error``."""
    connection = sqlite3.connect(
        path, timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # An acknowledged record leaves the spool, so a commit must outlive a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            # A checkpoint writes every changed page and syncs twice: seldom is cheaper.
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
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
            # SQLite does not wait for the lock that this change needs, only for others.
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

    Those two are left as they are, to the byte.
    """
    version = _version(connection, path, len(migrations))
    if version == 0 and connection.execute("PRAGMA page_count").fetchone() == (0,):
        # Lets space be given back without a VACUUM of the whole file.
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


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse, with ``StoreError``, to read a file that is not of the current version."""
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
    """Version, mark and number of tables, as of one moment: another process may be migrating."""
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
    ("interrupted", "reading {path} took too long and was given up"),
    ("full", "the disk that holds {path} is full; make room on it"),
    ("readonly", "{path} cannot be written to; check the owner and mode of file and directory"),
    ("unable to open", "{path} cannot be opened; check that its directory exists and is yours"),
    ("not a database", "{path} is no SQLite database; name another file, or move it away"),
    ("malformed", "{path} is damaged; move it away (sqlite3's .recover can save most of it)"),
)


def translate(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """What SQLite or the system complained of, as an error that says what to do."""
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
