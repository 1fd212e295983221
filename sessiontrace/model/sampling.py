"""Sampling: which sessions are recorded and sent; pure values, no thread owns them.

Invariant: whether a session is in the share depends only on its id and the rate, so every process
that takes part in the session decides alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

__all__ = ["Sample", "is_sampled"]


class Sample(NamedTuple):
    """The sessions to keep, for ``init(sample=...)``: a share of all, and those worth keeping.

    ``rate``: the share to keep, from 0 to 1 (default 1, all). Of the other sessions those are kept
    too in which anything failed (``keep_errors=True``), that took more than ``slower_than``
    seconds, or that had a score under ``score_below`` before their end: one number for every
    score, or ``{"helpful": 0.5}`` by name (scores are the numbers in a session's metrics and
    feedback; True and False count as 1 and 0).

    With the rate alone a session is chosen when it opens, and the others cost nothing. Else it is
    decided at its end: all are recorded, and a destination gets an undecided session late, at its
    end. What cannot be decided is kept: a session that is open after five minutes or when too much
    waits for it, at a flush, one of another process, and what an ended process left behind.
    """

    rate: float = 1.0
    keep_errors: bool = False
    slower_than: float | None = None
    score_below: float | Mapping[str, float] | None = None

    @property
    def decides_at_end(self) -> bool:
        """Whether a session is decided at its end, because more than the rate matters."""
        matters = self.slower_than is not None or self.score_below is not None
        return self.rate < 1.0 and bool(self.keep_errors or matters)

    @property
    def head(self) -> float:
        """The share of sessions to record at all."""
        return 1.0 if self.decides_at_end else self.rate

    def faults(self) -> list[str]:
        """What is wrong with the values; empty when they are legal."""
        faults = []
        if not (_is_number(self.rate) and 0.0 <= self.rate <= 1.0):
            faults.append("the rate must be a number from 0 to 1")
        if self.keep_errors not in (True, False):
            faults.append("keep_errors must be true or false")
        if self.slower_than is not None and not (
            _is_number(self.slower_than) and self.slower_than >= 0.0
        ):
            faults.append("slower_than must be seconds, 0 or more")
        below = self.score_below
        is_by_name = isinstance(below, Mapping) and all(
            isinstance(name, str) and _is_number(least) for name, least in below.items()
        )
        if below is not None and not is_by_name and not _is_number(below):
            faults.append("score_below must be a number, or numbers by the names of scores")
        return faults


def is_sampled(session_id: str, rate: float) -> bool:
    """Whether the session with this UUID is in the share ``rate`` (0 to 1) of all sessions."""
    return rate >= 1.0 or crc32(session_id.encode()) < rate * (1 << 32)


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]
