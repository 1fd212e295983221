"""The rules of other systems' file systems, laid over ``Files`` on Linux.

They simulate which calls are missing there, and what is refused. ``forget`` stands for the end of a
process, which closes what it had open.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessiontrace.spool.filesystem import Files

_open_files: dict[int, Path] = {}


def forget(directory: Path) -> None:
    """The process that had files of this directory open is gone."""
    for fd, path in list(_open_files.items()):
        if directory in path.parents:
            del _open_files[fd]


def _refuse_if_open(*places: Path) -> None:
    for path in _open_files.values():
        for place in places:
            if path == place or place in path.parents:
                raise PermissionError(errno.EACCES, "open in another handle", str(place))


def _without_own_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ``posix_fallocate`` nor ``memfd_create``, and no file is mapped."""
    monkeypatch.setattr(Files, "pour", lambda self, fd, size: 0)
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.setattr(Files, "mappable", lambda self, path: False)


def macos(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python has no name for on macOS, and its full synchronization."""
    _without_own_zeros(monkeypatch)
    monkeypatch.setattr("sessiontrace.spool.filesystem._FULL_SYNC", 51)
    monkeypatch.setattr("fcntl.fcntl", lambda fd, command: os.fsync(fd))


def ntfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name of an open file changes or goes, nor of a directory above it; all locks exclude."""
    _without_own_zeros(monkeypatch)
    monkeypatch.setattr(Files, "moves_open_files", False)
    monkeypatch.setattr(Files, "sync_directory", lambda self, path: None)
    original: dict[str, Callable[..., Any]] = {
        name: getattr(Files, name)
        for name in ("create", "open", "close", "rename", "unlink", "rmdir", "lock")
    }

    def opening(name: str) -> Callable[..., int]:
        def call(self: Files, path: Path, **options: Any) -> int:
            fd: int = original[name](self, path, **options)
            _open_files[fd] = path
            return fd

        return call

    def close(self: Files, fd: int) -> None:
        _open_files.pop(fd, None)
        original["close"](self, fd)

    def refusing(name: str) -> Callable[..., None]:
        def call(self: Files, *paths: Path) -> None:
            _refuse_if_open(*paths)
            original[name](self, *paths)

        return call

    def lock(self: Files, fd: int, *, shared: bool = False) -> bool:
        return bool(original["lock"](self, fd))

    monkeypatch.setattr(Files, "create", opening("create"))
    monkeypatch.setattr(Files, "open", opening("open"))
    monkeypatch.setattr(Files, "close", close)
    for name in ("rename", "unlink", "rmdir"):
        monkeypatch.setattr(Files, name, refusing(name))
    monkeypatch.setattr(Files, "lock", lock)


RULES = {"macos": macos, "ntfs": ntfs}
