"""A batch under way: which of its requests are still owed, and what became of its records.

Decides what verdicts mean; sends nothing and waits for nothing. Used by a lane in the sender's
thread. Invariants: a request that was taken is never sent again while its batch is retried; a
record is settled when every request that carries it is; and nothing is given up as invalid before
the batch is through, because a fault that strikes every record is no fault of the records.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.export.protocol import (
    Batch,
    Blocked,
    Delivered,
    Exporter,
    Invalid,
    Outcome,
    Request,
    Retry,
    TooLarge,
)
from sessiontrace.model.record import OPEN, Record, Records
from sessiontrace.runtime.throttle import Throttled
from sessiontrace.spool.frame import Position
from sessiontrace.spool.source import Source

__all__ = ["BISECT_BUDGET", "Acknowledged", "BatchDelivery"]

BISECT_BUDGET = 32
"""Extra requests that a batch may cost in search of what is wrong with it."""


@attrs.frozen
class Acknowledged:
    """How far the settled prefix moved: what it held, and up to where."""

    acked: int
    rejected: Sequence[tuple[Record, str]]
    position: Position


@attrs.frozen
class _Refused:
    """A request that cannot be divided further and was refused for its content."""

    request: Request
    reason: str


class BatchDelivery:
    """One batch, from its cut until its last record is settled.

    ``pending_requests`` holds the current stage's requests still to be sent. ``bisecting`` asks
    for them one after the other, so that the search for what is wrong with one soon finds what is
    right with the backend. ``too_large`` is the size of the smallest body so far that was refused
    for its size and carried several records.
    """

    def __init__(
        self,
        exporter: Exporter,
        source: Source,
        records: Records,
        ends: Sequence[Position],
    ) -> None:
        self.source = source
        self.records = records
        self.planned = False
        self.pending_requests: deque[Request] = deque()
        self.bisecting = False
        self.too_large: int | None = None
        self._exporter = exporter
        self._ends = ends
        self._later: deque[list[Request]] = deque()
        self._left = [0] * len(records)  # requests that carry the record and are not through
        self._front = 0
        self._budget = BISECT_BUDGET
        self._shortened: set[int] = set()
        self._unencodable: dict[int, str] = {}
        self._rejected: dict[int, str] = {}
        self._refused: list[list[_Refused]] = []  # by stage
        self._taken = False
        self._taken_in_stage = False
        self._forgive = False
        self._progress = False

    def plan(self) -> Iterator[None]:
        """Encode the batch; yields wherever the caller may breathe."""
        self._unencodable.clear()
        stages: list[list[Request]] = []
        parts: list[Sequence[int]] = [range(len(self.records))]
        while parts:
            part = parts.pop()
            found: list[list[Request]] = []
            try:
                for stage in self._encode(part):
                    found.append([])
                    for request in stage:
                        found[-1].append(request)
                        yield
            except Exception as error:
                if len(part) == 1:
                    self._unencodable[part[0]] = f"cannot be encoded ({type(error).__name__})"
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                continue
            pairs = itertools.zip_longest(stages, found, fillvalue=())
            stages = [[*before, *after] for before, after in pairs]
        left = self._left = [0] * len(self.records)
        for index in self._unencodable:
            left[index] = 1
        for request in itertools.chain.from_iterable(stages):
            for index in request.records:
                left[index] += 1
        self._later = deque(stages)
        self.planned = True

    def records_of(self, request: Request) -> Sequence[Record]:
        """The records that a request names."""
        if len(request.records) == len(self.records):
            return self.records
        return _Picked(self.records, request.records)

    def resume(self) -> None:
        """Before going on after a setback: what made progress may cost as much again.

        What was refused before the backend turned out to refuse everything is owed again, stage by
        stage: the fault was not in those records either.
        """
        if self._taken_in_stage:
            self._budget = BISECT_BUDGET
        forgive, self._forgive = self._forgive and not self._taken, False
        self._progress = False
        if forgive:
            stages = [[one.request for one in stage] for stage in self._refused if stage]
            if self.pending_requests:
                stages.append(list(self.pending_requests))
            self.pending_requests.clear()
            self._refused.clear()
            self._later.extendleft(reversed(stages))

    @property
    def progressed(self) -> bool:
        """Whether the backend took something since the last setback."""
        return self._progress

    def apply(self, request: Request, verdict: Outcome) -> Retry | Blocked | None:
        """Take the verdict on a request that was taken off ``pending_requests``; what stops the
        batch, if any.

        After a Retry or Blocked the request is owed again.
        """
        setback = self._obey(request, verdict)
        self._forgive = self._forgive or isinstance(setback, Blocked)
        return setback

    def advance(self) -> Blocked | None:
        """When nothing is owed: enter the next stage, or end the batch, or find it blocked."""
        setback = self._advance()
        self._forgive = self._forgive or setback is not None
        return setback

    def _obey(self, request: Request, verdict: Outcome) -> Retry | Blocked | None:
        if isinstance(verdict, Delivered):
            return self._take(request, verdict.rejected)
        if isinstance(verdict, Invalid):
            return self._divide(request, verdict.reason)
        if isinstance(verdict, TooLarge):
            self._shrink(request, verdict.reason)
            return None
        self.pending_requests.appendleft(request)
        return verdict

    def _advance(self) -> Blocked | None:
        if self._refused and len(self._refused[-1]) > 1 and not self._taken_in_stage:
            return self._requeue_as_blocked([self._refused.pop()])
        if self._later:
            self.pending_requests.extend(self._later.popleft())
            self._refused.append([])
            self._taken_in_stage = self.bisecting = False
            return None
        refused = list(itertools.chain.from_iterable(self._refused))
        if len(refused) + len(self._unencodable) > 1 and not self._taken:
            stages, self._refused = self._refused, []
            return self._requeue_as_blocked(stages)
        for one in refused:
            for index in one.request.records:
                self._rejected.setdefault(index, one.reason)
                self._left[index] -= 1
        for index, reason in self._unencodable.items():
            self._rejected[index] = reason
            self._left[index] = 0
        assert not any(self._left), "a request was neither taken nor refused nor kept"
        return None

    @property
    def finished(self) -> bool:
        """Whether every record is settled and ``acknowledge`` has said so."""
        return self.planned and self._front == len(self.records)

    def acknowledge(self) -> Acknowledged | None:
        """Move over the settled prefix; None when it did not move."""
        left, begin, front = self._left, self._front, self._front
        while front < len(left) and not left[front]:
            front += 1
        if front == begin:
            return None
        self._front = front
        rejected = [
            (self.records[index], self._rejected[index])
            for index in sorted(self._rejected)
            if begin <= index < front
        ]
        # A repeated start is in nobody's books: it was counted when it was first spooled.
        opens = self.records.kinds[begin:front].count(OPEN)
        return Acknowledged(front - begin - len(rejected) - opens, rejected, self._ends[front - 1])

    def _take(self, request: Request, rejected: Mapping[int, str]) -> Blocked | None:
        several = len(request.records) > 1
        if several and len(rejected) == len(request.records) and not self._taken_in_stage:
            self.pending_requests.appendleft(request)
            return Blocked(f"every record is refused ({next(iter(rejected.values()))})")
        self._taken = self._taken_in_stage = self._progress = True
        self._rejected.update(rejected)
        left = self._left
        for index in request.records:
            left[index] -= 1
        return None

    def _divide(self, request: Request, reason: str) -> Blocked | None:
        halves = self._split(request)
        if not halves:
            self._refused[-1].append(_Refused(request, reason))
            return None
        if len(halves) <= self._budget:
            self._budget -= len(halves)
            self.bisecting = True
            self._replace(request, halves)
            return None
        self.pending_requests.appendleft(request)
        if not self._taken_in_stage:  # perhaps none of them is to blame
            self.pending_requests.extend(one.request for one in self._refused[-1])
            self._refused[-1].clear()
        return Blocked(f"too many records are refused ({reason})")

    def _shrink(self, request: Request, reason: str) -> None:
        halves = self._split(request)
        if halves:
            size = request.content.size
            self.too_large = min(size, self.too_large or size)
            self._replace(request, halves)
        elif smaller := self._shorten(request):
            self._replace(request, smaller)
        else:
            self._refused[-1].append(_Refused(request, reason))

    def _split(self, request: Request) -> list[Request]:
        """The request as two or more, or nothing when it counts as one."""
        middle = len(request.records) // 2
        if not middle:
            return []
        first = self._reencode(request, request.records[:middle])
        second = self._reencode(request, request.records[middle:])
        return [*first, *second] if first and second else []

    def _shorten(self, request: Request) -> list[Request]:
        """The request with its records cut by the exporter, once; nothing when that is no way."""
        cut = getattr(self._exporter, "cut", None)
        if cut is None or not self._shortened.isdisjoint(request.records):
            return []
        self._shortened.update(request.records)
        smaller = {index: cut(self.records[index]) for index in request.records}
        if not any(smaller.values()):
            return []
        for index, record in smaller.items():
            self.records[index] = record or self.records[index]
        return self._reencode(request, request.records)

    def _reencode(self, request: Request, indices: Sequence[int]) -> list[Request]:
        """The request made anew for some of its records; nothing if that leaves one of them out."""
        try:
            found = [
                new
                for stage in self._encode(indices)
                for new in stage
                if new.path == request.path and new.method == request.method
            ]
        except Exception:
            return []
        covered = {index for new in found for index in new.records}
        return found if covered.issuperset(indices) else []

    def _encode(self, indices: Sequence[int]) -> Iterable[Iterable[Request]]:
        """The exporter's stages for some of the records, with their indices in this batch."""
        if len(indices) == len(self.records):
            return self._exporter.encode(Batch(Throttled(self.records), self.source.replay))
        records = _Picked(self.records, indices)
        stages = self._exporter.encode(Batch(Throttled(records), self.source.replay))
        return ([_renumbered(request, indices) for request in stage] for stage in stages)

    def _replace(self, request: Request, parts: Sequence[Request]) -> None:
        for index in request.records:
            self._left[index] -= 1
        for part in parts:
            for index in part.records:
                self._left[index] += 1
        self.pending_requests.extendleft(reversed(parts))

    def _requeue_as_blocked(self, stages: Sequence[Sequence[_Refused]]) -> Blocked:
        """Nothing was taken and everything refused: owe it all again, and call it blocked."""
        reasons = [one.reason for stage in stages for one in stage]
        reasons += self._unencodable.values()
        if not any(stages):
            self.planned = False
        again = [[one.request for one in stage] for stage in stages if stage]
        self._later.extendleft(reversed(again))
        return Blocked(f"every record is refused ({reasons[0]})")


class _Picked(Sequence[Record]):
    """Some of a batch's records; most transports never look at them."""

    __slots__ = ("_indices", "_records")

    def __init__(self, records: Records, indices: Sequence[int]) -> None:
        self._records = records
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Picked(self._records, self._indices[index])
        return self._records[self._indices[index]]


def _renumbered(request: Request, indices: Sequence[int]) -> Request:
    return attrs.evolve(request, records=tuple([indices[index] for index in request.records]))
