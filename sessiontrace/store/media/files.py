"""The folder of media beside a SQLite file: one file for each, named by the SHA-256 of its bytes.

Any thread and process. Invariant: a file appears whole or not at all, and its name is the hash of
its content, so a reader need not trust the writer. The folder and its files are the user's
alone (0700, 0600), as the store is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

__all__ = ["MediaFiles", "is_digest"]

_HEX = frozenset("0123456789abcdef")


class MediaFiles:
    """The media in ``folder``, which the first one creates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write a medium; returns its SHA-256 and its size. Raises ``OSError``."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self.folder / f".{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            target = self._path(digest.hexdigest())
            target.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        return digest.hexdigest(), size

    def read(self, digest: str) -> bytes | None:
        """The bytes of a medium; None where it is not here."""
        if not is_digest(digest):
            return None
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, digests: Iterable[str]) -> None:
        """Delete media; those that are not here count as deleted. Raises ``OSError``."""
        for digest in digests:
            path = self._path(digest)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others are in it
                path.parent.rmdir()

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 in lower-case hexadecimal, so that it names no other file."""
    return len(text) == 64 and _HEX.issuperset(text)
