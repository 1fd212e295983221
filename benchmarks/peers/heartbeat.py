"""A heartbeat in an event loop: how much later than asked it comes while the loop makes events.

Owned by the loop's thread. Invariant: the first second is not counted; imports and first
connections are not the subject.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import payloads

__all__ = ["PERCENTILES", "percentiles"]

PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_EVERY_S = 0.001
_AT_ONCE = 20


async def _beat(
    step: Callable[[payloads.Messages], object], rate: float, seconds: float
) -> list[float]:
    late: list[float] = []
    begun = time.perf_counter()
    made = 0
    while (now := time.perf_counter()) - begun < seconds:
        due = int((now - begun) * rate)
        for chat in payloads.fresh(min(due - made, _AT_ONCE)):
            step(chat)
            made += 1
        asked = time.perf_counter() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        if time.perf_counter() - begun > 1.0:
            late.append((time.perf_counter() - asked) * 1000)
    return late


def percentiles(
    step: Callable[[payloads.Messages], object], rate: float, seconds: float
) -> dict[str, float]:
    """Milliseconds late, by share of the beats."""
    late = sorted(asyncio.run(_beat(step, rate, seconds)))
    return {
        name: late[min(len(late) - 1, int(share * len(late)))]
        for name, share in PERCENTILES.items()
    }
