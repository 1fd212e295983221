"""Fork detector: tells a forked child from its parent without a system call.

Read at every append, in any thread. Invariant: a marker is 1 in the process that made it and 0 in
every child forked from that, also by C code that does not run Python's fork hooks.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Protocol

__all__ = ["ForkMarker", "own_process"]

_WIPE_ON_FORK = 18  # MADV_WIPEONFORK of Linux 4.14, for which Python has no name yet


class ForkMarker(Protocol):
    """``mark[0]``: 1 in the process that it was made in, 0 in a child."""

    def __getitem__(self, at: int, /) -> int: ...


class PidMarker:
    """A marker without ``MADV_WIPEONFORK``: compares process ids, at twenty times the cost."""

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, at: int, /) -> int:
        return 1 if os.getpid() == self._pid else 0


def own_process() -> ForkMarker:
    """A marker of this process: a page that the kernel empties in children."""
    if sys.platform != "linux":  # the number means something else there
        return PidMarker()
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except (AttributeError, OSError, TypeError, ValueError):  # an old kernel
        return PidMarker()
    page[0] = 1
    return page
