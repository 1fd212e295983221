"""Head sampling: whether a session is recorded, decided when it opens; pure.

Invariant: the answer depends on the session's id and the rate only, so that every process that
takes part in a session gives the same one.
"""

from __future__ import annotations

from zlib import crc32

__all__ = ["keeps"]


def keeps(session_id: str, rate: float) -> bool:
    """Whether the session with this UUID belongs to the share ``rate`` (0 to 1) of all sessions."""
    return rate >= 1.0 or crc32(session_id.encode()) < rate * (1 << 32)
