"""How long a test waits for what other processes do: longer where a busy machine is slow.

A limit ends what hangs, and passing costs none of it. A machine whose cores each have ten processes
to run takes ten times as long for the same work, so the limit of a calm machine grows with them.
"""

from __future__ import annotations

import os

_FACTOR_MAX = 10.0


def patience(seconds: float) -> float:
    """This many seconds of a calm machine, in seconds of this one now."""
    if not hasattr(os, "getloadavg"):  # Windows
        return seconds
    return seconds * min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), _FACTOR_MAX)
