"""The frame headers under which the records of one route go into the spool.

Never changed once they are made; read from every user thread.
"""

from __future__ import annotations

__all__ = ["FrameHeaders"]


class FrameHeaders:
    """The headers of one route, one for each kind of record."""

    # Slots: reading a field of a named tuple costs ten times as much, for every event.
    __slots__ = ("end", "event", "start", "update")

    def __init__(
        self, start: bytes, event: bytes, end: bytes, update: bytes = b" update * "
    ) -> None:
        self.start: bytes = start
        self.event: bytes = event
        self.end: bytes = end
        self.update: bytes = update
