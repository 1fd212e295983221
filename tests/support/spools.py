"""Spools for tests: records with ids, a spool in a given mode, and files that fail on demand."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from support.file_system_rules import forget

from sessiontrace.model.record import END, EVENT, START, UPDATE, Record
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.frame import Consumer, head
from sessiontrace.spool.reader import Reader
from sessiontrace.spool.recovery.recovered_spool import RecoveredSpool
from sessiontrace.spool.recovery.spool_recovery import SpoolRecovery
from sessiontrace.spool.spool import Spool

A = Consumer("a", "local", "fingerprint-a")
B = Consumer("b", "honeyhive", "fingerprint-b")

MODES = ("map", "write", "memory")

EVENT_HEAD = head(EVENT, b"*")
START_HEAD = head(START, b"*")
END_HEAD = head(END, b"*")
UPDATE_HEAD = head(UPDATE, b"*")


def uid(number: int) -> str:
    return f"{number:08x}-0000-7000-8000-{number:012x}"


def body(number: int, session: int = 0, pad: int = 0, **fields: Any) -> bytes:
    """A record's body: its event id says which one it is."""
    return orjson.dumps(
        {
            "event_id": uid(number),
            "session_id": uid(session),
            "start_time": 1_000 + number,
            **fields,
            "inputs": {"pad": "x" * pad},
        }
    )


def number_of(record: Record) -> int:
    return int(record.body[13:21], 16)


def make(
    root: Path | None,
    *consumers: Consumer,
    io: str | None = None,
    quota: int = 512 << 20,
    durability: str = "process",
    counters: Counters | None = None,
    files: Files | None = None,
    on_open: Callable[[], None] = lambda: None,
    on_fork: Callable[[bytes, bytes], bool] = lambda head, body: False,
    recovered: Callable[[], Sequence[RecoveredSpool]] = tuple,
) -> Spool:
    """A spool; ``io="memory"`` stands for none on disk."""
    return Spool(
        None if io == "memory" else root,
        consumers=consumers or (A,),
        service="test",
        quota=quota,
        io=None if io == "memory" else io,
        durability=durability,
        counters=counters or Counters(),
        files=files or Files(),
        on_open=on_open,
        on_fork=on_fork,
        recovered=recovered,
    )


def fill(spool: Spool, count: int, start: int = 1, pad: int = 0) -> None:
    for number in range(start, start + count):
        assert spool.append(EVENT_HEAD, body(number, pad=pad))


def drain(reader: Reader, settle: bool = True, most: int = 1000) -> list[Record]:
    """All that can be read now."""
    found: list[Record] = []
    while (chunk := reader.read(most, 1 << 22)) is not None:
        assert len(chunk.records) == len(chunk.ends)
        assert chunk.ends == sorted(chunk.ends)
        assert len({end.segment for end in chunk.ends}) == 1
        found += chunk.records
        if settle:
            reader.acknowledge(chunk.ends[-1])
    return found


def numbers(records: list[Record]) -> list[int]:
    return [number_of(record) for record in records]


def die(spool: Spool) -> Path:
    """What SIGKILL leaves: the files as they are, and the lock free."""
    assert spool.directory is not None
    spool._allocator.release()
    forget(spool.directory)
    return spool.directory


def recovery(
    root: Path, *ours: Consumer, counters: Counters | None = None, from_oldest: Sequence[str] = ()
) -> SpoolRecovery:
    counters = counters or Counters()
    return SpoolRecovery(root, lambda: None, ours or (A,), counters, from_oldest=from_oldest)


@contextmanager
def recovered(
    root: Path, *ours: Consumer, counters: Counters | None = None
) -> Iterator[RecoveredSpool]:
    """The one spool there is to recover; released at the end."""
    (one,) = recovery(root, *ours, counters=counters).scan()
    try:
        yield one
    finally:
        one.release()


class FailingFiles(Files):
    """The real file system until ``failing`` names a call: then that call fails with ``error``."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.error = errno.ENOSPC
        self.calls: list[str] = []
        self.most_bytes: int | None = None  # a short write takes no more than this

    def _may(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failing:
            raise OSError(self.error, os.strerror(self.error))

    def create(self, path: Path) -> int:
        self._may("create")
        return super().create(path)

    def allocate(self, fd: int, size: int) -> None:
        self._may("allocate")
        super().allocate(fd, size)

    def pour(self, fd: int, size: int) -> int:
        self._may("pwrite")
        return super().pour(fd, size)

    def pwrite(self, fd: int, raw: bytes | memoryview, offset: int) -> int:
        self._may("pwrite")
        return super().pwrite(fd, raw[: self.most_bytes], offset)

    def sync(self, fd: int) -> None:
        self._may("sync")
        super().sync(fd)

    def unlink(self, path: Path) -> None:
        self._may("unlink")
        super().unlink(path)

    def truncate(self, fd: int, size: int) -> None:
        self._may("truncate")
        super().truncate(fd, size)

    def mkdir(self, path: Path) -> None:
        self._may("mkdir")
        super().mkdir(path)


def left_behind(
    root: Path, count: int, *consumers: Consumer, pad: int = 0, io: str = "write"
) -> Path:
    """The directory of a process that took ``count`` events, delivered none and was killed."""
    spool = make(root, *consumers, io=io)
    fill(spool, count, pad=pad)
    return die(spool)


def snapshot(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def restore(directory: Path, files: dict[str, bytes]) -> Path:
    """Put a spool's directory (back) on the disk."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    for name, raw in files.items():
        (directory / name).write_bytes(raw)
    return directory
