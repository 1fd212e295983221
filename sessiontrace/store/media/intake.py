"""Media on their way into a store: what records describe is written beside them first.

Runs on the thread that writes to the store, before the transaction of the records. Invariants: a
record is marked only where the store has the medium; each refused medium is counted once for a
process, with its reason; a medium that cannot be kept never holds its record back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import orjson

from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.model.record import Record
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.media.describing import describing
from sessiontrace.store.media.files import is_digest
from sessiontrace.store.media.limits import GONE, NOT_WRITTEN, TOO_LARGE, MediaLimits
from sessiontrace.store.media.references import Key, Reference, marked, references_in
from sessiontrace.store.protocol import Store

__all__ = ["MediaIntake"]

R = TypeVar("R", Record, DecodedRecord, Record | DecodedRecord)

_COUNTED_MOST = 10_000


class MediaIntake:
    """Stores the media of records.

    ``content``: the bytes of a medium in pieces, None where they are not here; ``done``: it need
    not be kept in memory any more; ``refused``: counts a refusal by its reason. ``counts_missing``:
    every record comes with its media, so that a missing one is a loss.
    """

    def __init__(
        self,
        limits: MediaLimits,
        content: Callable[[Key], Iterator[bytes] | None],
        done: Callable[[Key], None],
        refused: Callable[[str], None],
        *,
        counts_missing: bool,
    ) -> None:
        self._limits = limits
        self._content = content
        self._done = done
        self._refused = refused
        self._counts_missing = counts_missing
        self._counted: set[Key] = set()

    def store_media(self, store: Store, records: Sequence[R]) -> Sequence[R]:
        """The records, marked where the store has their media now. Raises ``StoreBusyError``."""
        places = {
            place: references
            for place in describing(records)
            if (references := set(references_in(_encoded(records[place]))))
        }
        if not places:
            return records
        references = set().union(*places.values())
        stored = dict(store.stored_media({reference.key for reference in references}))
        for reference in references:
            if reference.key not in stored and (digest := self._kept(store, reference)):
                stored[reference.key] = digest
            if reference.key in stored:
                self._done(reference.key)
        changed = list(records)
        for place, places_references in places.items():
            if any(reference.key in stored for reference in places_references):
                changed[place] = _marked(records[place], stored)
        return changed

    def _kept(self, store: Store, reference: Reference) -> str | None:
        """The digest of a medium that is stored now, or None: it was refused."""
        if reference.size > self._limits.item_bytes:
            self._count(reference, TOO_LARGE)
            return None
        content = self._content(reference.key)
        if content is None:
            if self._counts_missing:
                self._count(reference, GONE)
            return None
        try:
            outcome = store.keep_media(reference.key, content, self._limits)
        except StoreBusyError:
            raise
        except (StoreError, OSError):
            self._count(reference, NOT_WRITTEN)  # it stays in memory: the batch may come again
            return None
        self._done(reference.key)
        if not is_digest(outcome):
            self._count(reference, outcome)
            return None
        return outcome

    def _count(self, reference: Reference, reason: str) -> None:
        if reference.key not in self._counted and len(self._counted) < _COUNTED_MOST:
            self._counted.add(reference.key)
            self._refused(reason)


def _encoded(record: Record | DecodedRecord) -> bytes:
    return record.body if isinstance(record, Record) else record.body.encode()


def _marked(record: R, stored: dict[Key, str]) -> R:
    body = marked(_encoded(record), stored)
    if isinstance(record, Record):
        return Record(record.kind, record.route, body)
    return DecodedRecord(record.kind, orjson.loads(body), body.decode())
