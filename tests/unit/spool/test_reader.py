"""Reading the own spool: routes, positions, what is settled and what is pending."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from support.spools import (
    EVENT_HEAD,
    MODES,
    START_HEAD,
    A,
    B,
    body,
    drain,
    fill,
    make,
    numbers,
    uid,
)

from sessiontrace.model.record import EVENT, OPEN, START
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool import maintenance
from sessiontrace.spool.frame import Position, head

ONLY_A = head(EVENT, b"a")
ONLY_B = head(EVENT, b"b")
BOTH = head(EVENT, b"a,b")


@pytest.mark.parametrize("io", MODES)
def test_each_destination_gets_what_is_routed_to_it(tmp_path: Path, io: str) -> None:
    """Three routes through one file: each reader sees its own records, in order, and both end at
    the same place.
    """
    spool = make(tmp_path, A, B, io=io)
    for number in range(1, 301):
        spool.append([EVENT_HEAD, ONLY_A, ONLY_B, BOTH][number % 4], body(number, pad=3000))
    a, b = spool.reader("a"), spool.reader("b")
    assert (a.pending(), b.pending()) == (225, 225)
    assert numbers(drain(a)) == [n for n in range(1, 301) if n % 4 != 2]
    assert numbers(drain(b)) == [n for n in range(1, 301) if n % 4 != 1]
    assert a.position() == b.position() == spool.end()
    assert (a.pending(), b.pending()) == (0, 0)
    assert spool.accepted() == {b"*": 75, b"a": 75, b"b": 75, b"a,b": 75}
    spool.close()


def test_records_for_others_are_settled_by_reading_over_them(tmp_path: Path) -> None:
    """A destination nobody writes to must not keep everybody's segments for ever."""
    spool = make(tmp_path, A, B)
    for number in range(1, 20):
        spool.append(ONLY_A, body(number, pad=50_000))
    drain(spool.reader("a"))
    spool.maintain()
    assert len(spool.segments) > 3
    assert drain(spool.reader("b")) == []
    assert spool.reader("b").position() == spool.end()
    spool.maintain()
    assert len(spool.segments) == 1
    spool.close()


def test_a_quiet_spool_lets_go_of_what_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user was deleted at the destination; half a segment of their texts must not stay here."""
    spool = make(tmp_path, A)
    assert spool.append(ONLY_A, body(1, pad=500))
    reader = spool.reader("a")

    def stored() -> bool:
        files = [path for path in tmp_path.rglob("*.seg") if path.is_file()]
        return any(b"x" * 400 in path.read_bytes() for path in files)

    now = maintenance.time.monotonic()
    monkeypatch.setattr(maintenance.time, "monotonic", lambda: now)
    spool.maintain()
    now += 31
    spool.maintain()
    assert stored(), "it is not delivered"
    assert numbers(drain(reader)) == [1]
    spool.maintain()
    assert not stored()
    assert spool.append(ONLY_A, body(2))
    assert numbers(drain(reader)) == [2]
    assert (reader.pending(), spool.accepted()) == (0, {b"a": 2})
    spool.maintain()
    assert len(spool.segments) == 1
    spool.close()


def test_reading_over_does_not_pass_what_is_in_flight(tmp_path: Path) -> None:
    """The lane still holds a record; what follows is for others. The cursor stays before it."""
    spool = make(tmp_path, A, B)
    spool.append(ONLY_A, body(1))
    reader = spool.reader("a")
    chunk = reader.read(10, 1000)
    assert chunk is not None
    spool.append(ONLY_B, body(2))
    assert reader.read(10, 1000) is None
    assert reader.position() < chunk.ends[0]
    reader.acknowledge(chunk.ends[0])
    assert reader.position() == spool.end()
    spool.close()


def test_chunks_respect_both_limits_but_always_hold_a_record(tmp_path: Path) -> None:
    """A batch limit of few bytes must not stop a large record for ever."""
    spool = make(tmp_path)
    fill(spool, 5, pad=1000)
    fill(spool, 1, start=6, pad=700_000)
    fill(spool, 5, start=7)
    reader = spool.reader("a")
    sizes = []
    while (chunk := reader.read(3, 2500)) is not None:
        sizes.append(numbers(chunk.records))
        reader.acknowledge(chunk.ends[-1])
    assert [n for size in sizes for n in size] == list(range(1, 12))
    assert [6] in sizes
    assert max(map(len, sizes)) == 3
    assert sizes[0] == [1, 2]
    spool.close()


def test_settling_part_of_a_chunk_moves_the_cursor_there(tmp_path: Path) -> None:
    """Batches and chunks need not have the same borders; older positions change nothing."""
    spool = make(tmp_path)
    fill(spool, 10)
    reader = spool.reader("a")
    first, second = reader.read(6, 1 << 20), reader.read(6, 1 << 20)
    assert first is not None
    assert second is not None
    for end, left in ((first.ends[1], 8), (first.ends[0], 8), (second.ends[1], 2)):
        reader.acknowledge(end)
        assert reader.pending() == left
    assert reader.position() == second.ends[1]
    reader.acknowledge(second.ends[-1])
    assert (reader.pending(), reader.position()) == (0, spool.end())
    spool.close()


def test_the_end_is_a_marker_for_a_flush(tmp_path: Path) -> None:
    """Everything before the marker is delivered when the position has reached it, later records
    or not.
    """
    spool = make(tmp_path)
    fill(spool, 3)
    marker = spool.end()
    fill(spool, 3, start=4)
    reader = spool.reader("a")
    chunk = reader.read(3, 1 << 20)
    assert chunk is not None
    assert reader.position() < marker
    reader.acknowledge(chunk.ends[-1])
    assert reader.position() == marker < spool.end()
    spool.close()


def test_repeated_starts_are_not_read_twice(tmp_path: Path) -> None:
    """The sender saw the session begin; repeats in later segments are for adopters."""
    spool = make(tmp_path)
    spool.append(START_HEAD, body(1, session=1))
    fill(spool, 20, start=2, pad=50_000)
    assert len(spool.segments) > 3
    records = drain(spool.reader("a"))
    assert [r.kind for r in records] == [START] + [EVENT] * 20
    spool.close()


def test_repeated_starts_are_read_after_a_gap(tmp_path: Path) -> None:
    """The segment with the session's start was evicted before anybody read it: the repeat stands
    in for it, once.
    """
    spool = make(tmp_path, quota=1 << 20)
    spool.append(START_HEAD, body(1, session=1))
    fill(spool, 60, start=2, pad=50_000)
    spool.maintain()
    reader = spool.reader("a")
    lost = reader.evicted
    assert lost > 10
    records = drain(reader)
    assert [r.kind for r in records][:2] == [OPEN, EVENT]
    assert [r.kind for r in records].count(OPEN) == 1
    assert numbers(records)[1:] == list(range(lost + 1, 62))
    assert reader.pending() == 0
    spool.close()


def test_a_passed_segment_is_deleted_only_when_all_have_passed(tmp_path: Path) -> None:
    """The slow destination decides how long the data stays, not the quick one."""
    spool = make(tmp_path, A, B)
    fill(spool, 20, pad=50_000)
    drain(spool.reader("a"))
    spool.maintain()
    assert [s.number for s in spool.segments] == [1, 2, 3, 4]
    b = spool.reader("b")
    while b.position() < (3, 0):
        chunk = b.read(1, 1)
        assert chunk is not None
        b.acknowledge(chunk.ends[0])
    spool.maintain()
    assert [s.number for s in spool.segments] == [3, 4]
    assert spool.directory is not None
    assert len(list(spool.directory.glob("*.seg"))) == 2 + (spool.segments.spare is not None)
    spool.close()


def test_a_reader_keeps_its_books_while_segments_go(tmp_path: Path) -> None:
    """Whatever is deleted, accepted = settled + evicted + pending."""
    spool = make(tmp_path, A, B)
    a, b = spool.reader("a"), spool.reader("b")
    total = 0
    for step in range(40):
        fill(spool, 10, start=total + 1, pad=10_000)
        total += 10
        spool.maintain()
        for reader in (a, b) if step % 2 else (a,):
            chunk = reader.read(7, 1 << 20)
            assert chunk is not None
            reader.acknowledge(chunk.ends[-1])
            assert reader.settled_count + reader.pending() == total
    assert spool.accepted() == {b"*": total}
    assert a.pending() < b.pending()
    spool.close()


def test_nothing_to_read_gives_nothing(tmp_path: Path) -> None:
    """Before the first record, and again after the last."""
    spool = make(tmp_path)
    reader = spool.reader("a")
    assert reader.read(10, 10) is None
    assert (reader.position(), reader.pending(), reader.finished()) == (Position(0, 0), 0, False)
    fill(spool, 1)
    assert numbers(drain(reader)) == [1]
    assert reader.read(10, 10) is None
    assert (reader.adopted, reader.replay, reader.spool_id) == (False, False, spool.id)
    spool.close()


def test_what_is_under_way_is_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    """A thousand records wait for a backend's answer. Were each of them an object with others in
    it, the collector would run through the whole application because of them, 20 ms at a time.
    """
    spool = make(tmp_path)
    fill(spool, 1000)
    reader = spool.reader("a")
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        held = []
        while (chunk := reader.read(1000, 1 << 22)) is not None:
            held.append(chunk)
        more = len(gc.get_objects()) - before
    finally:
        gc.enable()
    assert sum(len(chunk.records) for chunk in held) == 1000
    assert more < 30 * len(held)
    spool.close()


def test_positions_in_columns_are_a_sequence_of_positions(tmp_path: Path) -> None:
    """A lane compares, slices and passes them on as it would a list."""
    spool = make(tmp_path)
    fill(spool, 20)
    chunk = spool.reader("a").read(20, 1 << 20)
    assert chunk is not None
    ends = list(chunk.ends)
    assert all(isinstance(end, Position) for end in ends)
    assert ends == sorted(set(ends))
    assert (chunk.ends[-1], list(chunk.ends[3:5])) == (ends[-1], ends[3:5])
    assert chunk.ends == ends
    assert ends[-1] == spool.end()
    spool.close()


def overwrite(path: Path, text: bytes, replacement: bytes) -> None:
    """Change bytes of a file in place, as a disk or another program does."""
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(text))
        file.write(replacement)


@pytest.mark.parametrize("io", ["map", "write"])
@pytest.mark.parametrize("sealed", [True, False])
def test_A26_a_changed_letter_is_skipped_and_counted(tmp_path: Path, io: str, sealed: bool) -> None:
    """A letter of one record changes on the disk before the process reads it back. The record would
    arrive wrong; it is skipped and counted, and every other record arrives.
    """
    counters = Counters()
    spool = make(tmp_path, A, B, io=io, counters=counters)
    fill(spool, 100, pad=5000 if sealed else 500)
    spool.maintain()
    assert len(spool.segments) > 1 or not sealed
    path = spool.segments[0].path
    assert path is not None
    overwrite(path, uid(7).encode(), b"7" * 36)
    for name in "ab":
        reader = spool.reader(name)
        assert numbers(drain(reader)) == [n for n in range(1, 101) if n != 7]
        assert (reader.evicted, reader.pending()) == (1, 0)
        assert reader.position() == spool.end()
    assert counters.noted["corrupt_record"] == 1
    spool.close()


@pytest.mark.parametrize(
    "garbage", [b"\n", b"\n\n \n", b"\xff" * 2000, b"\0" * 2000, b"x\n" * 1000, b" " * 900]
)
@pytest.mark.parametrize("route", [EVENT_HEAD, ONLY_A])
def test_A26_garbage_in_a_segment_costs_only_what_it_covers(
    tmp_path: Path, garbage: bytes, route: bytes
) -> None:
    """Another program writes over a part of a segment. Reading goes on behind it, at the next whole
    record, and what is missing is counted exactly once the segment is read to its end.
    """
    counters = Counters()
    spool = make(tmp_path, A, B, io="write", counters=counters)
    for number in range(1, 401):
        assert spool.append(route, body(number, pad=900))
    spool.maintain()
    path = spool.segments[0].path
    assert path is not None
    assert spool.segments[0].sealed
    overwrite(path, uid(20).encode(), garbage)
    reader = spool.reader("a")
    numbers_read = numbers(drain(reader, most=50))
    assert set(range(24, 401)) <= set(numbers_read)
    assert 20 not in numbers_read
    assert reader.evicted == 400 - len(numbers_read) < 5
    assert reader.pending() == 0
    assert counters.noted["corrupt_record"] > 0
    spool.close()


def test_A26_a_truncated_segment_is_survived_where_no_file_is_mapped(tmp_path: Path) -> None:
    """Another program truncates the segment that records go to. What it cut off is counted as lost,
    and the records after that arrive.
    """
    spool = make(tmp_path, io="write")
    fill(spool, 10)
    path = spool.segments[0].path
    assert path is not None
    with path.open("r+b") as file:
        file.truncate(700)
    fill(spool, 10, start=11)
    reader = spool.reader("a")
    before = numbers(drain(reader))
    fill(spool, 10, start=21)
    after = numbers(drain(reader))
    assert after[-10:] == list(range(21, 31))
    assert len(before) + len(after) + reader.evicted == 30
    assert reader.pending() == 0
    spool.close()
