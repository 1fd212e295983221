"""Room: what gives way when there is too much, and that every loss is counted exactly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.spools import (
    EVENT_HEAD,
    A,
    B,
    body,
    die,
    drain,
    fill,
    left_behind,
    make,
    numbers,
    recovery,
    snapshot,
)

from sessiontrace.model.record import EVENT
from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool.frame import Consumer, head
from sessiontrace.spool.spool import Spool

QUOTA = 1 << 20
STRANGER = Consumer("stranger", "local", "fingerprint-s")


def used(root: Path) -> int:
    return sum(path.stat().st_size for path in root.glob("*/*.seg"))


def test_A08_the_oldest_segments_go_and_each_destination_counts_its_own_loss(
    tmp_path: Path,
) -> None:
    """Both backends are down and the disk share is full. The oldest records go; a record routed to
    one destination is that one's loss only; the newest are kept.
    """
    counters = Counters()
    spool = make(tmp_path, A, B, quota=QUOTA, counters=counters)
    heads = [EVENT_HEAD, head(EVENT, b"b"), EVENT_HEAD]
    for number in range(300):
        spool.append(heads[number % 3], body(number, pad=10_000))
    spool.maintain()
    a, b = spool.reader("a"), spool.reader("b")
    left_a, left_b = numbers(drain(a)), numbers(drain(b))
    first = left_b[0]
    assert left_b == list(range(first, 300))
    assert left_a == [n for n in left_b if n % 3 != 1]
    assert b.evicted == first > 100
    assert a.evicted == len([n for n in range(first) if n % 3 != 1])
    assert (a.pending(), b.pending()) == (0, 0)
    assert counters.noted["evicted_segment"] > 0
    assert used(tmp_path) <= QUOTA + (512 << 10)
    spool.close()


def test_what_was_settled_or_is_in_flight_is_not_counted_as_evicted(tmp_path: Path) -> None:
    """Five records are acknowledged, five more are with the lane when their segment goes: those in
    flight can still be delivered, so they are neither lost nor counted twice.
    """
    spool = make(tmp_path, quota=QUOTA)
    fill(spool, 24, pad=10_000)
    reader = spool.reader("a")
    first, second = reader.read(5, 1 << 20), reader.read(5, 1 << 20)
    assert first is not None
    assert second is not None
    reader.acknowledge(first.ends[-1])
    fill(spool, 200, start=25, pad=10_000)
    spool.maintain()
    assert spool.segments[0].number > 1
    before = reader.evicted
    assert reader.settled_count == 5
    reader.acknowledge(second.ends[-1])
    assert reader.settled_count == 10
    rest = numbers(drain(reader))
    assert rest == list(range(225 - len(rest), 225))
    assert before + 10 + len(rest) == 224
    assert reader.pending() == 0
    spool.close()


def test_what_is_still_in_flight_from_an_evicted_segment_is_lost_at_close(tmp_path: Path) -> None:
    """The process ends before the lane could deliver: now nobody has these records any more."""
    spool = make(tmp_path, quota=QUOTA)
    fill(spool, 20, pad=10_000)
    reader = spool.reader("a")
    chunk = reader.read(5, 1 << 20)
    assert chunk is not None
    fill(spool, 200, start=21, pad=10_000)
    spool.maintain()
    evicted, pending = reader.evicted, reader.pending()
    spool.close()
    assert (reader.evicted, reader.pending()) == (evicted + 5, pending - 5)


def test_a_segment_evicted_while_it_is_read_is_counted_once(tmp_path: Path) -> None:
    """The worker takes a segment away between the reader's copy and its books: the records are
    then evicted, and not handed out as well.
    """
    spool = make(tmp_path)
    fill(spool, 30, pad=20_000)
    reader = spool.reader("a")
    oldest = spool.segments[0]
    held = len(oldest.read(oldest.start, oldest.committed).split(b"\n")) - 1
    real = oldest.read

    class Slow:
        def __call__(self, start: int, stop: int) -> bytes:
            raw = real(start, stop)
            spool.segments.forget(oldest, evicted=True)
            oldest.delete()
            return raw

    class Evicting(type(oldest)):  # type: ignore[misc]
        __slots__ = ()
        read = Slow()

    oldest.__class__ = Evicting
    found = numbers(drain(reader))
    assert reader.evicted == held
    assert found == list(range(held + 1, 31))
    spool.close()


def test_memory_segments_are_bounded(tmp_path: Path) -> None:
    """Without a disk the program's memory is all there is: the quota holds for it at once, not
    only when the worker comes round.
    """
    counters = Counters()
    spool = make(None, quota=QUOTA, counters=counters)
    for number in range(1000):
        assert spool.append(EVENT_HEAD, body(number, pad=10_000))
        assert sum(segment.size for segment in spool.segments) <= QUOTA
    reader = spool.reader("a")
    left = numbers(drain(reader))
    assert left == list(range(1000 - len(left), 1000))
    assert reader.evicted == 1000 - len(left)
    assert len(left) > 25
    assert counters.noted["evicted_segment"] > 10
    spool.close()


def test_other_processes_count_and_are_left_alone(tmp_path: Path) -> None:
    """The quota is over the root. A living neighbour keeps all it has; we give way with ours."""
    neighbour = make(tmp_path, A)
    fill(neighbour, 90, pad=10_000)
    neighbour.maintain()
    spool = make(tmp_path, A, quota=QUOTA)
    fill(spool, 90, pad=10_000)
    spool.maintain()
    assert spool.reader("a").evicted > 50
    assert neighbour.reader("a").evicted == 0
    assert numbers(drain(neighbour.reader("a"))) == list(range(1, 91))
    neighbour.close()
    spool.close()


def test_orphans_nobody_here_can_deliver_give_way_first(tmp_path: Path) -> None:
    """Data for a key that is no longer configured must not fill the disk for ever, nor push out
    what can be delivered; what goes is counted.
    """
    counters = Counters()
    orphan = left_behind(tmp_path, 90, STRANGER, pad=10_000)
    for path in orphan.iterdir():  # the clock of files may not tell two writers in a row apart
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 60 * 10**9))
    ours = left_behind(tmp_path, 30, A, pad=10_000)
    spool = make(tmp_path, A, quota=QUOTA, counters=counters)
    fill(spool, 30, pad=10_000)
    kept = snapshot(ours)
    spool.maintain()
    assert 0 < counters.noted["evicted_orphaned"] < 90
    assert spool.reader("a").evicted == 0
    assert snapshot(ours) == kept
    left = sum(raw.count(b"\n") - 1 for n, raw in snapshot(orphan).items() if n.endswith(".seg"))
    assert left == 90 - counters.noted["evicted_orphaned"]
    spool.close()


def test_A27_the_oldest_goes_first_whoever_wrote_it(tmp_path: Path) -> None:
    """Runs that were killed left records for a destination of ours, which is down. They are older
    than what this run records, so they give way, and this run keeps all it has.
    """
    counters = Counters()
    orphans = [left_behind(tmp_path, 20, A, pad=10_000) for _ in range(10)]
    spool = make(tmp_path, A, quota=QUOTA, counters=counters)
    fill(spool, 60, pad=10_000)
    spool.maintain()
    assert spool.reader("a").evicted == 0
    assert numbers(drain(spool.reader("a"), settle=False)) == list(range(1, 61))
    assert counters.noted["evicted_orphaned"] >= 160
    assert used(tmp_path) <= QUOTA + (512 << 10)
    left = sum(len(drain(one.readers["a"])) for one in recovery(tmp_path, A).scan())
    assert left + counters.noted["evicted_orphaned"] == 200
    assert not orphans[0].exists()
    spool.close()


def test_A27_what_this_process_delivers_from_gives_way_too(tmp_path: Path) -> None:
    """The spools that this process has taken over from killed runs count as all others do. What
    goes of them is counted once, and the rest is delivered.
    """
    counters = Counters()
    for _ in range(6):
        left_behind(tmp_path, 30, A, pad=10_000)
    taker = recovery(tmp_path, A, counters=counters)
    spools = taker.scan()
    first = spools[0].readers["a"].read(10, 1 << 20)
    assert first is not None
    spool = make(tmp_path, A, quota=QUOTA, counters=counters, recovered=lambda: taker.spools)
    fill(spool, 60, pad=10_000)
    spool.maintain()
    assert spool.reader("a").evicted == 0
    lost = counters.noted["evicted_orphaned"]
    assert lost == sum(one.readers["a"].evicted for one in spools) > 100
    left = sum(len(drain(one.readers["a"])) for one in spools)
    assert left + len(first.records) + lost == 180
    assert all(one.readers["a"].pending() == 0 for one in spools[1:])
    assert used(tmp_path) <= QUOTA + (512 << 10)
    taker.release()
    spool.close()


def test_A27_killed_runs_leave_no_zeros_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each killed run leaves two prepared files of 256 KiB and more, nearly empty. The next run
    gives the disk back what no record uses, whatever destination waits; nothing is evicted.
    """
    runs = [make(tmp_path, STRANGER if number % 2 else A, io="map") for number in range(40)]
    for run in runs:
        fill(run, 5)
        run.maintain()
    for run in runs:
        die(run)
    assert used(tmp_path) > 10 * QUOTA
    counters = Counters()
    spool = make(tmp_path, A, quota=QUOTA, counters=counters)
    fill(spool, 5)
    spool.maintain()
    assert used(tmp_path) <= QUOTA
    assert "evicted_segment" not in counters.noted
    assert "quota" not in caplog.text
    assert len(recovery(tmp_path, A).scan()) == 20
    spool.close()


def test_A27_evictions_are_logged_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last line a user saw said that records are kept: so one must say when that ends."""
    log.reset()
    spool = make(tmp_path, A, quota=QUOTA)
    for _ in range(5):
        fill(spool, 60, pad=10_000)
        spool.maintain()
    assert spool.reader("a").evicted > 0
    lines = [record.getMessage() for record in caplog.records if "evicted" in record.getMessage()]
    assert len(lines) == 1
    assert "spool_quota=1048576" in lines[0]
    spool.close()


def test_an_orphan_evicted_whole_is_removed(tmp_path: Path) -> None:
    """Nothing is left of it that a later run would have to look at."""
    orphan = left_behind(tmp_path, 20, STRANGER, pad=10_000)
    spool = make(tmp_path, A, quota=QUOTA)
    fill(spool, 110, pad=10_000)
    spool.maintain()
    assert not orphan.exists()
    assert recovery(tmp_path, STRANGER).scan() == []
    spool.close()


def test_segments_are_no_larger_than_the_quota_can_bear(tmp_path: Path) -> None:
    """With a small quota an 8 MiB segment could never be evicted in part."""

    def largest(spool: Spool) -> int:
        return max(segment.size for segment in spool.segments)

    spool = make(tmp_path, quota=4 << 20)
    for number in range(120):
        spool.append(EVENT_HEAD, body(number, pad=100_000))
        spool.maintain()
    assert largest(spool) == 1 << 20
    spool.close()


def test_A33_what_a_clock_that_was_ahead_dated_goes_first(tmp_path: Path) -> None:
    """A run was killed while the clock was a year ahead. As the newest of all its records would
    stay for a year, and each record of today would give way to them.
    """
    orphan = left_behind(tmp_path, 60, A, pad=10_000)
    for path in orphan.iterdir():
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 365 * 86_400 * 10**9))
    counters = Counters()
    spool = make(tmp_path, A, quota=QUOTA, counters=counters)
    fill(spool, 60, pad=10_000)
    spool.maintain()
    assert spool.reader("a").evicted == 0
    assert counters.noted["evicted_orphaned"] > 0
    spool.close()
