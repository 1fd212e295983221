"""The media that capture has described, until a local store takes them or others need the room.

``offer`` runs in the user's thread and keeps a reference, no copy: hashing a long medium, decoding
and writing are the store's part. The others run on the thread that writes to the store. There is
one buffer a process, because the functions that describe a medium know no tracer; a store takes
only what one of its own records refers to, so that what redaction, sampling or a route left out of
a record is not stored either. Invariants: the buffer holds at most ``ROOM`` bytes and ``MOST``
media, and nothing while no store is open; no lock, since a signal handler or a fork may come at
any point.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import NamedTuple

__all__ = ["BUFFER", "MOST", "ROOM", "Content", "MediaBuffer", "immutable"]

ROOM = 64 << 20
"""Bytes that wait at most, of all media together."""

MOST = 256
"""Media that wait at most."""

_OLDEST_S = 600.0
_COPY_MOST = 4 << 20  # of a buffer that the program may change: beyond, copying it would be felt

Content = str | bytes | Sequence[bytes]
"""Base64, with or without the header of a data URL; bytes; or bytes in pieces."""


class _Waiting(NamedTuple):
    content: Content
    size: int
    since: float


class MediaBuffer:
    """The media that wait, by what a record says of them."""

    def __init__(self) -> None:
        self.item_most: int = 0
        """The largest medium that a store keeps, in bytes; 0 while no store is open."""
        self._waiting: dict[Hashable, _Waiting] = {}
        self._stores: list[int] = []

    def open(self, item_most: int) -> None:
        """A store that keeps media of up to ``item_most`` bytes is open."""
        self._stores.append(item_most)
        self.item_most = max(self._stores)

    def close(self, item_most: int) -> None:
        """A store that was opened with this limit has been closed."""
        if item_most in self._stores:
            self._stores.remove(item_most)
        self.item_most = max(self._stores, default=0)
        if not self.item_most:
            self._waiting.clear()

    def offer(self, key: Hashable, content: Content | None, size: int) -> None:
        """Keep the content of a medium of ``size`` bytes, unless it is too large for any store."""
        if content is None or not 0 < size <= self.item_most:
            return
        self._waiting.pop(key, None)
        self._waiting[key] = _Waiting(content, len(content) if isinstance(content, str) else size,
                                      time.monotonic())  # fmt: skip
        self._make_room()

    def content(self, key: Hashable) -> Content | None:
        """The content of a medium, None where it does not wait here."""
        waiting = self._waiting.get(key)
        return None if waiting is None else waiting.content

    def drop(self, key: Hashable) -> None:
        """A store has the medium, or cannot have it."""
        self._waiting.pop(key, None)

    def expire(self) -> None:
        """Drop what no record has asked for within ten minutes: its record is not for a store."""
        before = time.monotonic() - _OLDEST_S
        for key, waiting in list(self._waiting.items()):
            if waiting.since < before:
                self._waiting.pop(key, None)

    def _make_room(self) -> None:
        waiting = list(self._waiting.items())
        total = sum(medium.size for _, medium in waiting)
        for place, (key, medium) in enumerate(waiting):
            if total <= ROOM and len(waiting) - place <= MOST:
                return
            self._waiting.pop(key, None)
            total -= medium.size


def immutable(view: memoryview) -> bytes | None:
    """The bytes of a view that the program cannot change: without a copy where it is of bytes.

    None for more than 4 MiB that the program may change.
    """
    whole = view.obj
    if type(whole) is bytes and len(whole) == view.nbytes:
        return whole
    return bytes(view) if view.nbytes <= _COPY_MOST else None


BUFFER = MediaBuffer()
"""The buffer of this process."""
