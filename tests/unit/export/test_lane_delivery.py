"""A lane brings batches to the backend, in order, and keeps its books."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from support.lane_harness import MemorySource, PlainExporter, Run, event, id_of, numbers
from support.patience import patience

from sessiontrace.export.protocol import Batch, Reply, Request
from sessiontrace.model.record import END, EVENT, OPEN, START, Record
from sessiontrace.runtime import throttle

pytestmark = pytest.mark.asyncio


def ok(request: Request) -> Reply:
    return Reply(200)


async def test_records_arrive_once_and_in_order() -> None:
    """Three thousand records make three full batches and the books balance afterwards."""
    run = Run(ok, [event(n) for n in range(3000)])
    await run.until(lambda: run.done)
    await run.end()
    assert [n for request in run.sent for n in numbers(request)] == list(range(3000))
    assert len(run.sent) == 3
    assert (run.stats.acked, run.stats.pending, run.stats.requests) == (3000, 0, 3)
    assert run.stats.bytes == sum(len(request.body) for request in run.sent)


async def test_the_first_records_of_a_quiet_lane_leave_within_a_fraction_of_a_second() -> None:
    """Someone may be looking at the page: the first record does not wait for the batch's full age,
    those that follow it closely do."""
    run = Run(ok, [event(1)], exporter=PlainExporter(max_age_s=5.0))
    begun = run.clock.now()
    await run.until(lambda: run.done)
    assert run.wire.at[0] - begun == pytest.approx(0.1, abs=0.06)
    run.source.records.append(event(2))
    await run.until(lambda: run.done)
    await run.end()
    assert run.wire.at[1] - run.wire.at[0] > 4.0


async def test_the_application_gets_its_turn_while_a_batch_is_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An exporter takes 12 ms for 20 records, in one go and without a thought for others: the lane
    steps aside at every record that it looks at.
    """
    pauses: list[float] = []

    class Slow(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            for _ in batch.records:
                until = time.perf_counter() + 0.0006
                while time.perf_counter() < until:
                    pass
            pauses.append(-1)
            return super().encode(batch)

    monkeypatch.setattr(throttle, "time", SimpleNamespace(sleep=pauses.append))
    run = Run(ok, [event(n) for n in range(20)], exporter=Slow())
    await run.until(lambda: run.done)
    await run.end()
    assert pauses.index(-1) >= 20


async def test_a_batch_ends_at_its_bytes() -> None:
    """Records of 10 kB and a limit of 50 kB: no batch is much larger, none is held back."""
    records = [event(n, inputs={"text": "x" * 10_000}) for n in range(20)]
    run = Run(ok, records, exporter=PlainExporter(max_bytes=50_000))
    await run.until(lambda: run.done)
    await run.end()
    assert max(len(request.body) for request in run.sent) < 65_000
    assert run.stats.acked == 20


async def test_a_flush_does_not_wait_for_the_batch_to_fill() -> None:
    """A ticket is answered as soon as what was there before it has arrived."""
    run = Run(ok, exporter=PlainExporter(max_age_s=60.0))
    await run.until(lambda: run.clock.time > 1010)
    run.source.records += [event(1), event(2)]
    ticket = run.flush()
    begun = run.clock.now()
    await run.until(lambda: ticket.done)
    assert ticket.wait(0)
    assert run.clock.now() - begun < 0.2
    assert run.done
    await run.end()


async def test_a_flush_ends_although_records_keep_coming() -> None:
    """The ticket marks what was appended before it: an application that never pauses does not
    keep it open for ever."""
    run = Run(ok, [event(n) for n in range(50)], exporter=PlainExporter(max_records=10))
    count = 50

    def more(request: Request) -> Reply:
        nonlocal count
        run.source.records.extend(event(count + n) for n in range(20))
        count += 20
        return Reply(200)

    run.wire.respond = more
    ticket = run.flush()
    await run.until(lambda: ticket.done)
    assert ticket.wait(0)
    assert run.source.settled == 50
    run.wire.respond = ok
    await run.end()


async def test_stages_follow_each_other_and_a_record_settles_with_its_last_request() -> None:
    """A session goes before its events. The cursor stays where it is until the request of the
    second stage, which carries the same records, has been answered too."""
    settled_at_second: list[int] = []

    class TwoStages(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            everything = tuple(range(len(batch.records)))
            first = [Request("POST", f"/one/{at}", b"", (at,)) for at in everything]
            return [first, [Request("POST", "/two", b"", everything)]]

    def respond(request: Request) -> Reply:
        if request.path == "/two":
            settled_at_second.append(run.source.settled)
        return Reply(200)

    run = Run(respond, [event(n) for n in range(3)], exporter=TwoStages())
    await run.until(lambda: run.done)
    await run.end()
    assert [request.path for request in run.sent] == ["/one/0", "/one/1", "/one/2", "/two"]
    assert settled_at_second == [0]


async def test_requests_of_a_stage_run_together_but_not_more_than_allowed() -> None:
    """Forty sessions at a slow backend: four requests are always under way, never five."""
    now = peak = 0

    class OneEach(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            return [[Request("POST", "/", b"", (at,)) for at in range(len(batch.records))]]

    class Slow:
        async def send(self, request: Request, records: object) -> Reply:
            nonlocal now, peak
            now += 1
            peak = max(peak, now)
            for _ in range(5):
                await asyncio.sleep(0)
            now -= 1
            return Reply(200)

        async def close(self) -> None: ...

    run = Run(ok, [event(n) for n in range(40)], exporter=OneEach(), transport=Slow())
    await run.until(lambda: run.done)
    await run.end()
    assert peak == 4


async def test_adopted_spools_take_turns_with_our_own_and_are_reported_when_through() -> None:
    """A dead process left 3000 records. Ours do not wait behind all of them, no batch mixes the
    two, and each has books of its own."""
    run = Run(ok, [event(n) for n in range(2000)])
    other = MemorySource([event(10_000 + n) for n in range(3000)], adopted=True)
    run.lane.add(other)
    await run.until(lambda: run.owner.finished)
    await run.until(lambda: run.done)
    await run.end()
    firsts = [numbers(request)[0] >= 10_000 for request in run.sent]
    assert firsts == [False, True, False, True, True]
    for request in run.sent:
        assert len({number >= 10_000 for number in numbers(request)}) == 1
    assert (run.stats.acked, run.stats.adopted_acked) == (2000, 3000)
    assert other.finished()
    assert not run.lane.adopted


async def test_a_repeated_start_is_in_nobodys_books() -> None:
    """An adopted segment opens with the starts of sessions still open: they are sent, but they
    were counted when they were first spooled."""
    run = Run(ok)
    other = MemorySource([event(1, OPEN), event(2, OPEN), event(3, START)], adopted=True)
    run.lane.add(other)
    await run.until(other.finished)
    await run.end()
    assert numbers(run.sent[0]) == [1, 2, 3]
    assert run.stats.adopted_acked == 1


async def test_a_lane_that_finishes_sends_what_is_there_first() -> None:
    """Shutdown comes while records are still young: they go at once."""
    run = Run(ok, [event(n) for n in range(1500)], exporter=PlainExporter(max_age_s=60.0))
    await run.end()
    assert run.done
    assert run.stats.acked == 1500


async def test_records_without_any_request_are_settled() -> None:
    """A vendor may have no use for a record (an update that says nothing): it is through."""

    class Silent(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            return []

    run = Run(ok, [event(1), event(2)], exporter=Silent())
    await run.until(lambda: run.done)
    await run.end()
    assert run.stats.acked == 2
    assert not run.sent


async def test_told_to_finish_while_it_reads_a_lane_still_sends_what_it_read() -> None:
    """The word comes between two slices of reading, when the records are still too young to go."""
    run = Run(ok, [event(n) for n in range(300)], exporter=PlainExporter(max_age_s=60.0))
    read = run.source.read

    def finish_then_read(max_records: int, max_bytes: int) -> Any:
        if run.source.read_to == 128:
            run.lane.request_stop()
        return read(max_records, max_bytes)

    run.source.read = finish_then_read  # type: ignore[method-assign]
    run.task = asyncio.create_task(run.lane.run())
    await asyncio.wait_for(run.task, patience(5))
    assert run.stats.acked == 300


async def test_a_lane_that_holds_sends_sessions_whole_and_gives_in_to_a_flush() -> None:
    """Two sessions, one of which never ends: the other goes with its end, this one with a flush,
    or with the end of the lane."""

    def of(session: int, kind: bytes, number: int) -> Record:
        body = {"event_id": id_of(number), "session_id": id_of(session), "inputs": {}}
        return Record(kind, b"*", orjson.dumps(body))

    run = Run(
        ok,
        [of(1, START, 1), of(2, START, 2), of(2, EVENT, 3), of(1, EVENT, 4), of(2, END, 2)],
        hold=True,
    )
    await run.until(lambda: run.sent)
    await run.until(lambda: run.clock.time > 1020)
    assert [numbers(request) for request in run.sent] == [[2, 3, 2]]
    assert run.source.settled == 0, "the cursor waits for what is held before them"
    assert (run.stats.acked, run.stats.pending) == (3, 2)
    ticket = run.flush()
    await run.until(lambda: ticket.done)
    assert ticket.wait(0)
    assert numbers(run.sent[-1]) == [1, 4]
    assert run.stats.pending == 0
    run.source.records += [of(3, START, 3)]
    await run.until(lambda: run.source.read_to == 6)
    await run.end()
    assert numbers(run.sent[-1]) == [3]
