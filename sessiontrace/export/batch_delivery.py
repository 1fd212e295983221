"""The delivery of one batch: which requests are still to be sent, and what became of the records.

A ``BatchDelivery`` decides what outcomes mean; it sends nothing and waits for nothing. A lane uses
it in the sender's thread. Invariants: a request that was accepted is never sent again while its
batch is retried; a record is settled when every request that carries it is; and no record is given
up as invalid before the backend has accepted something after it, because a fault that strikes every
record does not lie in the records.

States of a delivery
--------------------
=========  ===================  ==================================================================
State      On                   Then
=========  ===================  ==================================================================
PLANNING   ``prepare``          SENDING: the batch is encoded into stages
SENDING    ``Delivered``        SENDING: the request's records are settled, or listed as rejected
SENDING    ``Invalid``          SENDING: the request is halved; one record alone is refused
SENDING    ``TooLarge``         SENDING: the request is halved; one record alone is cut, or refused
SENDING    ``Rejected``         SENDING: the request's records are listed as rejected
SENDING    ``Settled``          SENDING: the request's records are settled; nothing is accepted
SENDING    ``Retry``            RETRYING: the request is pending again
SENDING    ``Blocked``          BLOCKED: the request is pending again
SENDING    every record         BLOCKED: nothing accepted in the batch, or in a stage of several
           refused              requests: the refused requests are pending again
SENDING    last record          FINISHED
           acknowledged
RETRYING   ``prepare``          SENDING: the pending requests
BLOCKED    ``prepare``          SENDING: the pending requests; while nothing of the batch is
                                accepted, the refused requests as well
BLOCKED    nothing encodable    PLANNING: the next ``prepare`` encodes the batch again
=========  ===================  ==================================================================

While nothing of a blocked batch is accepted (``untouched``), a lane may drop the delivery and put
``unacknowledged`` at the head of a new batch. Of a batch that is ``vouched`` for, which was refused
before, alone, and another batch was accepted since, refused records are given up.

Requests of one stage are answered concurrently, so an outcome may still arrive in RETRYING or
BLOCKED; it counts as in SENDING, and only a ``Blocked`` changes the state, from RETRYING.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from sessiontrace.export.batch_encoder import BatchEncoder
from sessiontrace.export.protocol import (
    Blocked,
    Delivered,
    Exporter,
    Invalid,
    Outcome,
    Rejected,
    Request,
    Retry,
    Settled,
    TooLarge,
)
from sessiontrace.model.record import OPEN, Record, Records
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
    refused for its size and carried several records. ``refusals``: how many requests and records
    were refused, where the batch is blocked for that; else 0. ``vouched``: see the module.
    ``joined``: the first records were refused in another batch; the search looks at all quarters
    before smaller parts, because the good ones may be behind many bad ones.
    """

    def __init__(
        self,
        exporter: Exporter,
        source: Source,
        records: Records,
        ends: Sequence[Position],
        *,
        joined: bool = False,
        vouched: bool = False,
    ) -> None:
        self.source = source
        self.records = records
        self.state: DeliveryState = DeliveryState.PLANNING
        self.progressed: bool = False
        self.smallest_refused: int | None = None
        self.refusals: int = 0
        self._joined = joined
        self._vouched = vouched
        self._encoder = BatchEncoder(exporter, records, source.replay)
        self._ends = ends
        self._entered = [Stage()]  # the last of them is the current stage
        self._upcoming: deque[Stage] = deque()
        self._unsettled = [0] * len(records)  # by record: its requests under way
        self._acknowledged = 0  # length of the prefix that ``acknowledge`` has reported
        self._budget = BISECT_BUDGET
        self._shortened: set[int] = set()
        self._rejected: dict[int, str] = {}

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self._entered[-1]

    @property
    def finished(self) -> bool:
        """Whether every record is settled and ``acknowledge`` has reported it."""
        return self.state is DeliveryState.FINISHED

    @property
    def untouched(self) -> bool:
        """Whether the backend accepted nothing of the batch, so that it may be cut anew."""
        return not any(stage.accepted for stage in self._entered)

    def records_of(self, request: Request) -> Sequence[Record]:
        """The records that a request carries."""
        return self._encoder.records_of(request)

    def unacknowledged(self) -> tuple[Records, Sequence[Position]]:
        """The records behind the settled prefix, and their ends."""
        begin = self._acknowledged
        return self.records[begin:], self._ends[begin:]

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
        elif self.state is DeliveryState.BLOCKED and self.untouched:
            self._reopen()
        if self.stage.accepted or self._vouched:
            self._budget = BISECT_BUDGET
        self.progressed = False
        self.refusals = 0
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
        if isinstance(outcome, (Rejected, Settled)):
            self._settle(request, outcome.reasons if isinstance(outcome, Rejected) else {})
            return None
        self.stage.pending.appendleft(request)
        return self._stop(outcome)

    def advance(self) -> Blocked | None:
        """With nothing pending: enter the next stage or reject what is refused; or it is blocked.

        Refused requests and nothing accepted mean that the backend may be at fault.
        """
        stage = self.stage
        if len(stage.refused) > 1 and not stage.accepted and not self._vouched:
            self._entered[-1] = Stage(stage.refused_requests())
            return self._block([refusal.reason for refusal in stage.refused])
        if self._upcoming:
            self._entered.append(self._upcoming.popleft())
            return None
        refused = [refusal for stage in self._entered for refusal in stage.refused]
        reasons = [refusal.reason for refusal in refused]
        reasons += self._encoder.unencodable.values()
        if reasons and self.untouched and not self._vouched:
            self._reopen()
            blocked = self._block(reasons)
            if not refused:
                self.state = DeliveryState.PLANNING
            return blocked
        self._reject(refused)
        return None

    def acknowledge(self) -> Acknowledged | None:
        """Move over the settled prefix; None when it did not move."""
        unsettled, begin = self._unsettled, self._acknowledged
        end = next((at for at in range(begin, len(unsettled)) if unsettled[at]), len(unsettled))
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

    def _block(self, reasons: Sequence[str]) -> Blocked:
        self.state = DeliveryState.BLOCKED
        self.refusals = len(reasons)
        return Blocked(f"every record is refused ({reasons[0]})")

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
        for index, reason in self._encoder.unencodable.items():
            self._rejected[index] = reason
            self._unsettled[index] = 0
        assert not any(self._unsettled), "a request was neither accepted nor refused nor pending"

    def _plan(self) -> Iterator[None]:
        """Encode the batch into stages, without the records that the exporter cannot encode."""
        encoder = self._encoder
        yield from encoder.encode()
        unsettled = self._unsettled = [0] * len(self.records)
        for index in encoder.unencodable:
            unsettled[index] = 1
        for stage in encoder.stages:
            for request in stage:
                for index in request.records:
                    unsettled[index] += 1
        self._upcoming = deque(map(Stage, encoder.stages))

    # -- one outcome ------------------------------------------------------------------------

    def _accept(self, request: Request, rejected: Mapping[int, str]) -> Blocked | None:
        stage = self.stage
        whole = len(rejected) == len(request.records)  # a polite form of refusing the request
        if rejected and whole and not stage.accepted and not self._vouched:
            reason = next(iter(rejected.values()))
            if len(request.records) == 1:
                stage.refused.append(RefusedRequest(request, reason))
                return None
            stage.pending.appendleft(request)
            return self._block([reason] * len(rejected))
        stage.accepted = self.progressed = True
        self._settle(request, rejected)
        return None

    def _settle(self, request: Request, rejected: Mapping[int, str]) -> None:
        self._rejected.update(rejected)
        unsettled = self._unsettled
        for index in request.records:
            unsettled[index] -= 1

    def _divide(self, request: Request, reason: str) -> Blocked | None:
        stage = self.stage
        halves = self._encoder.halves(request)
        if not halves:
            stage.refused.append(RefusedRequest(request, reason))
            return None
        if len(halves) <= self._budget:
            self._budget -= len(halves)
            stage.bisecting = True
            large = 4 * len(request.records) > len(self.records)
            self._replace(request, halves, last=self._joined and large and not stage.accepted)
            return None
        stage.pending.appendleft(request)
        if not stage.accepted and not self._vouched:  # perhaps no refused record is at fault
            self.refusals = len(stage.refused) + len(stage.pending)
            stage.pending.extend(stage.refused_requests())
            stage.refused.clear()
        return Blocked(f"too many records are refused ({reason})")

    def _shrink(self, request: Request, reason: str) -> None:
        halves = self._encoder.halves(request)
        if halves:
            size = request.content.size
            self.smallest_refused = min(size, self.smallest_refused or size)
            self._replace(request, halves)
        elif smaller := self._shorten(request):
            self._replace(request, smaller)
        else:
            self.stage.refused.append(RefusedRequest(request, reason))

    def _shorten(self, request: Request) -> list[Request]:
        """The request with its records cut by the exporter, once; empty when they cannot be cut."""
        if not self._shortened.isdisjoint(request.records):
            return []
        self._shortened.update(request.records)
        return self._encoder.shortened(request)

    def _replace(self, request: Request, parts: Sequence[Request], last: bool = False) -> None:
        for index in request.records:
            self._unsettled[index] -= 1
        for part in parts:
            for index in part.records:
                self._unsettled[index] += 1
        if last:
            self.stage.pending.extend(parts)
        else:
            self.stage.pending.extendleft(reversed(parts))
