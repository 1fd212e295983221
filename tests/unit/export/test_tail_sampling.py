"""Tail sampling: which sessions are sent, decided at their end, with books that balance."""

from __future__ import annotations

from typing import Any

import pytest
from support.exporters import Body, Story, late, record
from support.lane_harness import MemorySource, Run, event

from sessiontrace.export.protocol import Reply
from sessiontrace.export.session_buffer import SessionBuffer
from sessiontrace.export.tail_sampling import TailSampler
from sessiontrace.model.record import END, EVENT, OPEN, START, Record, session_id_of
from sessiontrace.model.sampling import Sample, is_sampled

NONE = Sample(rate=0.0, keep_errors=True, slower_than=5.0, score_below=0.5)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Sifted:
    """A tail over a list, what came out of it, and what it counted as sampled."""

    def __init__(self, records: list[Record], sample: Sample = NONE, **bounds: Any) -> None:
        self.source = MemorySource(records)
        self.clock = Clock()
        self.sampled = 0
        self.out: list[Record] = []
        self.tail = TailSampler(self.source, sample, self._count, now=self.clock, **bounds)

    def _count(self, count: int) -> None:
        self.sampled += count

    def read(self, *more: Record) -> list[Record]:
        """What comes out now, settled at once."""
        self.source.records += more
        found: list[Record] = []
        while (passage := self.tail.read(128, 1 << 20)) is not None:
            if passage.records:
                found += passage.records
                self.tail.acknowledge(passage.ends[-1])
        self.out += found
        assert len(self.out) + self.sampled + self.tail.pending() == len(self.source.records)
        return found


def ended(start: Body, events: int = 1, **end: Any) -> list[Record]:
    """A whole session; ``end`` are fields of its end."""
    story = Story()
    story._made = 1000
    return [
        record(START, start),
        *(record(EVENT, story.event(start)) for _ in range(events)),
        record(END, story.end(start, **end)),
    ]


def test_a_session_without_a_reason_is_dropped_and_counted() -> None:
    """Its four records are counted as sampled, and the cursor passes them."""
    sifted = Sifted(ended(Story().start(), events=2))
    assert sifted.read() == []
    assert sifted.sampled == 4
    assert sifted.source.settled == 4


@pytest.mark.parametrize(
    "end",
    [
        pytest.param({"error": "ValueError: no"}, id="it failed"),
        pytest.param({"took": 5001}, id="it was slow"),
        pytest.param({"metrics": {"helpful": 0.4}}, id="a low score"),
        pytest.param({"metrics": {"helpful": False}}, id="a score of False"),
        pytest.param({"feedback": {"rating": 0}}, id="a low rating"),
        pytest.param({"metadata": {"abandoned": True}}, id="its program ended first"),
    ],
)
def test_a_session_that_matters_is_kept_whole(end: dict[str, Any]) -> None:
    """Everything of it comes out at its end, in its order."""
    records = ended(Story().start(), events=3, **end)
    assert Sifted(records).read() == records


@pytest.mark.parametrize(
    "end",
    [
        {"error": None},
        {"took": 5000},
        {"metrics": {"helpful": 0.5, "label": "low"}, "feedback": {"comment": "0.1"}},
        {"metrics": {"time_to_first_chunk_ms": 0.2, "chunks": 0, "largest_gap_ms": 0.1}},
        {"outputs": {"error": "of the user's own", "metrics": {"helpful": 0}}},
        {"metrics": 7, "feedback": None, "metadata": []},
    ],
)
def test_what_only_looks_like_a_reason_keeps_nothing(end: dict[str, Any]) -> None:
    """Scores are numbers in metrics and feedback, errors the record's own, and bounds exclusive."""
    assert Sifted(ended(Story().start(), **end)).read() == []


def test_named_scores_count_and_others_do_not() -> None:
    """``score_below={"helpful": 0.5}``: another number may be as low as it likes."""
    sample = Sample(rate=0.0, score_below={"helpful": 0.5})
    assert Sifted(ended(Story().start(), metrics={"cost": 0.001}), sample).read() == []
    low = ended(Story().start(), metrics={"helpful": 0.1})
    assert Sifted(low, sample).read() == low


def test_an_error_in_a_step_keeps_the_session_at_once() -> None:
    """The step was retried and the session went well: it is kept all the same, and not only at its
    end, since nothing can change that any more.
    """
    story = Story()
    start = story.start()
    sifted = Sifted([record(START, start), record(EVENT, story.event(start))])
    assert sifted.read() == []
    failed = record(EVENT, story.event(start, error="TimeoutError"))
    assert len(sifted.read(failed)) == 3
    rest = [record(EVENT, story.event(start)), record(END, story.end(start))]
    assert sifted.read(*rest) == rest


def test_a_low_score_of_one_of_its_events_keeps_the_session() -> None:
    """``score(event_id=...)`` before the end is an update record."""
    story = Story()
    start = story.start()
    step = story.event(start)
    records = [record(START, start), record(EVENT, step), late(step, metrics={"helpful": 0.0})]
    assert Sifted(records).read() == records


def test_of_the_rest_the_same_share_is_kept_everywhere() -> None:
    """With a rate of a half, those sessions come out that every other process would choose, and
    they do not wait for their end.
    """
    sample = Sample(rate=0.5, keep_errors=True)
    starts = [Story(1_790_000_000_000 + n).start() for n in range(200)]
    chosen = {one["session_id"] for one in starts if is_sampled(one["session_id"], 0.5)}
    assert 50 < len(chosen) < 150
    sifted = Sifted([record(START, one) for one in starts], sample)
    assert {session_id_of(one.body).decode() for one in sifted.read()} == chosen
    sifted.read(*(record(END, Story().end(one)) for one in starts))
    assert sifted.sampled == 2 * (200 - len(chosen))


def test_a_session_with_a_rate_of_its_own_was_decided_when_it_opened() -> None:
    """``session(..., sample=1.0)`` is in its metadata: the tail leaves it alone."""
    story = Story()
    start = story.start(metadata={"service": "shop", "sample": 1.0})
    assert len(Sifted([record(START, start)]).read()) == 1
    other = story.start(inputs={"sample": 1.0})
    assert Sifted([record(START, other)]).read() == []


def test_what_another_process_opened_is_kept() -> None:
    """Events of a session that came in by traceparent: their session's end is not in this spool."""
    story = Story()
    records = [record(EVENT, story.event(story.start()))]
    assert Sifted(records).read() == records


def test_what_comes_after_the_end_shares_its_fate() -> None:
    """A task that outlives its session, and a score an hour later."""
    story = Story()
    for end, kept in ({}, False), ({"error": "no"}, True):
        start = story.start()
        sifted = Sifted(ended(start, **end))
        sifted.read()
        after = [record(EVENT, story.event(start)), late(start, metrics={"helpful": 0})]
        assert sifted.read(*after) == (after if kept else [])


def test_a_conversation_is_decided_when_none_of_its_turns_is_open() -> None:
    """Two turns at once, the first ends well and the second with an error: both are kept. The next
    turn of the conversation is kept too, since the conversation is.
    """
    story = Story()
    session_id = story.id()
    turns = [{**story.start(session_id), "event_id": story.id()} for _ in range(3)]
    sifted = Sifted([record(START, turns[0]), record(START, turns[1])])
    assert sifted.read(record(END, story.end(turns[0]))) == []
    assert len(sifted.read(record(END, story.end(turns[1], error="no")))) == 4
    assert len(sifted.read(record(START, turns[2]), record(END, story.end(turns[2])))) == 2


def test_a_conversation_that_was_dropped_is_decided_anew_at_its_next_turn() -> None:
    """The first turn went well and is gone; the second fails and is kept."""
    story = Story()
    session_id = story.id()
    first, second = ({**story.start(session_id), "event_id": story.id()} for _ in range(2))
    sifted = Sifted([record(START, first), record(END, story.end(first))])
    assert sifted.read() == []
    again = [record(START, second), record(END, story.end(second, error="no"))]
    assert sifted.read(*again) == again
    assert sifted.sampled == 2


def test_undecided_for_too_long_is_kept() -> None:
    """Without ``slower_than``: after five minutes; due() says how long still."""
    sifted = Sifted([record(START, Story().start())], Sample(rate=0.0, keep_errors=True))
    assert sifted.tail.seconds_until_due() is None
    assert sifted.read() == []
    sifted.clock.now = 299.0
    assert sifted.tail.seconds_until_due() == 1.0
    assert sifted.read() == []
    sifted.clock.now = 300.0
    assert len(sifted.read()) == 1
    assert sifted.tail.seconds_until_due() is None


def test_open_for_longer_than_slow_is_kept_before_its_end() -> None:
    """It is slow already, however it ends."""
    story = Story()
    start = story.start()
    sifted = Sifted([record(START, start)])
    assert sifted.read() == []
    sifted.clock.now = 5.0
    assert len(sifted.read()) == 1
    assert len(sifted.read(record(END, story.end(start)))) == 1


@pytest.mark.parametrize(
    "bounds", [{"max_records": 2}, {"max_bytes": 500}, {"max_behind": 2}], ids=str
)
def test_more_than_the_bound_does_not_wait(bounds: dict[str, int]) -> None:
    """Of three open sessions the oldest is kept when too much waits, or lies behind it."""
    starts = [record(START, Story(1_790_000_000_000 + n).start()) for n in range(3)]
    assert Sifted(starts, **bounds).read()[:1] == starts[:1]
    assert Sifted(starts).read() == []


def test_a_flush_keeps_what_is_undecided() -> None:
    """What was recorded before a flush is delivered by it, not some time later."""
    story = Story()
    start = story.start()
    sifted = Sifted([record(START, start)])
    assert sifted.read() == []
    sifted.tail.release_all()
    assert len(sifted.read()) == 1
    assert sifted.read(record(START, story.start())) == []


def test_repeats_of_a_start_are_in_nobodys_books() -> None:
    """An ``open`` frame of a dropped session is dropped, and not counted."""
    story = Story()
    start = story.start()
    source = MemorySource(
        [record(START, start), record(OPEN, start), record(END, story.end(start))]
    )
    counted: list[int] = []
    assert TailSampler(source, NONE, counted.append).read(128, 1 << 20) is not None
    assert counted == [2]
    assert source.settled == 3


def test_what_is_kept_comes_in_slices() -> None:
    """A session of 300 records is not handed out in one piece: the sender's loop must breathe."""
    records = ended(Story().start(), events=298, error="no")
    source = MemorySource(records)
    tail = TailSampler(source, NONE, lambda count: None)
    sizes = []
    while (passage := tail.read(128, 1 << 20)) is not None:
        sizes.append(len(passage.records))
    assert sum(sizes) == 300
    assert max(sizes) <= 128


def test_with_holding_behind_it_sessions_still_come_whole() -> None:
    """For Humanloop a session is held until its end as well; a flush goes through both."""
    story = Story()
    kept, dropped = ended(story.start(), error="no"), ended(story.start())
    open_still = [record(START, story.start())]
    source = MemorySource([*dropped[:1], *kept[:2], *dropped[1:], *kept[2:], *open_still])
    held = SessionBuffer(TailSampler(source, NONE, lambda count: None))

    def read() -> list[Record]:
        found: list[Record] = []
        while (passage := held.read(128, 1 << 20)) is not None:
            found += passage.records
            if passage.records:
                held.acknowledge(passage.ends[-1])
        return found

    assert read() == kept
    assert held.seconds_until_due() is not None
    assert held.pending() == 1
    held.release_all()
    assert read() == open_still
    assert source.settled == len(source.records)


@pytest.mark.asyncio
async def test_a_lane_counts_and_a_flush_is_complete() -> None:
    """One session is kept, one is not: acked and sampled add up to what was recorded."""
    story = Story()
    kept, dropped = ended(story.start(), error="no"), ended(story.start())
    run = Run(lambda request: Reply(200), [*dropped, *kept], sample=NONE)
    ticket = run.flush()
    await run.until(lambda: ticket.done)
    assert (run.stats.acked, run.stats.sampled) == (len(kept), len(dropped))
    assert run.stats.pending == 0
    assert ticket.wait(0)
    await run.end()


@pytest.mark.asyncio
async def test_what_an_ended_process_left_is_kept() -> None:
    """Adopted spools are delivered whole: of most of their sessions the beginning is gone."""
    run = Run(lambda request: Reply(200), sample=NONE)
    run.lane.add(MemorySource(ended(Story().start()), adopted=True))
    await run.until(lambda: run.owner.finished)
    assert (run.stats.adopted_acked, run.stats.sampled) == (3, 0)
    await run.end()


def test_records_that_are_no_json_are_kept() -> None:
    """Whatever they are, it is not for us to lose them."""
    start = record(START, Story().start())
    broken = start._replace(body=start.body[:105] + b'"error":')
    assert Sifted([broken]).read() == []  # waits for its end like any other
    sifted = Sifted([event(1)._replace(body=event(1).body[:105] + b'"error":')])
    assert len(sifted.read()) == 1
