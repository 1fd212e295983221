"""Tails: the zeros that a killed process left behind the last frame of its segments.

Called with the spool's lock held, by recovery and by the quota. Invariant: only zero bytes at the
end of a file are cut off, and the file keeps its time, by which the quota knows its age.
"""

from __future__ import annotations

from pathlib import Path

from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.recovery.scan import read_headers

__all__ = ["trim_tails"]

_WINDOW = 1 << 18


def trim_tails(files: Files, spool: Path) -> None:
    """Give the disk back what no frame uses; a spool of a newer format stays as it is."""
    padded = [
        (path, size)
        for _, path, size in directories.segments(files, spool)
        if size and _ends_with_zero(files, path, size)
    ]
    if not padded or not read_headers(files, spool, spool.name)[1]:
        return
    for path, size in padded:
        try:
            files.cut(path, _used(files, path, size))
        except OSError:
            continue


def _ends_with_zero(files: Files, path: Path, size: int) -> bool:
    try:
        fd = files.open(path)
    except OSError:
        return False
    try:
        return files.pread(fd, 1, size - 1) == b"\0"
    except OSError:
        return False
    finally:
        files.close(fd)


def _used(files: Files, path: Path, size: int) -> int:
    """Where the last byte that is not zero ends, read from the end of the file."""
    fd = files.open(path)
    try:
        end = size
        while end:
            start = max(0, end - _WINDOW)
            window = files.pread(fd, end - start, start).rstrip(b"\0")
            if window:
                return start + len(window)
            end = start
        return 0
    finally:
        files.close(fd)
