"""The delivery of one batch: which requests are still to be sent, and what became of the records.

A ``BatchDelivery`` decides what outcomes mean; it sends nothing and waits for nothing. A lane uses
it in the sender's thread. Invariants: a request that was accepted is never sent again while its
batch is retried; a record is settled when every request that carries it is; and no record is given
up as invalid before the batch is through, because a fault that strikes every record does not lie in
the records.

States of a delivery
--------------------
=========  ===================  ==================================================================
State      On                   Then
=========  ===================  ==================================================================
PLANNING   ``prepare``          SENDING: the batch is encoded into stages
SENDING    ``Delivered``        SENDING: the request's records are settled, or listed as rejected
SENDING    ``Invalid``          SENDING: the request is halved; one record alone is refused
SENDING    ``TooLarge``         SENDING: the request is halved; one record alone is cut, or refused
SENDING    ``Retry``            RETRYING: the request is pending again
SENDING    ``Blocked``          BLOCKED: the request is pending again
SENDING    every record         BLOCKED: more than one record, nothing accepted in a stage or in the
           refused              batch: the refused requests are pending again
SENDING    last record          FINISHED
           acknowledged
RETRYING   ``prepare``          SENDING: the pending requests
BLOCKED    ``prepare``          SENDING: the pending requests; while nothing of the batch is
                                accepted, the refused requests as well
BLOCKED    nothing encodable    PLANNING: the next ``prepare`` encodes the batch again
=========  ===================  ==================================================================

Requests of one stage are answered concurrently, so an outcome may still arrive in RETRYING or
BLOCKED; it counts as in SENDING, and only a ``Blocked`` changes the state, from RETRYING.
"""

from __future__ import annotations

import enum
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

__all__ = ["BISECT_BUDGET", "Acknowledged", "BatchDelivery", "DeliveryState", "Stage"]

BISECT_BUDGET = 32
"""Extra requests that a batch may cost in search of the records that are at fault."""


class DeliveryState(enum.Enum):
    """Where a batch is on its way; the module's table lists the transitions."""

    PLANNING = "planning"
    SENDING = "sending"
    RETRYING = "retrying"
    BLOCKED = "blocked"
    FINISHED = "finished"


@attrs.frozen
class Acknowledged:
    """How far the settled prefix moved: counts, rejected records with reasons, new position."""

    acked: int
    rejected: Sequence[tuple[Record, str]]
    position: Position


@attrs.frozen
class RefusedRequest:
    """A request that cannot be divided further and was refused for its content."""

    request: Request
    reason: str


def _queue(requests: Iterable[Request]) -> deque[Request]:
    return deque(requests)


@attrs.define(eq=False)
class Stage:
    """Requests that may be sent at the same time; all are answered before the next stage begins.

    ``pending``: still to be sent. ``accepted``: the backend took at least one request. ``refused``:
    requests to give up, unless the fault turns out to be the backend's. ``bisecting``: send one
    request after the other, so that the search for the records at fault soon finds valid ones.
    """

    pending: deque[Request] = attrs.field(factory=deque, converter=_queue)
    accepted: bool = False
    refused: list[RefusedRequest] = attrs.field(factory=list)
    bisecting: bool = False

    def refused_requests(self) -> list[Request]:
        """The refused requests, in the order of their refusal."""
        return [refusal.request for refusal in self.refused]


class BatchDelivery:
    """One batch, from its cut until its last record is settled.

    The lane calls ``prepare`` at the beginning and after each setback; then, until ``finished``, it
    sends ``stage.pending`` and calls ``apply`` with each outcome, or calls ``advance`` where
    nothing is pending; and ``acknowledge`` in between. ``progressed``: the backend accepted a
    request since the last ``prepare``. ``smallest_refused``: bytes of the smallest body that was
    refused for its size and carried several records.
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
        self.state = DeliveryState.PLANNING
        self.progressed = False
        self.smallest_refused: int | None = None
        self._exporter = exporter
        self._ends = ends
        self._entered = [Stage()]  # the last of them is the current stage
        self._upcoming: deque[Stage] = deque()
        self._unsettled = [0] * len(records)  # by record: its requests under way
        self._acknowledged = 0  # length of the prefix that ``acknowledge`` has reported
        self._budget = BISECT_BUDGET
        self._shortened: set[int] = set()
        self._unencodable: dict[int, str] = {}
        self._rejected: dict[int, str] = {}

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self._entered[-1]

    @property
    def finished(self) -> bool:
        """Whether every record is settled and ``acknowledge`` has reported it."""
        return self.state is DeliveryState.FINISHED

    def records_of(self, request: Request) -> Sequence[Record]:
        """The records that a request carries."""
        if len(request.records) == len(self.records):
            return self.records
        return _Selection(self.records, request.records)

    # -- the transitions --------------------------------------------------------------------

    def prepare(self) -> Iterator[None]:
        """Encode the batch if need be, and go on after a setback; yields between requests.

        What made progress may cost as much again. What was refused before the backend turned out
        to refuse everything is pending again, stage by stage.
        """
        if self.finished:
            return
        if self.state is DeliveryState.PLANNING:
            yield from self._plan()
        elif self.state is DeliveryState.BLOCKED and not self._accepted():
            self._reopen()
        if self.stage.accepted:
            self._budget = BISECT_BUDGET
        self.progressed = False
        self.state = DeliveryState.SENDING

    def apply(self, request: Request, outcome: Outcome) -> Retry | Blocked | None:
        """Note the outcome of a request taken off ``stage.pending``; returns what stops the batch.

        After a Retry or Blocked the request is pending again.
        """
        if isinstance(outcome, Delivered):
            return self._stop(self._accept(request, outcome.rejected))
        if isinstance(outcome, Invalid):
            return self._stop(self._divide(request, outcome.reason))
        if isinstance(outcome, TooLarge):
            self._shrink(request, outcome.reason)
            return None
        self.stage.pending.appendleft(request)
        return self._stop(outcome)

    def advance(self) -> Blocked | None:
        """With nothing pending: enter the next stage or reject what is refused; or it is blocked.

        More than one refused request and nothing accepted means that the backend is at fault.
        """
        stage = self.stage
        if len(stage.refused) > 1 and not stage.accepted:
            self._entered[-1] = Stage(stage.refused_requests())
            return self._block(stage.refused[0].reason)
        if self._upcoming:
            self._entered.append(self._upcoming.popleft())
            return None
        refused = [refusal for stage in self._entered for refusal in stage.refused]
        if len(refused) + len(self._unencodable) > 1 and not self._accepted():
            reasons = [*(refusal.reason for refusal in refused), *self._unencodable.values()]
            self._reopen()
            blocked = self._block(reasons[0])
            if not refused:
                self.state = DeliveryState.PLANNING
            return blocked
        self._reject(refused)
        return None

    def acknowledge(self) -> Acknowledged | None:
        """Move over the settled prefix; None when it did not move."""
        unsettled, begin = self._unsettled, self._acknowledged
        end = begin
        while end < len(unsettled) and not unsettled[end]:
            end += 1
        if end == len(unsettled):
            self.state = DeliveryState.FINISHED
        if end == begin:
            return None
        self._acknowledged = end
        rejected = [
            (self.records[index], self._rejected[index])
            for index in sorted(self._rejected)
            if begin <= index < end
        ]
        # A repeated start is not counted: it was counted when it was first spooled.
        opens = self.records.kinds[begin:end].count(OPEN)
        return Acknowledged(end - begin - len(rejected) - opens, rejected, self._ends[end - 1])

    def _stop(self, stop: Retry | Blocked | None) -> Retry | Blocked | None:
        if isinstance(stop, Blocked):
            self.state = DeliveryState.BLOCKED
        elif stop is not None and self.state is DeliveryState.SENDING:
            self.state = DeliveryState.RETRYING
        return stop

    def _block(self, reason: str) -> Blocked:
        self.state = DeliveryState.BLOCKED
        return Blocked(f"every record is refused ({reason})")

    def _accepted(self) -> bool:
        return any(stage.accepted for stage in self._entered)

    def _reopen(self) -> None:
        """Make what is refused pending again, in stages of its own before the current one."""
        stages = [Stage(stage.refused_requests()) for stage in self._entered if stage.refused]
        if self.stage.pending:
            stages.append(Stage(self.stage.pending))
        self._upcoming.extendleft(reversed(stages))
        self._entered = [Stage()]

    def _reject(self, refused: Sequence[RefusedRequest]) -> None:
        """Give up what is refused or cannot be encoded: the rest of the batch went through."""
        for refusal in refused:
            for index in refusal.request.records:
                self._rejected.setdefault(index, refusal.reason)
                self._unsettled[index] -= 1
        for index, reason in self._unencodable.items():
            self._rejected[index] = reason
            self._unsettled[index] = 0
        assert not any(self._unsettled), "a request was neither accepted nor refused nor pending"

    # -- one outcome ------------------------------------------------------------------------

    def _accept(self, request: Request, rejected: Mapping[int, str]) -> Blocked | None:
        several = len(request.records) > 1
        if several and len(rejected) == len(request.records) and not self.stage.accepted:
            self.stage.pending.appendleft(request)
            return Blocked(f"every record is refused ({next(iter(rejected.values()))})")
        self.stage.accepted = self.progressed = True
        self._rejected.update(rejected)
        unsettled = self._unsettled
        for index in request.records:
            unsettled[index] -= 1
        return None

    def _divide(self, request: Request, reason: str) -> Blocked | None:
        stage = self.stage
        halves = self._split(request)
        if not halves:
            stage.refused.append(RefusedRequest(request, reason))
            return None
        if len(halves) <= self._budget:
            self._budget -= len(halves)
            stage.bisecting = True
            self._replace(request, halves)
            return None
        stage.pending.appendleft(request)
        if not stage.accepted:  # perhaps none of the refused records is at fault
            stage.pending.extend(stage.refused_requests())
            stage.refused.clear()
        return Blocked(f"too many records are refused ({reason})")

    def _shrink(self, request: Request, reason: str) -> None:
        halves = self._split(request)
        if halves:
            size = request.content.size
            self.smallest_refused = min(size, self.smallest_refused or size)
            self._replace(request, halves)
        elif smaller := self._shorten(request):
            self._replace(request, smaller)
        else:
            self.stage.refused.append(RefusedRequest(request, reason))

    def _split(self, request: Request) -> list[Request]:
        """The request as two or more; empty when it cannot be divided."""
        middle = len(request.records) // 2
        if not middle:
            return []
        first = self._reencode(request, request.records[:middle])
        second = self._reencode(request, request.records[middle:])
        return [*first, *second] if first and second else []

    def _shorten(self, request: Request) -> list[Request]:
        """The request with its records cut by the exporter, once; empty when they cannot be cut."""
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

    def _replace(self, request: Request, parts: Sequence[Request]) -> None:
        for index in request.records:
            self._unsettled[index] -= 1
        for part in parts:
            for index in part.records:
                self._unsettled[index] += 1
        self.stage.pending.extendleft(reversed(parts))

    # -- encoding ---------------------------------------------------------------------------

    def _plan(self) -> Iterator[None]:
        """Encode the batch into stages, without the records that the exporter cannot encode."""
        self._unencodable.clear()
        stages: list[list[Request]] = []
        parts: list[Sequence[int]] = [range(len(self.records))]
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
                    self._unencodable[part[0]] = f"cannot be encoded ({type(error).__name__})"
                else:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                continue
            pairs = itertools.zip_longest(stages, encoded, fillvalue=())
            stages = [[*before, *after] for before, after in pairs]
        unsettled = self._unsettled = [0] * len(self.records)
        for index in self._unencodable:
            unsettled[index] = 1
        for request in itertools.chain.from_iterable(stages):
            for index in request.records:
                unsettled[index] += 1
        self._upcoming = deque(map(Stage, stages))

    def _reencode(self, request: Request, indices: Sequence[int]) -> list[Request]:
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
        if len(indices) == len(self.records):
            return self._exporter.encode(Batch(Throttled(self.records), self.source.replay))
        records = _Selection(self.records, indices)
        stages = self._exporter.encode(Batch(Throttled(records), self.source.replay))
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
