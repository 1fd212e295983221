"""The Python forms of ``write_frame`` and ``split_frames``: the specification; see ``frame``.

``write_frame`` is called in users' threads, under the spool's lock, ``split_frames`` in the
sender's. Invariant: a frame is written whole or not at all, and split only where it is sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from mmap import mmap

MAX_BODY = 1 << 20
"""Bytes of the largest body a spool takes."""

_CHECKSUM = 9  # with the space after it


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


Split = tuple[list[bytes], list[bytes], list[int], list[tuple[int, int]], int]


def split_frames(raw: bytes, seed: int, max_frames: int) -> Split:
    """The sound frames of whole lines: their heads, bodies and ends, at most ``max_frames``.

    A head is the kind and the route with a space between them; an end is the offset after the
    frame. Then come the lines that are not sound, as start and end without the line feed, and the
    offset after the last line that was looked at. ``find`` looks at 16 bytes and more at once,
    ``split`` at one.
    """
    find = raw.find
    view = memoryview(raw)
    heads: list[bytes] = []
    bodies: list[bytes] = []
    ends: list[int] = []
    unsound: list[tuple[int, int]] = []
    after = 0
    while len(bodies) < max_frames and (end := find(b"\n", after)) >= 0:
        start, after = after, end + 1
        checked = start + _CHECKSUM
        second = find(b" ", find(b" ", checked, end) + 1, end)
        if second < checked or b"%08x " % crc32(view[checked:end], seed) != raw[start:checked]:
            unsound.append((start, end))
            continue
        heads.append(raw[checked:second])
        bodies.append(raw[second + 1 : end])
        ends.append(after)
    return heads, bodies, ends, unsound, after
