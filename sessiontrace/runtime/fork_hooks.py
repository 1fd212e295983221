"""Stores and forks: no connection is in use, or open, while a process forks.

SQLite's locks do not hold in a child, and a mutex of its that another thread has at that moment
stays locked there for ever. Runs in the forking thread. Invariant: the hooks are there before any
thread of ours can open a store, since a fork does not see hooks that come while it waits; that is
why this module does not import sqlite3 and is imported early.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Forkable", "watch"]


class Forkable(Protocol):
    """A store that can be brought to rest."""

    def before_fork(self) -> bool:
        """Close the connection and let nobody open it again; False when that cannot be had."""
        ...

    def after_fork(self) -> None:
        """Let it be used again, in the parent and in the child."""
        ...


_stores: weakref.WeakSet[Forkable] = weakref.WeakSet()
_resting: list[Forkable] = []


def watch(store: Forkable) -> None:
    """Bring this store to rest at each fork, for as long as it lives."""
    _stores.add(store)


def _before_fork() -> None:
    _resting.extend(store for store in list(_stores) if store.before_fork())


def _after_fork() -> None:
    while _resting:
        _resting.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
