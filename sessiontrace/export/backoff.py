"""When to try again: full-jitter backoff, and the slow probes of a blocked destination.

Pure arithmetic over injected randomness; used by lanes in the sender's thread. Invariant: a wait is
never shorter than what the backend asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

__all__ = ["INITIAL_S", "PROBES_S", "SLEEPY_AFTER_S", "Backoff"]

INITIAL_S = 1.0
_CAP_S = 60.0
PROBES_S = (60.0, 120.0, 300.0)
"""Waits before the probes of a blocked destination; the last one repeats."""
SLEEPY_AFTER_S = 2.0
"""Without records for so long, a lane stops polling and waits to be woken."""


@attrs.define
class Backoff:
    """Consecutive failures of one destination, and the wait that follows from them.

    ``uniform(a, b)`` draws the jitter; the same sequence of draws gives the same waits.
    """

    uniform: Callable[[float, float], float] = random.uniform
    failures: int = 0
    probes: int = 0

    def retry(self, after: float | None = None) -> float:
        """Seconds to wait after one more failure, at least ``after``."""
        ceiling = min(_CAP_S, INITIAL_S * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return max(self.uniform(0.0, ceiling), after or 0.0)

    def probe(self) -> float:
        """Seconds to wait before the next probe of a blocked destination."""
        wait = PROBES_S[min(self.probes, len(PROBES_S) - 1)]
        self.probes += 1
        return wait

    def ease(self) -> None:
        """The backend took some of what it was sent: it lives, so wait half as long next time."""
        self.failures //= 2

    def reset(self) -> None:
        """The backend answered as it should."""
        self.failures = self.probes = 0
