"""What lane tests are made of: records, a source in memory, a wire that answers by a function.

run = Run(lambda request: Reply(200), [event(1), event(2)])
await run.until(lambda: run.done)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from sessiontrace.export.backoff import Backoff
from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.export.flush import FlushTicket
from sessiontrace.export.lane import Lane
from sessiontrace.export.protocol import (
    Batch,
    Exporter,
    Limits,
    Outcome,
    Reply,
    Request,
    Transport,
    judge_http,
)
from sessiontrace.export.stats import DeliveryCounters, DeliveryStats, LaneSpec
from sessiontrace.model.record import EVENT, Record, Records
from sessiontrace.model.sampling import Sample
from sessiontrace.runtime.event_loop import Clock
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.source import Chunk

SESSION = "01890000-0000-7000-8000-000000000000"


def id_of(number: int) -> str:
    """The id of the event of that number."""
    return f"01890000-0000-7000-8000-{number:012x}"


def event(number: int, kind: bytes = EVENT, **fields: Any) -> Record:
    """A record whose event id says its number."""
    body = {
        "event_id": id_of(number),
        "session_id": SESSION,
        "event_type": "tool",
        "inputs": {},
        **fields,
    }
    return Record(kind, b"*", orjson.dumps(body))


def numbers(request: Request) -> list[int]:
    """The numbers of the events in a plain request."""
    return [int(one["event_id"][-12:], 16) for one in orjson.loads(request.body)]


class MemorySource:
    """A reader over a list that tests append to."""

    def __init__(self, records: Iterable[Record] = (), *, adopted: bool = False) -> None:
        self.records = list(records)
        self.adopted = self.replay = adopted
        self.evicted = 0
        self.read_to = 0
        self.settled = 0

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        begin, size = self.read_to, 0
        while self.read_to < min(begin + max_records, len(self.records)) and size < max_bytes:
            size += len(self.records[self.read_to].body)
            self.read_to += 1
        if self.read_to == begin:
            return None
        offsets = [at + 1 for at in range(begin, self.read_to)]
        ends = Positions([1] * len(offsets), offsets)
        return Chunk(Records.of(self.records[begin : self.read_to]), ends)

    def acknowledge(self, position: Position) -> None:
        assert position.offset >= self.settled
        self.settled = position.offset

    def finished(self) -> bool:
        return self.adopted and self.settled == len(self.records)

    def pending(self) -> int:
        return len(self.records) - self.settled


class PlainExporter:
    """All records of a batch in one request, judged by its status."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Limits(**{"concurrency": 4, **limits})
        self.encoded = 0

    def encode(self, batch: Batch) -> list[list[Request]]:
        self.encoded += 1
        body = b"[%b]" % b",".join(record.body for record in batch.records)
        return [[Request("POST", "/batch", body, tuple(range(len(batch.records))))]]

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        return judge_http(reply)


class Wire:
    """A transport: what ``respond`` returns is the reply, what it raises is raised."""

    def __init__(self, respond: Callable[[Request], Reply]) -> None:
        self.respond = respond
        self.sent: list[Request] = []
        self.at: list[float] = []
        self.now: Callable[[], float] = lambda: 0.0
        self.gate: asyncio.Event | None = None
        self.closed = False

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        assert len(records) == len(request.records)
        self.sent.append(request)
        self.at.append(self.now())
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        return self.respond(request)

    async def close(self) -> None:
        self.closed = True


class FastClock(Clock):
    """A clock that each wait moves forward."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    async def wait(self, bell: asyncio.Event, seconds: float | None) -> None:
        if seconds is None:
            await bell.wait()
            return
        for _ in range(3):  # others may have something to do at this moment
            await asyncio.sleep(0)
        if not bell.is_set():
            self.time += seconds


class Owner:
    """A lane's owner that never lets it sleep, and notes when a recovered source is finished."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.finished: list[float] = []
        self._now = now

    def may_sleep(self) -> bool:
        return False

    def release_finished(self) -> None:
        self.finished.append(self._now())


class Run:
    """One lane over memory, run as a task of the test's loop, on a clock of its own."""

    def __init__(
        self,
        respond: Callable[[Request], Reply],
        records: Iterable[Record] = (),
        *,
        exporter: Exporter | None = None,
        dead_letters: Path | None = None,
        transport: Transport | None = None,
        hold: bool = False,
        sample: Sample | None = None,
    ) -> None:
        self.clock = FastClock()
        self.wire = Wire(respond)
        self.wire.now = self.clock.now
        self.source = MemorySource(records)
        self.counters = DeliveryCounters()
        self.exporter = exporter or PlainExporter()
        spec = LaneSpec(
            "there",
            self.exporter,
            lambda: transport or self.wire,
            self.source,
            hold=hold,
            sample=sample,
        )
        self.owner = Owner(self.clock.now)
        self.lane = Lane(
            spec,
            self.counters,
            owner=self.owner,
            clock=self.clock,
            backoff=Backoff(lambda low, high: high),
            dead_letters=None if dead_letters is None else DeadLetters(dead_letters),
        )
        self.task: asyncio.Task[None] | None = None

    @property
    def sent(self) -> list[Request]:
        return self.wire.sent

    @property
    def done(self) -> bool:
        """Everything appended is settled."""
        return not self.source.pending()

    @property
    def stats(self) -> DeliveryStats:
        return self.counters.snapshot(self.lane.own, self.lane.adopted)

    def flush(self) -> FlushTicket:
        """A ticket for everything appended so far."""
        mark = self.lane.own.pending() + self.counters.settled(self.source)
        ticket = FlushTicket({"there": mark})
        self.lane.flush(ticket)
        return ticket

    async def until(self, check: Callable[[], object], seconds: float = 3600.0) -> None:
        """Run the lane until ``check()``; fail after so many seconds of its clock."""
        if self.task is None:
            self.task = asyncio.create_task(self.lane.run())
        deadline = self.clock.time + seconds
        while not check():
            assert self.clock.time < deadline, "did not happen in time"
            if self.task.done():
                self.task.result()
                raise AssertionError("the lane ended early")
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Have the lane finish, and check that it does."""
        if self.task is None:
            self.task = asyncio.create_task(self.lane.run())
        self.lane.request_stop()
        await asyncio.wait_for(self.task, 5)
