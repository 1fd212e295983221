"""The status of all spools under a root, for ``sessiontrace spool status``.

From any process. Invariant: it recovers, changes and removes nothing, and holds a spool's lock, in
its shared form, for no longer than a probe takes.
"""

from __future__ import annotations

import time
from pathlib import Path

import attrs

from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.recovery.scan import SpoolScan, read_headers, used_bytes

__all__ = ["ConsumerLag", "Status", "inspect"]


@attrs.frozen
class ConsumerLag:
    """How many records of a spool one destination has not got: those beyond its cursor."""

    consumer: Consumer
    pending: int


@attrs.frozen
class Status:
    """One spool. ``service`` is empty and ``pid`` 0 where no header can be read.

    ``alive``: a process holds it. ``age_s``: seconds since it was opened.
    """

    spool_id: str
    service: str
    pid: int
    alive: bool
    lags: tuple[ConsumerLag, ...]
    segments: int
    used_bytes: int
    damaged: int
    age_s: float


def inspect(root: Path, files: Files = OS_FILES) -> list[Status]:
    """Every spool under the root, oldest first; empty when there is no such directory."""
    statuses: list[Status] = []
    for spool_id in directories.spools(files, root):
        status = _inspect(files, root / spool_id)
        if status is not None:
            statuses.append(status)
    return statuses


def _inspect(files: Files, directory: Path) -> Status | None:
    left = directories.lacks_owner(files, directory)
    try:
        opened_at = files.lstat(directory if left else directory / directories.LOCK).st_mtime
    except OSError:
        return None  # removed meanwhile, or not a spool
    probe = None if left else directories.try_lock(files, directory, shared=True)
    if probe is not None:
        probe.release()
    header, _ = read_headers(files, directory, directory.name)
    consumers = header.consumers if header is not None else ()
    scan = SpoolScan.examine(files, directory, directory.name, consumers)
    segment_files = directories.segments(files, directory)
    return Status(
        spool_id=directory.name,
        service=header.service if header is not None else "",
        pid=header.pid if header is not None else 0,
        alive=probe is None and not left,
        lags=tuple(ConsumerLag(consumer, scan.pending[consumer.name]) for consumer in consumers),
        segments=len(segment_files),
        used_bytes=sum(used_bytes(files, path, size) for _, path, size in segment_files),
        damaged=scan.damaged,
        age_s=max(0.0, time.time() - opened_at),
    )
