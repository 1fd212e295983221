"""The frame headers under which the records of one route go into the spool.

Immutable, read from every user thread.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FrameHeaders"]

# A plain class here: attrs would be a third of the time that `import sessiontrace` takes.


class FrameHeaders(NamedTuple):
    """The headers of one route, one for each kind of record."""

    start: bytes
    event: bytes
    end: bytes
    update: bytes = b" update * "
