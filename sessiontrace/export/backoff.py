"""When to try again: full-jitter backoff, and the slow probes of a blocked destination.

Pure arithmetic over injected randomness; the sender's thread uses it. Invariant: a wait is never
shorter than what the backend asks for.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

__all__ = ["INITIAL_S", "PROBES_S", "SLEEPY_AFTER_S", "Backoff"]

INITIAL_S = 1.0
CAP_S = 60.0
PROBES_S = (60.0, 120.0, 300.0)
"""Waits before the probes of a blocked destination; the last one repeats."""
SLEEPY_AFTER_S = 2.0
"""After this many seconds without records a lane stops polling and waits for ``Lane.wake``."""


@attrs.define
class Backoff:
    """Consecutive failures of one destination, and the wait that follows from them.

    ``uniform(low, high)`` draws the jitter; the same sequence of draws gives the same waits. The
    highest wait is ``initial_s`` seconds, and doubles with each failure up to ``cap_s``.
    """

    uniform: Callable[[float, float], float] = random.uniform
    failures: int = 0
    probes: int = 0
    initial_s: float = INITIAL_S
    cap_s: float = CAP_S

    def retry(self, after: float | None = None) -> float:
        """Seconds to wait after one more failure, at least ``after``."""
        ceiling = min(self.cap_s, self.initial_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return max(self.uniform(0.0, ceiling), after or 0.0)

    def probe(self) -> float:
        """Seconds to wait before the next probe of a blocked destination."""
        wait = PROBES_S[min(self.probes, len(PROBES_S) - 1)]
        self.probes += 1
        return wait

    def ease(self) -> None:
        """The backend accepted some requests: it is up, so wait half as long next time."""
        self.failures //= 2

    def reset(self) -> None:
        """The backend accepted a whole batch."""
        self.failures = self.probes = 0
