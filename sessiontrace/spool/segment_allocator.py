"""Where a spool's segments come from: its directory while the disk allows it, else memory.

Used by the appender under the spool's lock, and by maintenance. Invariant: a failing disk is logged
once, counted, and left alone for 30 seconds; no failure of it ever reaches the appender.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from sessiontrace.model.errors import SpoolError
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.log import log_once
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import FileId, Files, file_id
from sessiontrace.spool.segment import MAP, WRITE, Segment

__all__ = ["SegmentAllocator"]

_RETRY_S = 30.0


class SegmentAllocator:
    """Allocates segments. ``directory`` is None until ``open`` has found it usable."""

    def __init__(
        self,
        root: Path | None,
        spool_id: str,
        io: str | None,
        files: Files,
        counters: Counters,
    ) -> None:
        self.root = root
        self.directory: Path | None = None
        self._id = spool_id
        self._io = io
        self._files = files
        self._counters = counters
        self._lock: directories.Lock | None = None
        self._identity: FileId | None = None  # of the directory that was made
        self._failing_until = 0.0
        self._failing = root is None
        self._entries_changed = False
        self._failure_logged = False

    @property
    def failing(self) -> bool:
        """Whether segments are made in memory for now."""
        return self._failing

    def open(self) -> bool:
        """Make the directory, unless it is there; whether segments can go to disk now."""
        if self.root is None:
            return False
        try:
            if self.directory is None:
                self.directory, self._lock = directories.make(self._files, self.root, self._id)
                self._identity = directories.identity(self._files, self.directory)
                if self._io is None:
                    self._io = MAP if self._files.mappable(self.directory) else WRITE
        except SpoolError as error:
            self.fail(error)
            return False
        self._failing = False
        return True

    def due(self) -> bool:
        """Whether it is time to try a disk again that failed."""
        return self.root is not None and self._failing and time.monotonic() >= self._failing_until

    def fail(self, error: Exception) -> None:
        """The disk failed: go on in memory."""
        self._failing = True
        self._failing_until = time.monotonic() + _RETRY_S
        self._counters.note("spool_error")
        if not self._failure_logged:
            self._failure_logged = True
            log_once(
                "spool:memory", "events are kept in memory until the disk takes them: %s", error
            )

    def vanished(self) -> bool:
        """Whether the directory was removed or replaced while in use, or taken over.

        If so, ``directory`` becomes None. Makes a lock file again that was removed alone.
        """
        directory = self.directory
        if directory is None or (self._is_in_place(directory) and self._holds_lock(directory)):
            return False
        self.release()
        self.directory = None
        self._counters.note("spool_vanished")
        log_once(
            "spool:vanished",
            "the spool directory %s was removed or replaced while in use; it is made again",
            directory,
        )
        return True

    def _is_in_place(self, directory: Path) -> bool:
        try:
            return file_id(self._files.lstat(directory)) == self._identity
        except FileNotFoundError:
            return False
        except OSError:  # it cannot be seen, which does not mean that it is gone
            return True

    def _holds_lock(self, directory: Path) -> bool:
        """Whether the lock file is the one that we hold, or a new one for a removed one."""
        lock = self._lock
        try:
            lock_status = self._files.lstat(directory / directories.LOCK)
            return lock is None or os.path.samestat(self._files.fstat(lock.fd), lock_status)
        except FileNotFoundError:
            pass
        except OSError:
            return True
        self._lock = directories.renew_lock(self._files, directory)
        if lock is not None:
            lock.release()
        if self._lock is not None:
            self._counters.note("spool_lock_renewed")
            log_once(
                "spool:lock", "the lock file of the spool %s was removed; made again", directory
            )
        return self._lock is not None

    def segment(self, number: int, size: int) -> Segment:
        """A new segment on disk, else in memory."""
        segment = self.on_disk(number, size)
        return segment or Segment.in_memory(self._files, self._id, number, size)

    def on_disk(self, number: int, size: int, mode: str | None = None) -> Segment | None:
        """A new segment in the directory, or None when the disk is failing."""
        if self._failing or self.directory is None:
            return None
        try:
            segment = Segment.create(
                self._files, self.directory, self._id, number, size, mode or self._io or WRITE
            )
        except (OSError, ValueError) as error:
            self.fail(error)
            return None
        self.note_entry()
        return segment

    def note_entry(self) -> None:
        """A file was made in the directory: the disk works, and has an entry to sync."""
        self._entries_changed = True
        if self._failure_logged:
            self._failure_logged = False
            log_once("spool:disk", "events go to the disk again", level=logging.INFO)

    def sync_entries(self) -> None:
        """The directory's entries on the disk, if there are new ones; OSError when not."""
        if self._entries_changed and self.directory is not None:
            self._entries_changed = False
            self._files.sync_directory(self.directory)
            self._files.sync_directory(self.directory.parent)

    def release(self) -> None:
        """Release the lock: from now on the directory is an orphan."""
        if self._lock is not None:
            self._lock.release()

    def remove(self) -> None:
        """Remove the directory and release the lock."""
        if self.directory is not None and self._lock is not None:
            directories.remove(self._files, self.directory, self._lock)
