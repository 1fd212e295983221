"""A backend that refuses: too much at once, one bad record, or everything."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lane_harness import MemorySource, PlainExporter, Run, event, numbers

from sessiontrace.export.protocol import Batch, Delivered, Outcome, Rejected, Reply, Request
from sessiontrace.model.record import Record

pytestmark = pytest.mark.asyncio


def refusing(poison: set[int], status: int = 400):
    """Refuse each request that holds one of these."""
    return lambda request: Reply(status if poison.intersection(numbers(request)) else 200)


def letters(root: Path) -> list[dict[str, object]]:
    file = root / "there.jsonl"
    return [orjson.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


@pytest.mark.parametrize("poison", [0, 37, 99])
async def test_C13_one_bad_record_in_a_hundred_costs_at_most_fourteen_requests(
    poison: int, tmp_path: Path
) -> None:
    """The other ninety-nine arrive, once each; the bad one becomes a dead letter."""
    run = Run(refusing({poison}), [event(n) for n in range(100)], dead_letters=tmp_path)
    await run.until(lambda: run.done)
    await run.end()
    assert len(run.sent) - 1 <= 14
    taken = [n for request in run.sent if poison not in numbers(request) for n in numbers(request)]
    assert sorted(taken) == [n for n in range(100) if n != poison]
    assert (run.stats.acked, run.stats.rejected, run.stats.pending) == (99, 1, 0)
    (letter,) = letters(tmp_path)
    assert letter["reason"] == "HTTP 400"
    assert letter["record"] == orjson.loads(event(poison).body)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 63), max_size=3))
@pytest.mark.asyncio
async def test_the_good_arrive_and_the_bad_do_not_whatever_their_places(poison: set[int]) -> None:
    """Up to three bad records anywhere in sixty-four: exactly they are rejected."""
    run = Run(refusing(poison), [event(n) for n in range(64)])
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (64 - len(poison), len(poison))


async def test_C14_a_backend_that_refuses_everything_gets_no_dead_letters(tmp_path: Path) -> None:
    """The schema changed over there, or a proxy answers 400 to all: that is no fault of the
    records. The lane blocks, and when it is mended everything arrives."""
    run = Run(lambda request: Reply(400), [event(n) for n in range(500)], dead_letters=tmp_path)
    await run.until(lambda: run.stats.state == "blocked")
    assert len(run.sent) <= 1 + 32
    sent = len(run.sent)
    await run.until(lambda: run.clock.time > 1000 + 3600)
    assert len(run.sent) - sent < 200, "the probes of an hour are few"
    assert run.stats.rejected == 0
    run.wire.respond = lambda request: Reply(200)
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (500, 0)
    assert not letters(tmp_path)


async def test_two_records_that_are_both_refused_block_as_well(tmp_path: Path) -> None:
    """The smallest batch in which everything is refused."""
    run = Run(lambda request: Reply(422), [event(1), event(2)], dead_letters=tmp_path)
    await run.until(lambda: run.stats.state == "blocked")
    assert "every record is refused" in run.stats.last_error
    await run.end()
    assert run.stats.pending == 2
    assert not letters(tmp_path)


class Polite(PlainExporter):
    """A backend that answers 200 and rejects what the wire answers 400 to."""

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        rejected = request.records if reply.status == 400 else ()
        return Delivered(dict.fromkeys(rejected, "no such field"))


class Failing(PlainExporter):
    """An exporter that cannot encode anything while ``broken``."""

    broken = True

    def encode(self, batch: Batch) -> list[list[Request]]:
        if self.broken:
            raise TypeError("boom")
        return super().encode(batch)


@pytest.mark.parametrize(
    ("exporter", "status"),
    [(PlainExporter, 422), (PlainExporter, 413), (Polite, 400), (Failing, 200)],
)
async def test_C32_a_backend_that_refuses_everything_is_blocked_by_lone_records(
    exporter: type[PlainExporter], status: int, tmp_path: Path
) -> None:
    """Records come one by one, so each would be refused alone. The first is held; the second joins
    it, and none is given up. Once the backend accepts them, all arrive, in order.
    """
    run = Run(lambda request: Reply(status), exporter=exporter(), dead_letters=tmp_path)
    for number in range(5):
        run.source.records.append(event(number))
        await run.until(lambda: run.stats.state == "blocked")
        since = run.clock.time
        await run.until(lambda since=since: run.clock.time > since + 100)
        assert (run.stats.rejected, run.stats.pending) == (0, number + 1)
    assert len(run.sent) < 100
    sent = len(run.sent)
    run.wire.respond = lambda request: Reply(200)
    if isinstance(run.exporter, Failing):
        run.exporter.broken = False
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (5, 0)
    assert [n for request in run.sent[sent:] for n in numbers(request)] == [0, 1, 2, 3, 4]
    assert not letters(tmp_path)


async def test_C32_a_lone_refused_record_is_given_up_once_the_next_one_is_accepted(
    tmp_path: Path,
) -> None:
    """The lane says that it is blocked and a flush does not wait. When the next record comes, it
    goes out at once together with the refused one, and shows whose fault it was.
    """
    run = Run(refusing({1}), [event(1)], dead_letters=tmp_path)
    await run.until(lambda: run.stats.state == "blocked")
    ticket = run.flush()
    await run.until(lambda: ticket.done)
    assert not ticket.wait(0)
    assert (run.stats.rejected, run.stats.pending) == (0, 1)
    assert "HTTP 400" in run.stats.last_error
    begun = run.clock.time
    run.source.records.append(event(2))
    await run.until(lambda: run.done)
    assert run.clock.time - begun < 2
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (1, 1)
    assert len(letters(tmp_path)) == 1


async def test_C32_two_lone_bad_records_do_not_block_the_good_ones_behind_them() -> None:
    """Both are refused, and nothing was accepted, so the lane is blocked. The next probe includes
    what has come since: the good ones are found, and the bad ones given up.
    """
    run = Run(refusing({1, 2}), [event(1), event(2)])
    await run.until(lambda: run.stats.state == "blocked")
    run.source.records += [event(number) for number in range(3, 20)]
    await run.until(lambda: run.done, seconds=100)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (17, 2)


async def test_C32_a_batch_of_bad_records_does_not_block_the_good_ones_behind_it() -> None:
    """More bad records in a row than one search may cost, and all in one batch."""
    bad = set(range(60))
    run = Run(refusing(bad), [event(number) for number in bad])
    await run.until(lambda: run.stats.state == "blocked")
    sent = len(run.sent)
    assert sent <= 1 + 32
    run.source.records += [event(number) for number in range(100, 160)]
    await run.until(lambda: run.done, seconds=24 * 3600)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (60, 60)


@pytest.mark.parametrize("poison", [{1}, {1, 2}, set(range(10, 70))])
async def test_C32_a_bad_record_of_an_ended_program_waits_for_our_own(poison: set[int]) -> None:
    """An ended program left nothing else, so nothing of its own can join its bad record. What this
    program delivers shows that the backend works.
    """
    run = Run(refusing(poison))
    left = MemorySource([event(number) for number in poison], adopted=True)
    run.lane.add(left)
    await run.until(lambda: run.stats.state == "blocked")
    assert run.stats.adopted_rejected == 0
    run.source.records.append(event(3))
    await run.until(lambda: run.stats.acked, seconds=100)
    await run.until(left.finished, seconds=4 * 3600)
    await run.end()
    assert (run.stats.acked, run.stats.adopted_rejected) == (1, len(poison))


async def test_C32_many_ended_programs_with_a_record_each_do_not_flood_a_broken_backend() -> None:
    """The second batch that is refused whole blocks the lane, so that a probe is one batch."""
    run = Run(lambda request: Reply(400))
    ended = [MemorySource([event(number)], adopted=True) for number in range(50)]
    for source in ended:
        run.lane.add(source)
    await run.until(lambda: run.clock.time > 1000 + 3600, seconds=4000)
    assert len(run.sent) < 40
    assert run.stats.adopted_rejected == 0
    run.wire.respond = lambda request: Reply(200)
    await run.until(lambda: all(source.finished() for source in ended), seconds=400)
    await run.end()
    assert (run.stats.adopted_acked, run.stats.adopted_rejected) == (50, 0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["good", "bad"]), st.integers(0, 2)),
            st.tuples(st.sampled_from(["break", "mend", "wait", "flush"]), st.just(0)),
        ),
        max_size=25,
    )
)
@pytest.mark.asyncio
async def test_C32_no_history_gives_up_a_good_record_or_keeps_a_bad_one(
    history: list[tuple[str, int]],
) -> None:
    """Good and bad records come one by one from three programs, while the backend breaks and is
    mended. Once it works and accepts a last good record, the good have all arrived, in the order of
    their program, and exactly the bad have been given up.
    """
    bad: set[int] = set()
    broken = False
    run = Run(lambda request: Reply(422 if broken or bad.intersection(numbers(request)) else 200))
    ended = [MemorySource(adopted=True) for _ in range(2)]
    sources = [run.source, *ended]
    number = 0

    def append(index: int, event_is_bad: bool) -> None:
        nonlocal number
        number += 1
        sources[index].records.append(event(number))
        if event_is_bad:
            bad.add(number)
        if index and not any(source is sources[index] for source in run.lane.adopted):
            run.lane.add(sources[index])

    for action, index in [*history, ("mend", 0), ("good", 0)]:
        if action in ("good", "bad"):
            append(index, action == "bad")
        elif action in ("break", "mend"):
            broken = action == "break"
        elif action == "flush":
            ticket = run.flush()
            await run.until(lambda ticket=ticket: ticket.done)
        since = run.clock.time
        pause = 90 if action == "wait" else 0.2
        await run.until(lambda since=since, pause=pause: run.clock.time >= since + pause)
    await run.until(lambda: not any(source.pending() for source in sources), seconds=3 * 3600)
    await run.end()
    total = run.stats
    assert total.rejected + total.adopted_rejected == len(bad)
    assert total.acked + total.adopted_acked == number - len(bad)


async def test_C32_a_backend_that_breaks_later_loses_no_lone_record(tmp_path: Path) -> None:
    """What it accepted before proves nothing for a record that came after."""
    run = Run(lambda request: Reply(200), [event(0)], dead_letters=tmp_path)
    await run.until(lambda: run.done)
    run.wire.respond = lambda request: Reply(422)
    run.source.records.append(event(1))
    await run.until(lambda: run.stats.state == "blocked")
    assert (run.stats.rejected, run.stats.pending) == (0, 1)
    run.wire.respond = lambda request: Reply(200)
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (2, 0)


async def test_a_record_that_a_backend_has_no_place_for_is_rejected_alone() -> None:
    """The exporter knows that without asking the backend, so no neighbour has to prove it."""

    class Placeless(PlainExporter):
        def interpret(self, request: Request, reply: Reply) -> Outcome:
            return Rejected(dict.fromkeys(request.records, "there is no such thing here"))

    run = Run(lambda request: Reply(200), [event(1)], exporter=Placeless())
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected, run.stats.state) == (0, 1, "idle")


async def test_many_bad_records_spend_the_budget_and_the_rest_is_found_by_and_by() -> None:
    """Every tenth of 1000 is bad, far more than one search may cost. The lane blocks, but each
    probe goes on where the last one stopped, until the good are through."""
    poison = set(range(0, 1000, 10))
    run = Run(refusing(poison), [event(n) for n in range(1000)])
    await run.until(lambda: run.stats.state == "blocked")
    assert len(run.sent) <= 1 + 32
    await run.until(lambda: run.done, seconds=24 * 3600)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (900, 100)


async def test_a_refused_session_does_not_stop_its_events() -> None:
    """A request that cannot be divided (a session's start and end in one) is rejected as one;
    the next stage goes on."""

    class Sessions(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            kinds = [record.kind for record in batch.records]
            if b"start" in kinds:  # whole with its end
                both = tuple(at for at, kind in enumerate(kinds) if kind != b"event")
                first = [Request("POST", "/session", b"", both)]
            else:
                first = [
                    Request("PUT", "/session", b"", (at,))
                    for at, kind in enumerate(kinds)
                    if kind == b"end"
                ]
            rest = tuple(at for at, kind in enumerate(kinds) if kind == b"event")
            return [first, [Request("POST", "/events", b"", rest)] if rest else []]

    run = Run(
        lambda request: Reply(400 if request.path == "/session" else 200),
        [event(1, b"start"), event(2), event(3), event(4, b"end")],
        exporter=Sessions(),
    )
    await run.until(lambda: run.done)
    await run.end()
    assert [request.path for request in run.sent] == ["/session", "/events"]
    assert (run.stats.acked, run.stats.rejected) == (2, 2)


async def test_C12_too_much_at_once_is_halved_and_the_limit_remembered() -> None:
    """A proxy takes at most 20 kB. The first batch is halved until it fits; later batches are cut
    so that they fit at once."""
    records = [event(n, inputs={"text": "x" * 1000}) for n in range(400)]
    run = Run(lambda request: Reply(413 if len(request.body) > 100_000 else 200), records)
    await run.until(lambda: run.done)
    assert (run.stats.acked, run.stats.rejected) == (400, 0)
    refused = sum(len(request.body) > 100_000 for request in run.sent)
    assert refused
    run.source.records += [event(1000 + n, inputs={"text": "x" * 1000}) for n in range(400)]
    await run.until(lambda: run.done)
    await run.end()
    assert sum(len(request.body) > 100_000 for request in run.sent) == refused
    assert run.stats.acked == 800


async def test_C12_one_record_too_large_is_cut_once_and_then_given_up(tmp_path: Path) -> None:
    """The exporter offers a smaller form of the middle record, which is taken; of the last one
    even that is too large, and it becomes a dead letter."""

    class Cutting(PlainExporter):
        def cut(self, record: Record) -> Record | None:
            body = orjson.loads(record.body)
            body["inputs"] = {"text": body["inputs"]["text"][: len(body["inputs"]["text"]) // 2]}
            return record._replace(body=orjson.dumps(body))

    run = Run(
        lambda request: Reply(413 if len(request.body) > 1000 else 200),
        [event(n, inputs={"text": "x" * size}) for n, size in enumerate((10, 1500, 9000))],
        exporter=Cutting(),
        dead_letters=tmp_path,
    )
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (2, 1)
    (letter,) = letters(tmp_path)
    assert letter["record"]["event_id"].endswith("2")  # type: ignore[index]


async def test_C17_partial_success_is_final_for_both_halves(tmp_path: Path) -> None:
    """The backend takes a batch and says which three it will never take: no retry of anything."""

    class Partial(PlainExporter):
        def interpret(self, request: Request, reply: Reply) -> Outcome:
            return Delivered({at: "no such field" for at in request.records if at % 4 == 1})

    run = Run(
        lambda request: Reply(200),
        [event(n) for n in range(12)],
        exporter=Partial(),
        dead_letters=tmp_path,
    )
    await run.until(lambda: run.done)
    await run.end()
    assert len(run.sent) == 1
    assert (run.stats.acked, run.stats.rejected) == (9, 3)
    assert {letter["reason"] for letter in letters(tmp_path)} == {"no such field"}


async def test_partial_success_that_takes_nothing_blocks() -> None:
    """A backend that rejects every one of many records politely is misconfigured all the same."""

    class Nothing(PlainExporter):
        def interpret(self, request: Request, reply: Reply) -> Outcome:
            return Delivered(dict.fromkeys(request.records, "no such project"))

    run = Run(lambda request: Reply(200), [event(n) for n in range(12)], exporter=Nothing())
    await run.until(lambda: run.stats.state == "blocked")
    await run.end()
    assert (run.stats.rejected, run.stats.pending) == (0, 12)


async def test_a_record_that_breaks_the_exporter_is_rejected_alone(tmp_path: Path) -> None:
    """One record of a hundred makes encode() raise: the others go on."""

    class Fragile(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            if any(b'"bomb"' in record.body for record in batch.records):
                raise TypeError("boom")
            return super().encode(batch)

    records = [event(n) for n in range(100)]
    records[42] = event(42, metadata={"bomb": True})
    run = Run(lambda request: Reply(200), records, exporter=Fragile(), dead_letters=tmp_path)
    await run.until(lambda: run.done)
    await run.end()
    assert (run.stats.acked, run.stats.rejected) == (99, 1)
    assert letters(tmp_path)[0]["reason"] == "cannot be encoded (TypeError)"


async def test_an_exporter_that_fails_on_everything_blocks() -> None:
    """A bug of ours is no reason to give up a spool."""

    class Broken(PlainExporter):
        broken = True

        def encode(self, batch: Batch) -> list[list[Request]]:
            if self.broken:
                raise TypeError("boom")
            return super().encode(batch)

    exporter = Broken()
    run = Run(lambda request: Reply(200), [event(n) for n in range(5)], exporter=exporter)
    await run.until(lambda: run.stats.state == "blocked")
    assert run.stats.rejected == 0
    exporter.broken = False
    await run.until(lambda: run.done)
    await run.end()
    assert run.stats.acked == 5
