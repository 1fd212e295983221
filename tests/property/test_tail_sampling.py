"""Tail sampling under any mixture of sessions, reasons, retries and flushes: the books balance."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as draw
from support.exporters import Story, late, record
from support.lane_harness import MemorySource

from sessiontrace.export.tail_sampling import TailSampler
from sessiontrace.model.record import END, EVENT, START, Record, session_id_of
from sessiontrace.model.sampling import Sample, is_sampled

SAMPLES = draw.builds(
    Sample,
    rate=draw.sampled_from([0.0, 0.5]),
    keep_errors=draw.booleans(),
    slower_than=draw.sampled_from([None, 2.0]),
    score_below=draw.sampled_from([0.5, {"helpful": 0.5}]),
)
ENDS = draw.sampled_from(
    [{}, {"error": "no"}, {"took": 3000}, {"metrics": {"helpful": 0}}, {"metrics": {"cost": 0.1}}]
)
LIVES = draw.lists(draw.tuples(draw.integers(0, 4), ENDS, draw.booleans()), max_size=6)
STEPS = draw.lists(draw.integers(0, 7), max_size=60)


def life(number: int, events: int, end: dict[str, object], scored: bool) -> list[Record]:
    story = Story(1_790_000_000_000 + number)
    start = story.start()
    steps = [record(EVENT, story.event(start)) for _ in range(events)]
    after = [late(start, metrics={"helpful": 0.1})] if scored else []
    return [record(START, start), *steps, record(END, story.end(start, **end)), *after]  # type: ignore[arg-type]


def matters(sample: Sample, end: dict[str, object]) -> bool:
    below = sample.score_below
    scores = end.get("metrics", {})
    assert isinstance(scores, dict)
    low = [
        n for n, v in scores.items() if v < (below.get(n, 0) if isinstance(below, dict) else 0.5)
    ]
    slow = sample.slower_than is not None and end.get("took") == 3000
    return bool(low) or slow or (sample.keep_errors and "error" in end)


@settings(deadline=None)
@given(SAMPLES, LIVES, STEPS, draw.sampled_from([3, 10_000]))
def test_every_session_is_sent_whole_or_counted_whole(
    sample: Sample, lives: list[tuple[int, dict[str, object], bool]], steps: list[int], most: int
) -> None:
    """Sessions run at once, replies come when they like, and now and then somebody flushes. After
    each step ``routed = acked + sampled + pending``, and the cursor never passes what is owed. At
    the end each session arrived whole or not at all; what matters did; and without flushes and
    bounds the rest arrived exactly if the rate chose it.
    """
    queues = [life(number, *one) for number, one in enumerate(lives)]
    ends = [one[1] for one in lives]
    everything = [list(queue) for queue in queues]
    source, sampled = MemorySource(), [0]

    def count(records: int) -> None:
        sampled[0] += records

    tail = TailSampler(source, sample, count, max_records=most)
    given_out: list[Record] = []
    under_way: list[tuple[int, object]] = []
    acked, flushed = 0, False

    def read() -> None:
        while (passage := tail.read(2, 1 << 20)) is not None:
            given_out.extend(passage.records)
            if passage.records:
                under_way.append((len(passage.records), passage.ends[-1]))

    for step in [*steps, *([0] * 100)]:
        waiting = [queue for queue in queues if queue]
        if step == 7:
            tail.release_all()
            flushed = True
        elif step == 6 and under_way:
            number, end = under_way.pop(0)
            acked += number
            tail.acknowledge(end)  # type: ignore[arg-type]
        elif waiting:
            source.records.append(waiting[step % len(waiting)].pop(0))
        read()
        assert acked + sampled[0] + tail.pending() == len(source.records)
        assert source.settled <= acked + sampled[0]
    while under_way:
        number, end = under_way.pop(0)
        acked += number
        tail.acknowledge(end)  # type: ignore[arg-type]
    assert not any(queues)
    assert tail.pending() == 0
    assert source.settled == len(source.records) == acked + sampled[0]

    arrived = {one.body for one in given_out}
    for records, end in zip(everything, ends, strict=True):
        came = [one.body in arrived for one in records]
        assert all(came) or not any(came)
        session = session_id_of(records[0].body).decode()
        wanted = (
            matters(sample, end) or is_sampled(session, sample.rate) or not sample.decides_at_end
        )
        if sample.decides_at_end and (wanted or (most > 100 and not flushed)):
            assert came[0] == wanted
