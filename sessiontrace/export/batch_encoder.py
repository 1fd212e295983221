"""The encoding of one batch: its records become stages of requests, whole or in parts.

A batch delivery uses it in the sender's thread. Invariant: a request names its records by their
indices in the batch, whichever part of the batch it was encoded from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from sessiontrace.export.protocol import Batch, Exporter, Request
from sessiontrace.model.record import Record, Records
from sessiontrace.runtime.throttle import Throttled

__all__ = ["BatchEncoder"]


class BatchEncoder:
    """One batch and its exporter. ``replay``: some records may have been delivered before.

    ``stages`` and ``unencodable`` are what the last ``encode`` came to: requests by stage, and the
    reasons by index of the records that the exporter cannot encode.
    """

    def __init__(self, exporter: Exporter, records: Records, replay: bool) -> None:
        self.stages: list[list[Request]] = []
        self.unencodable: dict[int, str] = {}
        self._exporter = exporter
        self._records = records
        self._replay = replay

    def encode(self) -> Iterator[None]:
        """Encode the batch into ``stages``, without ``unencodable``; yields between requests."""
        self.unencodable.clear()
        stages: list[list[Request]] = []
        parts: list[Sequence[int]] = [range(len(self._records))]
        while parts:
            part = parts.pop()
            encoded: list[list[Request]] = []
            try:
                for stage in self._encode(part):
                    encoded.append([])
                    for request in stage:
                        encoded[-1].append(request)
                        yield
            except Exception as error:
                if len(part) == 1:
                    self.unencodable[part[0]] = f"cannot be encoded ({type(error).__name__})"
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                continue
            pairs = itertools.zip_longest(stages, encoded, fillvalue=())
            stages = [[*before, *after] for before, after in pairs]
        self.stages = stages

    def halves(self, request: Request) -> list[Request]:
        """The request as two or more; empty when it cannot be divided."""
        middle = len(request.records) // 2
        if not middle:
            return []
        first = self._part(request, request.records[:middle])
        second = self._part(request, request.records[middle:])
        return [*first, *second] if first and second else []

    def shortened(self, request: Request) -> list[Request]:
        """The request with its records cut by the exporter; empty when they cannot be cut."""
        cut = getattr(self._exporter, "cut", None)
        if cut is None:
            return []
        smaller = {index: cut(self._records[index]) for index in request.records}
        if not any(smaller.values()):
            return []
        for index, record in smaller.items():
            self._records[index] = record or self._records[index]
        return self._part(request, request.records)

    def records_of(self, request: Request) -> Sequence[Record]:
        """The records that a request carries."""
        if len(request.records) == len(self._records):
            return self._records
        return _Selection(self._records, request.records)

    def _part(self, request: Request, indices: Sequence[int]) -> list[Request]:
        """The request built again for some of its records; empty if that leaves a record out."""
        try:
            requests = [
                new
                for stage in self._encode(indices)
                for new in stage
                if new.path == request.path and new.method == request.method
            ]
        except Exception:
            return []
        covered = {index for new in requests for index in new.records}
        return requests if covered.issuperset(indices) else []

    def _encode(self, indices: Sequence[int]) -> Iterable[Iterable[Request]]:
        """The exporter's stages for some of the records, with their indices in this batch."""
        if len(indices) == len(self._records):
            return self._exporter.encode(Batch(Throttled(self._records), self._replay))
        records = _Selection(self._records, indices)
        stages = self._exporter.encode(Batch(Throttled(records), self._replay))
        return ([_renumbered(request, indices) for request in stage] for stage in stages)


class _Selection(Sequence[Record]):
    """Some of a batch's records, without a copy; most transports never read them."""

    __slots__ = ("_indices", "_records")

    def __init__(self, records: Records, indices: Sequence[int]) -> None:
        self._records = records
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Selection(self._records, self._indices[index])
        return self._records[self._indices[index]]


def _renumbered(request: Request, indices: Sequence[int]) -> Request:
    return attrs.evolve(request, records=tuple([indices[index] for index in request.records]))
