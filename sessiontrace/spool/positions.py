"""Positions: where many records end in a spool, without an object for each.

Made by readers, used in the sender's thread. A tuple for each record under way would have the
garbage collector of the application's process run for nothing. Invariant: positions are appended in
the order of their spool and do not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from sessiontrace.spool.frame import Position

__all__ = ["Positions"]

_position = partial(tuple.__new__, Position)


class Positions(Sequence[Position]):
    """Positions side by side: a column of segments, a column of offsets."""

    __slots__ = ("_offsets", "_segments")

    def __init__(self, segments: list[int] | None = None, offsets: list[int] | None = None) -> None:
        self._segments = [] if segments is None else segments
        self._offsets = [] if offsets is None else offsets

    def append(self, position: Position) -> None:
        """Add one position at the end."""
        self._segments.append(position[0])
        self._offsets.append(position[1])

    def extend(self, positions: Iterable[Position]) -> None:
        """Add positions at the end."""
        if isinstance(positions, Positions):
            self._segments += positions._segments
            self._offsets += positions._offsets
        else:
            for position in positions:
                self.append(position)

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Position]:
        return map(_position, zip(self._segments, self._offsets, strict=True))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Positions(self._segments[index], self._offsets[index])
        return Position(self._segments[index], self._offsets[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)
