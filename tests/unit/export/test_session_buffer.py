"""Holding sessions until their end, and never moving a cursor past what is held."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from support.exporters import Story, late, record
from support.lane_harness import MemorySource

from sessiontrace.export.session_buffer import SessionBuffer
from sessiontrace.model.record import END, EVENT, START, Record, session_id_of
from sessiontrace.runtime import throttle
from sessiontrace.spool.frame import Position


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def read_all(held: SessionBuffer) -> list[tuple[list[Record], list[Position]]]:
    """Everything that is given out now, group by group."""
    found = []
    while (chunk := held.read(128, 1 << 20)) is not None:
        if chunk.records:
            found.append((list(chunk.records), list(chunk.ends)))
    return found


def interleaved(first: list[Record], second: list[Record]) -> list[Record]:
    mixed = []
    for one, other in zip(first, second, strict=True):
        mixed += [one, other]
    return mixed


def test_sessions_that_run_at_once_come_out_whole() -> None:
    """Two sessions mixed in one spool: each comes out with all its records, in their order."""
    story = Story()
    one, other = story.session(4), story.session(4)
    held = SessionBuffer(MemorySource(interleaved(one, other)))
    assert [records for records, _ in read_all(held)] == [one, other]


def test_a_session_that_has_not_ended_stays() -> None:
    """No end, no records; with the end they come."""
    records = Story().session(2)
    source = MemorySource(records[:-1])
    held = SessionBuffer(source)
    assert read_all(held) == []
    source.records.append(records[-1])
    assert [found for found, _ in read_all(held)] == [records]


def test_the_cursor_never_passes_what_is_held() -> None:
    """The second session is settled while the first still runs: the cursor waits before it."""
    story = Story()
    running, ended = story.session(1), story.session(1)
    source = MemorySource([running[0], *ended, *running[1:-1]])
    held = SessionBuffer(source)
    ((records, ends),) = read_all(held)
    assert records == ended
    held.acknowledge(ends[-1])
    assert source.settled == 0
    source.records.append(running[-1])
    ((_, ends),) = read_all(held)
    held.acknowledge(ends[1])
    assert source.settled == 1 + len(ended) + 1
    held.acknowledge(ends[-1])
    assert source.settled == len(source.records)


def test_a_flush_lets_go_of_everything() -> None:
    """hurry(): what is held comes out at once; what comes later is held again."""
    records = Story().session(3)
    source = MemorySource(records[:3])
    held = SessionBuffer(source)
    held.release_all()
    assert [found for found, _ in read_all(held)] == [records[:3]]
    source.records.append(records[3])
    assert read_all(held) == []


def test_after_a_minute_it_is_held_no_longer() -> None:
    """An open session's records wait for 60 s, and due() says how long still."""
    clock = Clock()
    records = Story().session(3)
    held = SessionBuffer(MemorySource(records[:2]), now=clock)
    assert held.seconds_until_due() is None
    assert read_all(held) == []
    clock.now = 45.0
    assert held.seconds_until_due() == 15.0
    assert read_all(held) == []
    clock.now = 60.0
    assert [found for found, _ in read_all(held)] == [records[:2]]
    assert held.seconds_until_due() is None


def test_more_than_the_bound_is_not_held() -> None:
    """Of three open sessions the longest held goes when there are too many records in all."""
    story = Story()
    starts = [[record(START, start), *more] for start, more in _open_sessions(story, 3, 4)]
    source = MemorySource([one for group in starts for one in group])
    held = SessionBuffer(source, max_records=12)
    assert [found for found, _ in read_all(held)] == [starts[0]]
    heavy = SessionBuffer(
        MemorySource(source.records), max_bytes=sum(len(r.body) for r in starts[0])
    )
    assert [found for found, _ in read_all(heavy)] == starts[:2]


def _open_sessions(story: Story, count: int, events: int) -> list[tuple[dict, list[Record]]]:
    found = []
    for _ in range(count):
        start = story.start()
        found.append((start, [record(EVENT, story.event(start)) for _ in range(events)]))
    return found


def test_a_conversation_waits_for_its_open_turns() -> None:
    """Two turns at once: the group goes when the second has ended."""
    story = Story()
    session_id = story.id()
    turns = [{**story.start(session_id), "event_id": story.id()} for _ in range(2)]
    records = [
        record(START, turns[0]),
        record(START, turns[1]),
        record(END, story.end(turns[0])),
        record(EVENT, story.event(turns[1])),
        record(END, story.end(turns[1])),
    ]
    source = MemorySource(records[:4])
    held = SessionBuffer(source)
    assert read_all(held) == []
    source.records.append(records[4])
    assert [found for found, _ in read_all(held)] == [records]


def test_a_late_score_is_not_held() -> None:
    """Its session is gone already: nothing to wait for."""
    story = Story()
    score = late(story.start(), feedback={"ok": True})
    assert [found for found, _ in read_all(SessionBuffer(MemorySource([score])))] == [[score]]


def test_an_adopted_spool_is_let_go_at_its_end() -> None:
    """Nothing more will come from a dead process; then it is finished."""
    records = Story().session(2)[:-1]
    source = MemorySource(records, adopted=True)
    held = SessionBuffer(source)
    ((found, ends),) = read_all(held)
    assert found == records
    assert not held.finished()
    held.acknowledge(ends[-1])
    assert held.finished()
    assert held.adopted
    assert held.replay


def test_whatever_the_order_everything_comes_out_once_and_the_cursor_is_true() -> None:
    """300 random mixtures: each record once, whole cursor at the end, never ahead of the truth."""
    for seed in range(300):
        draw = random.Random(seed)
        sessions = [Story(1_790_000_000_000 + n).session(draw.randrange(4)) for n in range(5)]
        source = MemorySource()
        held = SessionBuffer(source, max_records=draw.choice([4, 10_000]))
        queues = [list(one) for one in sessions]
        settled: set[bytes] = set()
        given: list[tuple[list[Record], list[Position]]] = []
        while any(queues) or given:
            waiting = [queue for queue in queues if queue]
            if waiting and draw.random() < 0.7:
                source.records.append(draw.choice(waiting).pop(0))
            given += read_all(held)
            if not waiting:
                held.release_all()
                given += read_all(held)
            if given and draw.random() < 0.5:
                records, ends = given.pop(0)
                held.acknowledge(ends[-1])
                settled.update(one.body for one in records)
                passed = source.records[: source.settled]
                assert all(one.body in settled for one in passed)
        everything = [one for session in sessions for one in session]
        assert len(settled) == len({one.body for one in everything})
        assert source.settled == len(everything)
        assert {session_id_of(one) for one in settled} == {
            session_id_of(session[0].body) for session in sessions
        }


def test_settling_a_long_session_leaves_the_application_its_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its ten thousand records are through at once, with the answer for its first one. Crossing
    them off takes milliseconds, in which the lane steps aside.
    """
    source = MemorySource(Story().session(1000))
    held = SessionBuffer(source)
    ((records, ends),) = read_all(held)
    pauses: list[float] = []
    monkeypatch.setattr(throttle, "_SLICE_S", 0.0)
    monkeypatch.setattr(throttle, "time", SimpleNamespace(sleep=pauses.append))
    held.acknowledge(ends[-1])
    assert source.pending() == 0
    assert len(pauses) >= len(records) // 32
