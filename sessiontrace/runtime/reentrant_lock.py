"""A lock that stays free when a signal handler raises where it is taken.

Any thread may take it, again while it has it. Invariant: once a ``with`` block of it is left,
however it is left, the block no longer holds the lock.

The interpreter checks for signals after it has called a function that is not written in Python,
and ``acquire`` is one. From Python 3.14 on it does so after ``__enter__``, too, before it has
entered the block (https://github.com/python/cpython/issues/148874). What a handler raises there
would leave the lock taken for good. From 3.11 on no check follows a call of a Python function, and
within one the exception can be caught. On 3.10 a signal in the moment after ``acquire`` leaves the
lock taken, as any lock; ``with`` does not.
"""

from __future__ import annotations

import sys
from _thread import RLock

__all__ = ["ReentrantLock"]


class ReentrantLock(RLock):  # type: ignore[misc]  # the interpreter lets one inherit from it
    """As ``threading.RLock``, but for what signal handlers raise."""

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Whether the lock is taken, at the latest after ``timeout`` seconds."""
        try:
            return RLock.acquire(self, blocking, timeout)
        except BaseException:
            try:
                self.release()
            except RuntimeError:  # another thread has the lock
                pass
            raise

    if sys.version_info >= (3, 14):
        __enter__ = acquire
