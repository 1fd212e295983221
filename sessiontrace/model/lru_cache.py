"""A mapping with a bound: it keeps the entries that were put last.

No lock: each cache has one owner, whose thread uses it. Invariant: never more than ``max_entries``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["LruCache"]

K = TypeVar("K")
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """The last ``max_entries`` entries, in the order in which they were put.

    ``get``: the entry of a key; None when it was never put, or is gone.
    """

    __slots__ = ("_entries", "_max_entries", "get")

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.get: Callable[[K], V | None] = self._entries.get

    def put(self, key: K, value: V) -> None:
        """Set the entry of ``key``, and remove the oldest one where there are too many."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def discard(self, key: K) -> None:
        """Remove the entry of ``key`` if there is one."""
        self._entries.pop(key, None)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)
