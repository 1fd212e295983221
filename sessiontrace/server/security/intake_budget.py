"""The memory for what admitted senders bring at one time.

Runs on the server's loop. A body counts from its first byte until its request is answered, since
what it is decoded into lives as long. Invariant: all bodies at one time hold at most ``most``
bytes, those of one caller at most ``share``; a sender beyond that is asked to come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["IntakeBudget", "IntakeFullError", "Lease"]


class IntakeFullError(Exception):
    """More of a body does not fit; ``status`` and the message are for its sender."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class IntakeBudget:
    """Bytes that the bodies of admitted senders may hold.

    ``share``: of one caller, where callers have keys of their own.
    """

    def __init__(self, most: int = 64 << 20, share: int = 32 << 20) -> None:
        self.most = most
        self.share = share
        self.used = 0
        self.by_caller: Counter[str] = Counter()

    @contextmanager
    def lease(self, caller: str) -> Iterator[Lease]:
        """The room of one request, which it gives back at the end of the block.

        ``caller``: empty where all callers show the same credential.
        """
        lease = Lease(self, caller)
        try:
            yield lease
        finally:
            lease.give_back()


class Lease:
    """What one request uses of the budget."""

    def __init__(self, budget: IntakeBudget, caller: str) -> None:
        self._budget = budget
        self._caller = caller
        self._used = 0

    def add(self, size: int) -> None:
        """Use more; raises ``IntakeFullError`` where it does not fit."""
        budget = self._budget
        if budget.used + size > budget.most:
            raise IntakeFullError(503, "the server takes in as much as it can; try again")
        if self._caller and budget.by_caller[self._caller] + size > budget.share:
            raise IntakeFullError(
                429, f"this key sends more than {budget.share >> 20} MiB at one time; try again"
            )
        budget.used += size
        budget.by_caller[self._caller] += size
        self._used += size

    def give_back(self) -> None:
        """Use nothing any more."""
        budget = self._budget
        budget.used -= self._used
        budget.by_caller[self._caller] -= self._used
        if budget.by_caller[self._caller] <= 0:
            del budget.by_caller[self._caller]
        self._used = 0
