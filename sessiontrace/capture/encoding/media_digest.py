"""A medium that comes in pieces, as sound does: its hash and size, and its bytes for a local store.

Runs where the pieces arrive. Invariant: only references to the pieces are kept, and none once they
are more than a store would keep.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sessiontrace.capture.encoding.media_buffer import BUFFER

__all__ = ["MediaDigest"]


class MediaDigest:
    """Hashes the pieces of one medium; ``size``: bytes so far."""

    __slots__ = ("_digest", "_pieces", "size")

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pieces: list[bytes] = []
        self.size: int = 0

    def update(self, piece: bytes) -> None:
        """Add a piece."""
        self._digest.update(piece)
        self.size += len(piece)
        if self.size <= BUFFER.item_most:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def described(self) -> dict[str, Any]:
        """``{bytes, sha256}``; a local store may keep the pieces."""
        digest = self._digest.hexdigest()
        if self._pieces:
            BUFFER.offer((digest, -1), tuple(self._pieces), self.size)
        return {"bytes": self.size, "sha256": digest}
