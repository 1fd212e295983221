"""The segment: one zero-filled file (or piece of memory) that frames are written into, end to end.

The appender owns the active segment under the spool's lock; maintenance owns sealed ones.
Invariant: bytes before ``committed`` never change again, so a reader that stops there needs no
lock.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from zlib import crc32

from sessiontrace.model.record import END, OPEN, START
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.spool import frame
from sessiontrace.spool.filesystem import (
    FileId,
    Files,
    file_id,
    read_all,
    read_range,
    write_all,
)

__all__ = [
    "LARGEST",
    "MAP",
    "MEMORY",
    "SMALLEST",
    "UNFINISHED",
    "WRITE",
    "FrameCounter",
    "Segment",
    "file_name",
]

SMALLEST = 1 << 18
LARGEST = 1 << 23

UNFINISHED = ".new"
"""Ends the name of a segment file that is still being written out from memory."""

MAP = "map"
WRITE = "write"
MEMORY = "memory"


def file_name(number: int) -> str:
    """A segment's name in its spool's directory."""
    return f"{number:08d}.seg"


class FrameCounter:
    """How many records of one head (kind and route) a segment holds.

    ``crc``: the checksum after the head, from which a frame's checksum goes on.
    ``changes_sessions``: these records begin or end a session.
    """

    __slots__ = ("changes_sessions", "count", "crc", "kind", "route")

    def __init__(self, head: bytes, seed: int) -> None:
        _, kind, route, _ = head.split(b" ")
        self.kind: bytes = kind
        self.route: bytes = route
        self.crc: int = crc32(head[1:], seed)
        self.count: int = 0
        self.changes_sessions: bool = kind in (START, END)


class Segment:
    """A numbered run of frames behind a header. See ``create``, ``in_memory`` and ``existing``."""

    __slots__ = (
        "_files",
        "_io",
        "broken",
        "committed",
        "copy",
        "counters",
        "fd",
        "file_id",
        "first",
        "gone",
        "mode",
        "noted_damage",
        "number",
        "path",
        "sealed",
        "seed",
        "size",
        "start",
        "synced",
        "view",
    )

    def __init__(self, files: Files, spool_id: str, number: int, size: int, mode: str) -> None:
        self._files = files
        self._io = ReentrantLock()  # a use of ``fd`` and its closing exclude each other
        self.number: int = number
        self.seed: int = frame.seed(spool_id, number)
        self.size: int = size
        self.mode: str = mode
        self.path: Path | None = None
        self.fd: int = -1
        self.file_id: FileId | None = None  # of the file that was made under ``path``
        self.view: mmap.mmap | None = None
        self.start: int = 0  # just past the header: repeated ``open`` frames
        self.first: int = 0  # just past those: the segment's own records
        self.committed: int = 0
        self.synced: int = 0
        self.sealed: bool = False
        self.broken: bool = False  # a sync failed: its descriptor is never trusted again
        self.copy: bool = False  # repeats a broken segment's frames, for recovery only
        self.gone: bool = False  # evicted or lost: its records are counted and will not be read
        self.noted_damage: int = 0  # damage before this offset was counted
        self.counters: dict[bytes, FrameCounter] = {}

    @classmethod
    def create(
        cls, files: Files, directory: Path, spool_id: str, number: int, size: int, mode: str
    ) -> Segment:
        """A new segment in a file; OSError, and nothing left behind, when the disk refuses."""
        segment = cls(files, spool_id, number, size, mode)
        segment.path = directory / file_name(number)
        segment.fd = files.create(segment.path)
        try:
            segment.file_id = file_id(files.fstat(segment.fd))
            if mode == MAP:
                files.allocate(segment.fd, size)
                segment.view = files.map(segment.fd, size)
        except (OSError, ValueError):
            segment.close()
            files.unlink(segment.path)
            raise
        return segment

    @classmethod
    def in_memory(cls, files: Files, spool_id: str, number: int, size: int) -> Segment:
        """A new segment that dies with the process."""
        segment = cls(files, spool_id, number, size, MEMORY)
        segment.view = files.anonymous(size)
        return segment

    @classmethod
    def existing(cls, files: Files, path: Path, spool_id: str, number: int, used: int) -> Segment:
        """A dead process's segment, to be read and deleted, never written."""
        segment = cls(files, spool_id, number, used, WRITE)
        segment.path = path
        segment.committed = segment.synced = used
        segment.sealed = True
        return segment

    def counter(self, head: bytes) -> FrameCounter:
        """The counter of a head, a new one the first time."""
        counter = self.counters.get(head)
        if counter is None:
            counter = self.counters[head] = FrameCounter(head, self.seed)
        return counter

    def append_bytes(self, raw: bytes) -> None:
        """Write bytes behind the committed ones, and commit them. The caller made sure they fit."""
        end = self.committed + len(raw)
        if self.view is not None:
            self.view[self.committed : end] = raw
        else:
            write_all(self._files, self.fd, raw, self.committed)
        self.committed = end

    def renumber(self, spool_id: str, number: int) -> None:
        """Give an unused segment another number; its header has to be written after that.

        OSError, and nothing changed, when the file cannot be renamed.
        """
        assert self.path is not None
        path = self.path.with_name(file_name(number))
        self._files.rename(self.path, path)
        self.path, self.number, self.seed = path, number, frame.seed(spool_id, number)
        self.committed = 0

    def read(self, start: int, stop: int) -> bytes:
        """Committed bytes, from any thread; OSError when the file is no longer there."""
        view = self.view  # kept alive by this reference even if maintenance drops it meanwhile
        if view is not None:
            return view[start:stop]
        with self._io:
            if self.fd >= 0:
                return read_all(self._files, self.fd, start, stop)
        if self.path is None:
            raise FileNotFoundError("the segment was evicted")
        return read_range(self._files, self.path, start, stop)

    def sync(self) -> None:
        """What is committed now is on the disk when this returns; OSError when it cannot be."""
        target = self.committed
        with self._io:
            if self.broken:
                return
            if self.fd >= 0:
                try:
                    self._files.sync(self.fd)
                except OSError:
                    self.broken = True
                    raise
        self.synced = max(self.synced, target)

    def trim(self) -> None:
        """Give back what a sealed segment did not use, with its descriptor and its mapping."""
        with self._io:
            if self.fd < 0:
                return
            try:
                self._files.truncate(self.fd, self.committed)
            except OSError:
                pass  # the zeros after the last frame stay, and readers ignore them
            self.close()

    def save(self, directory: Path) -> None:
        """Write a sealed memory segment out to a file; OSError, and still in memory, if not.

        Replaces a file of that name: an older copy that was put there while this one was in use.
        """
        path = directory / file_name(self.number)
        unfinished = path.with_name(path.name + UNFINISHED)
        try:
            self._files.unlink(unfinished)  # of a process that died while it saved
        except FileNotFoundError:
            pass
        fd = self._files.create(unfinished)
        try:
            write_all(self._files, fd, self.read(0, self.committed), 0)
            self._files.sync(fd)
            saved_id = file_id(self._files.fstat(fd))
        except OSError:
            self._files.close(fd)
            self._files.unlink(unfinished)
            raise
        self._files.close(fd)
        try:
            self._files.rename(unfinished, path)
        except OSError:
            self._files.unlink(unfinished)
            raise
        self.path, self.file_id = path, saved_id
        self.mode, self.synced = WRITE, self.committed
        self.close()

    def in_place(self) -> bool:
        """Whether the file that is written to still has the segment's name."""
        path, own = self.path, self.file_id
        if path is None or own is None:
            return True
        try:
            return file_id(self._files.lstat(path)) == own
        except FileNotFoundError:
            return False
        except OSError:  # it cannot be seen, which does not mean that it is gone
            return True

    def detach(self) -> bool:
        """The file has lost its name: what is still mapped or open lives on in memory.

        False when nothing is: then the segment is what has its name now, whose checksums say
        whether it is a copy.
        """
        self.file_id = None
        if self.view is None and self.fd < 0:
            return False
        self.path, self.mode = None, MEMORY
        return True

    def is_lost(self) -> bool:
        """Whether the records are neither in memory nor in a file of the segment's name."""
        if self.path is None or self.view is not None or self.fd >= 0:
            return False
        try:
            self._files.lstat(self.path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Release descriptor and mapping; a sealed file can still be read through its path."""
        self.view = None  # never closed: a reader may be slicing it
        with self._io:
            fd, self.fd = self.fd, -1
            if fd >= 0:
                self._files.close(fd)

    def delete(self) -> None:
        """Remove the segment. At worst, recovery delivers a file again that cannot be removed."""
        self.close()
        path, self.path = self.path, None
        if path is not None:
            try:
                self._files.unlink(path)
            except OSError:
                pass

    def counts(self) -> dict[bytes, int]:
        """Records accepted into this segment, by route (``open`` frames are repeats)."""
        counts: dict[bytes, int] = {}
        for counter in list(self.counters.values()):
            if counter.kind != OPEN:
                counts[counter.route] = counts.get(counter.route, 0) + counter.count
        return counts

    def count_for(self, name: bytes) -> int:
        """How many of the segment's records are routed to this destination."""
        return sum(count for route, count in self.counts().items() if frame.routed(route, name))
