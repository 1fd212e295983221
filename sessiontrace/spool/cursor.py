"""The cursor file: how far one destination has come in a spool. A hint, never the truth.

Written by the process that holds the spool's lock: by the background worker for its own spool, by
the sender or the worker for a recovered one. Invariant: a cursor that is torn, missing, of another
spool or of another destination reads as "nothing settled", which costs duplicates and
never a record.
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

from sessiontrace.spool.filesystem import Files, read_range, write_all
from sessiontrace.spool.frame import Consumer, Position

__all__ = ["SUFFIX", "cursor_path", "read_cursor", "write_cursor"]

SUFFIX = ".cursor"

_LONGEST = 256


def cursor_path(directory: Path, name: str) -> Path:
    """Where the cursor of the destination of this name is kept."""
    return directory / (name + SUFFIX)


def read_cursor(files: Files, directory: Path, spool_id: str, consumer: Consumer) -> Position:
    """The position in a cursor file, else ``Position(0, 0)``."""
    nothing = Position(0, 0)
    try:
        line = read_range(files, cursor_path(directory, consumer.name), 0, _LONGEST)
        checksum, spool, segment, offset, fingerprint, _ = line.split(b" ", 5)
        sound = checksum == b"%08x" % crc32(line[9:].rstrip(b"\n"))
        if sound and (spool, fingerprint) == (spool_id.encode(), consumer.fingerprint.encode()):
            return Position(int(segment), int(offset))
    except (OSError, ValueError):
        return nothing
    return nothing


def write_cursor(
    files: Files, directory: Path, spool_id: str, consumer: Consumer, position: Position
) -> None:
    """Write the position over the last one. May raise OSError.

    In place and of one length, so that a disk that is full cannot stop a cursor from moving; a
    torn write fails the checksum.
    """
    text = f"{spool_id} {position.segment:08d} {position.offset:012d} {consumer.fingerprint} ."
    line = b"%08x %b\n" % (crc32(text.encode()), text.encode())
    path = cursor_path(directory, consumer.name)
    try:
        fd = files.open(path, write=True)
    except FileNotFoundError:
        fd = files.create(path)
    try:
        write_all(files, fd, line, 0)
    finally:
        files.close(fd)
