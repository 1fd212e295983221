"""An iterator that stands for another one: what it does not have is the other one's.

Invariant: a copy is a copy of the other one, which nothing observes, because a record is of one
reading.
"""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["Forwarding", "ForwardingIterator"]


def _itself(wrapped: Any) -> Any:
    """What becomes of a forwarding iterator in another process."""
    return wrapped


class Forwarding:
    """What an iterator does that forwards to the one in ``__wrapped__``."""

    # By this name, which no stream has as an attribute of its own that a program would miss.
    __slots__ = ()

    __wrapped__: Any

    def __getattr__(self, name: str) -> Any:  # close, send, gi_frame: whatever the other one has
        if name == "__wrapped__":  # a copy in the making has none yet
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.__wrapped__,)


class ForwardingIterator(Forwarding):
    """An iterator that forwards to ``wrapped``."""

    __slots__ = ("__weakref__", "__wrapped__")

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__: Any = wrapped
