"""The files behind a store's path: which they are, who may change them, and how they are made.

On the thread that uses the store. Invariant: nothing here opens an existing file of a store, as
closing it would release the locks of every connection of this process to it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from sessiontrace.model.errors import StoreError
from sessiontrace.runtime.log import log_once

__all__ = ["FileIdentity", "create", "identity", "in_place", "remove_stale_log", "save_log"]

FileIdentity = tuple[tuple[int, int] | None, ...]
"""Device and inode of the database, its -wal and its -shm; None for a file that is not there."""


def identity(path: Path) -> FileIdentity:
    """Which files have the store's names now."""
    return tuple(_file_id(f"{path}{suffix}") for suffix in ("", "-wal", "-shm"))


def in_place(before: FileIdentity | None, now: FileIdentity) -> bool:
    """Whether the files that were opened still have their names."""
    return before is not None and all(
        old is None or old == new for old, new in zip(before, now, strict=True)
    )


def save_log(connection: sqlite3.Connection, path: Path, before: FileIdentity | None) -> None:
    """Move what is only in a removed log into the database, while no other log has its name."""
    now = identity(path)
    if before is None or now[0] != before[0] or (now[1] is not None and now[2] is not None):
        return
    try:
        connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
    except sqlite3.Error:
        log_once(f"store:log:{path}", "%s: what was in its removed log may be lost", path)


def remove_stale_log(path: Path, before: FileIdentity | None) -> None:
    """The database was replaced: its log must not be read into the new one."""
    now = identity(path)
    if before is None or now[0] == before[0]:
        return
    for suffix, old, new in zip(("-wal", "-shm"), before[1:], now[1:], strict=True):
        if old is not None and old == new:
            try:
                os.unlink(f"{path}{suffix}")
            except OSError:
                continue


def create(path: Path) -> None:
    """Make an empty file (0600) and its directories (0700) where there are none.

    StoreError for a file that another user owns, or a link to nothing. One that others can write
    is used, with a warning.
    """
    _make_directories(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        _check_owner(path)


def _make_directories(directory: Path) -> None:
    missing = [directory]
    while not missing[-1].exists() and missing[-1] != missing[-1].parent:
        missing.append(missing[-1].parent)
    for place in reversed(missing[:-1]):
        place.mkdir(mode=0o700, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def _check_owner(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise StoreError(
            f"{path} is a link to a file that does not exist; make that file (mode 0600), or name "
            "another one (path= or SESSIONTRACE_STORE, or --db on the command line)"
        ) from None
    if not hasattr(os, "geteuid") or not stat.S_ISREG(status.st_mode):
        return
    if status.st_uid not in {os.geteuid(), 0} and os.geteuid() != 0:
        raise StoreError(
            f"{path} belongs to another user, who can read and change what is stored in it; name "
            "another file (path= or SESSIONTRACE_STORE, or --db on the command line)"
        )
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        log_once(
            f"store:mode:{path}",
            "%s can be changed by other users; make it yours alone (chown, `chmod 600`)",
            path,
        )


def _file_id(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
