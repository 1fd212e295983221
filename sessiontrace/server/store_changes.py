"""What a request changes in the store, as values.

No thread owns them: the loop or the writer thread makes them, and the writer thread carries them
out. Invariant: records are written before events are deleted or moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs

from sessiontrace.model.record import Record
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["Change", "Move", "Reading"]

T = TypeVar("T")


@attrs.frozen
class Move:
    """Events to move from one session to another, once the records are written."""

    source: str
    target: str
    event_ids: Sequence[str]


@attrs.frozen
class Change:
    """The result of a plan: what to write, ids of events to delete, and events to move."""

    records: Sequence[Record | DecodedRecord] = ()
    documents: Sequence[Document] = ()
    forget: Sequence[str] = ()
    moves: Sequence[Move] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.records or self.documents or self.forget or self.moves)


@attrs.frozen
class Reading(Generic[T]):
    """A request, read: what it writes, and what to do once that is on the disk.

    ``plan``, ``touches``, ``count``: as of ``StoreWriter.transact``. ``settle``: what to change
    afterwards, in a transaction of its own, and whether to settle again.
    """

    plan: Callable[[Store], tuple[Change, T]]
    touches: frozenset[str] = frozenset()
    count: int = 0
    settle: Callable[[Store], tuple[Change, bool]] | None = None
