"""The Python form of ``write_frame``: the specification; see ``frame``.

Called in users' threads, under the spool's lock. Invariant: it writes one whole frame or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

MAX_BODY = 1 << 20
"""Bytes of the largest body a spool takes."""


def write_frame(view: mmap, at: int, size: int, crc: int, head: bytes, body: bytes) -> int:
    """Write a frame with this checksum into ``view`` at ``at``; return where the frame ends.

    -1, and nothing is written, when it would end beyond ``size`` or be longer than the longest.
    """
    raw = b"%08x%b%b\n" % (crc, head, body)
    end = at + len(raw)
    if end > size or len(raw) > MAX_BODY:
        return -1
    view[at:end] = raw
    return end
