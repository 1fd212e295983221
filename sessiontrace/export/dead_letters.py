"""Dead letters: records that a backend refused for good, kept as files for inspection.

Written by the sender's thread, rarely. One file of JSON lines for each destination, shared by all
processes of one spool root. Invariant: at most two files of bounded size a destination, and no
fault here ever stops a lane: the record is counted as rejected either way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path

import orjson

from sessiontrace.model.errors import SpoolError
from sessiontrace.model.record import Record
from sessiontrace.runtime import log
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.spool_directory import check_root

__all__ = ["DeadLetters"]

_MAX_BYTES = 16 << 20


class DeadLetters:
    """The directory ``root``, made with the first dead letter, readable by its owner only.

    A directory that other users own or can write gets none. A file that has reached 16 MiB becomes
    ``<destination>.old.jsonl`` and replaces an older one. ``fingerprints``: of the destinations, by
    name; each letter holds that of the destination which refused it.
    """

    def __init__(
        self,
        root: Path,
        *,
        fingerprints: Mapping[str, str] | None = None,
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        self.root = root
        self._fingerprints = fingerprints or {}
        self._max_bytes = max_bytes

    def put(self, destination: str, record: Record, reason: str) -> bool:
        """Keep a record with what it was refused for; False when that did not work."""
        head: dict[str, str | int] = {
            "at": time.time_ns() // 1_000_000,
            "destination": destination,
            "reason": reason[:500],
            "kind": record.kind.decode("ascii", "replace"),
        }
        if fingerprint := self._fingerprints.get(destination):
            head["fingerprint"] = fingerprint
        line = b'%b,"record":%b}\n' % (orjson.dumps(head)[:-1], record.body)
        try:
            self._append(destination, line)
        except (OSError, SpoolError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            log.log_once("dead", "a dead letter could not be written: %s", why)
            return False
        return True

    def _append(self, destination: str, line: bytes) -> None:
        check_root(OS_FILES, self.root)
        path = self.root / f"{destination}.jsonl"
        file = OS_FILES.open_to_append(path)
        try:
            if _breaks_off(file):  # the disk was full: its half line must not spoil this one
                line = b"\n" + line
            # One write: lines of several processes do not mix.
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            full = OS_FILES.fstat(file).st_size >= self._max_bytes
        finally:
            OS_FILES.close(file)
        if full:
            # Windows renames no file that another process has open: the next letter tries again.
            with contextlib.suppress(OSError):
                OS_FILES.rename(path, self.root / f"{destination}.old.jsonl")


def _breaks_off(file: int) -> bool:
    """Whether the last line of a file has no end."""
    size = OS_FILES.fstat(file).st_size
    return size > 0 and OS_FILES.pread(file, 1, size - 1) != b"\n"
