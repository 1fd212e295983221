"""SQLite stores and forks: no connection is in use, or open, while a process forks.

SQLite's locks do not hold in a child, and a mutex of SQLite's that another thread holds at that
moment stays locked in the child for ever. Runs in the forking thread. Invariant: a store that was
brought to rest before the fork is usable again after it, in the parent and in the child.
"""

from __future__ import annotations

import weakref
from typing import Protocol

from sessiontrace.runtime import fork_hooks

__all__ = ["Forkable", "rest_at_forks"]


class Forkable(Protocol):
    """A store that can be brought to rest."""

    def before_fork(self) -> bool:
        """Close the connection and open no other one; False when a thread will not let go of it."""
        ...

    def after_fork(self) -> None:
        """Allow connections again, in the parent and in the child."""
        ...


_stores: weakref.WeakSet[Forkable] = weakref.WeakSet()
_resting: list[Forkable] = []


def rest_at_forks(store: Forkable) -> None:
    """Bring this store to rest at each fork, for as long as it lives."""
    _stores.add(store)


def _before_fork() -> None:
    _resting.extend(store for store in list(_stores) if store.before_fork())


def _after_fork() -> None:
    while _resting:
        _resting.pop().after_fork()


fork_hooks.STORES.register(before=_before_fork, in_parent=_after_fork, in_child=_after_fork)
