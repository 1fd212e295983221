"""The directories on disk: the root, one directory a spool, and the lock that says who owns it.

Called when a spool is opened or recovered. Invariant: a directory with a spool's name has a lock
file, and as long as its owner lives that lock is held; so a free lock means an orphan.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from pathlib import Path

from sessiontrace.model.errors import SpoolError
from sessiontrace.runtime import fork_hooks
from sessiontrace.spool.cursor import SUFFIX
from sessiontrace.spool.filesystem import FileId, Files, file_id

__all__ = [
    "LOCK",
    "Lock",
    "check_root",
    "identity",
    "lacks_owner",
    "make",
    "new_spool_id",
    "remove",
    "renew_lock",
    "root_fault",
    "segments",
    "spools",
    "sweep",
    "try_lock",
]

LOCK = "lock"
_SPOOL = re.compile(r"[0-9a-f]{16}\Z")
_UNFINISHED = ".new-"
_SEGMENT = re.compile(r"(\d{8})\.seg\Z")
_OURS = re.compile(r"\d{8}\.seg(\.new)?\Z")
_STALE_S = 60.0

_locks: set[Lock] = set()


class Lock:
    """An exclusive lock on a spool. A forked child releases its copy at once.

    The kernel frees such a lock when the last descriptor is closed: a child that kept its copy
    would hide its dead parent's spool from recovery.
    """

    def __init__(self, files: Files, fd: int) -> None:
        self._files = files
        self.fd: int = fd
        _locks.add(self)

    def release(self) -> None:
        """Close the descriptor. In a forked child this leaves the parent's hold as it is."""
        _locks.discard(self)
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self._files.close(fd)


def _release_in_child() -> None:
    for lock in list(_locks):
        lock.release()


fork_hooks.SPOOL_LOCKS.register(in_child=_release_in_child)


def new_spool_id() -> str:
    """16 hex digits, older spools first: 32 bits of Unix seconds, 32 bits at random."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(4).hex()}"


def check_root(files: Files, root: Path) -> None:
    """Make the root if it is missing; SpoolError when it is not safe to write prompts there."""
    try:
        files.makedirs(root)
        fault = root_fault(files, root)
    except OSError as error:
        raise SpoolError(f"{root} cannot be created: {error}") from error
    if fault is not None:
        raise SpoolError(fault)


def root_fault(files: Files, root: Path) -> str | None:
    """Why it is not safe to write prompts there, and what to do; None when it is.

    OSError when there is nothing of that name.
    """
    status = files.lstat(root)
    if not stat.S_ISDIR(status.st_mode):
        return f"{root} is not a directory (a symbolic link is not followed)"
    if not files.owned(status):
        return (
            f"{root} belongs to another user, who could read what is recorded; set "
            "SESSIONTRACE_SPOOL (or spool=) to a directory of your own"
        )
    if sys.platform != "win32" and status.st_mode & 0o022:
        return f"{root} is writable by other users; run `chmod go-w {root}`"
    return None


def make(files: Files, root: Path, spool_id: str) -> tuple[Path, Lock]:
    """A spool's directory, locked before it gets its name. SpoolError when that fails.

    Where a directory with an open file keeps its name, it has it from the start. Recovery leaves a
    directory without a lock file alone for a minute, and looks only once in some seconds: it would
    have to come between the next two calls to take this one.
    """
    check_root(files, root)
    final = root / spool_id
    unfinished = root / (_UNFINISHED + spool_id) if files.moves_open_files else final
    lock: Lock | None = None
    is_new = False
    try:
        files.mkdir(unfinished)
        is_new = True
        lock = Lock(files, files.create(unfinished / LOCK))
        if not files.lock(lock.fd):
            raise BlockingIOError(f"{unfinished} was locked by another process")
        if unfinished != final:
            files.rename(unfinished, final)
    except OSError as error:
        if lock is not None:
            lock.release()
        if is_new:
            _discard(files, unfinished)
        lock = _take_back(files, final)
        if lock is None:
            raise SpoolError(f"no spool can be created in {root}: {error}") from error
    return final, lock


def _take_back(files: Files, directory: Path) -> Lock | None:
    """Our directory, which was moved away and then put back, or replaced by a copy of it.

    None unless it is a directory of this user alone that no other process has locked.
    """
    try:
        status = files.lstat(directory)
        private = sys.platform == "win32" or not status.st_mode & 0o022
        if stat.S_ISDIR(status.st_mode) and files.owned(status) and private:
            return try_lock(files, directory) or renew_lock(files, directory)
    except OSError:
        pass
    return None


def identity(files: Files, directory: Path) -> FileId | None:
    """Which directory has this name now; None for none, or for one that cannot be seen."""
    try:
        return file_id(files.lstat(directory))
    except OSError:
        return None


def try_lock(files: Files, directory: Path, *, shared: bool = False) -> Lock | None:
    """The lock of an orphan, or None while another process has it. Never waits."""
    path = directory / LOCK
    try:
        if not stat.S_ISDIR(files.lstat(directory).st_mode):
            return None
        fd = files.open(path, write=True)
    except OSError:
        left = not shared and lacks_owner(files, directory)
        return renew_lock(files, directory) if left else None
    try:
        # A lock file that was unlinked meanwhile guards nothing: its spool is gone.
        if files.lock(fd, shared=shared) and os.path.samestat(files.fstat(fd), files.lstat(path)):
            return Lock(files, fd)
    except OSError:
        pass
    files.close(fd)
    return None


def lacks_owner(files: Files, directory: Path) -> bool:
    """Whether a spool has had no lock file for a minute: a living owner makes a new one at once."""
    try:
        files.lstat(directory / LOCK)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    else:
        return False
    try:
        status = files.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and time.time() - status.st_mtime > _STALE_S


def renew_lock(files: Files, directory: Path) -> Lock | None:
    """A new lock file, locked, in place of a removed one; None when another process made one."""
    lock: Lock | None = None
    try:
        lock = Lock(files, files.create(directory / LOCK))
        if files.lock(lock.fd):
            return lock
    except OSError:
        pass
    if lock is not None:
        lock.release()
    return None


def remove(files: Files, directory: Path, lock: Lock) -> bool:
    """Remove a spool whose lock is held, and release it; whether the directory is gone."""
    try:
        for name in files.listdir(directory):
            if _OURS.match(name) or name.endswith(SUFFIX):
                files.unlink(directory / name)
        if not files.moves_open_files:
            lock.release()
        files.unlink(directory / LOCK)
        files.rmdir(directory)
    except OSError:
        return False
    finally:
        lock.release()
    return True


def spools(files: Files, root: Path) -> list[str]:
    """The ids of all spools under the root, oldest first."""
    try:
        return [name for name in files.listdir(root) if _SPOOL.match(name)]
    except OSError:
        return []


def segments(files: Files, directory: Path) -> list[tuple[int, Path, int]]:
    """Number, path and size of each segment file, in order; other files are not ours.

    By number, not by time: a clock that was set back changes nothing.
    """
    segment_files: list[tuple[int, Path, int]] = []
    try:
        names = files.listdir(directory)
    except OSError:
        return segment_files
    for name in names:
        match = _SEGMENT.match(name)
        try:
            status = files.lstat(directory / name)
        except OSError:
            continue
        if match and stat.S_ISREG(status.st_mode) and files.owned(status):
            segment_files.append((int(match[1]), directory / name, status.st_size))
    return sorted(segment_files)


def sweep(files: Files, root: Path) -> None:
    """Remove directories whose maker died before it could give them their name."""
    try:
        names = [name for name in files.listdir(root) if name.startswith(_UNFINISHED)]
        for name in names:
            directory = root / name
            if time.time() - files.lstat(directory).st_mtime > _STALE_S:
                lock = try_lock(files, directory)
                if lock is not None:
                    remove(files, directory, lock)
                else:
                    files.rmdir(directory)  # fails, and should, unless it is empty
    except OSError:
        return


def _discard(files: Files, unfinished: Path) -> None:
    for path in (unfinished / LOCK, unfinished):
        try:
            files.rmdir(path) if path is unfinished else files.unlink(path)
        except OSError:
            continue
