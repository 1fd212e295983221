"""Taking records in: order, books, growth, and calls from the most awkward places."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import stat
import threading
from pathlib import Path
from types import FrameType

import pytest
from support.patience import patience
from support.spools import (
    END_HEAD,
    EVENT_HEAD,
    MODES,
    START_HEAD,
    UPDATE_HEAD,
    A,
    B,
    FailingFiles,
    body,
    die,
    drain,
    fill,
    make,
    number_of,
    numbers,
    recovered,
)

from sessiontrace.model.record import END, EVENT, START
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool.frame import MAX_BODY, Position, decode, decode_header, head
from sessiontrace.spool.segment import LARGEST, SMALLEST
from sessiontrace.spool.spool import Spool


@pytest.mark.parametrize("io", MODES)
def test_records_come_out_as_they_went_in(tmp_path: Path, io: str) -> None:
    """Mapped, written or in memory, the same records come back in the same order, byte by byte."""
    spool = make(tmp_path, io=io)
    sent = [body(n, pad=n % 700) for n in range(1, 3000)]
    for one in sent:
        assert spool.append(EVENT_HEAD, one)
    assert spool.mode == io

    assert [record.body for record in drain(spool.reader("a"))] == sent
    assert spool.reader("a").position() == spool.end()
    assert spool.accepted() == {b"*": len(sent)}
    spool.close()


def test_written_and_mapped_segments_hold_the_same_bytes(tmp_path: Path) -> None:
    """Where a file system cannot be mapped safely the same frames are written; only the spool's
    own id, which seeds the checksums, tells the files apart.
    """
    found = []
    for io in ("map", "write"):
        spool = make(tmp_path, io=io)
        spool.id = spool.segments.id = spool._allocator._id = f"{0:016x}"
        fill(spool, 40, pad=50)
        assert spool.directory is not None
        raw = (spool.directory / "00000001.seg").read_bytes()
        found.append(raw[: spool.end().offset])
        assert not raw[spool.end().offset :].strip(b"\0")
        spool.reader("a").acknowledge(spool.end())
        drain(spool.reader("a"))
        spool.close()
    assert found[0] == found[1]


def test_nothing_touches_the_disk_before_the_first_record(tmp_path: Path) -> None:
    """A program that imports and configures but never traces leaves no trace of its own."""
    root = tmp_path / "root"
    opened: list[str] = []
    spool = make(root, on_open=lambda: opened.append(spool.mode))
    spool.maintain()
    assert (spool.mode, spool.directory, spool.end()) == ("unopened", None, Position(0, 0))
    assert not root.exists()

    fill(spool, 3)
    assert opened == [spool.mode]
    assert spool.mode in {"map", "write"}
    spool.close()


def test_directories_and_files_are_private(tmp_path: Path) -> None:
    """Prompts are nobody else's business: 0700 and 0600, whatever the umask was."""
    old = os.umask(0)
    try:
        spool = make(tmp_path / "root")
        fill(spool, 1)
        spool.maintain()
        drain(spool.reader("a"))
        spool.maintain()
    finally:
        os.umask(old)
    assert spool.directory is not None
    found = {p.name: stat.S_IMODE(p.stat().st_mode) for p in spool.directory.iterdir()}
    assert {"lock", "00000001.seg", "a.cursor"} <= set(found)
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o700
    spool.close()


def test_a_body_over_the_limit_is_refused_and_counted(tmp_path: Path) -> None:
    """A single monstrous record must not eat the spool; the largest allowed one still fits."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    assert not spool.append(EVENT_HEAD, b"x" * (MAX_BODY + 1))
    assert counters.dropped == {"too_large": 1}
    assert spool.append(EVENT_HEAD, b"x" * MAX_BODY)
    assert [len(record.body) for record in drain(spool.reader("a"))] == [MAX_BODY]
    spool.close()


def test_a_record_offered_after_close_is_counted(tmp_path: Path) -> None:
    """Late events at exit are not silently gone."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    fill(spool, 1)
    spool.close()
    spool.close()
    assert not spool.append(EVENT_HEAD, body(2))
    assert counters.dropped == {"closed": 1}


def test_a_fault_of_ours_is_counted_and_never_raised(tmp_path: Path) -> None:
    """Whatever is wrong within append, the user's call goes on."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    assert not spool.append(b"no head", b"{}")
    assert not spool.append(EVENT_HEAD, None)  # type: ignore[arg-type]
    assert counters.dropped == {"spool_error": 2}
    fill(spool, 1)
    assert numbers(drain(spool.reader("a"))) == [1]
    spool.close()


def test_a_failing_callback_costs_no_record(tmp_path: Path) -> None:
    """When the threads cannot be started the record that asked for them is still taken."""

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    counters = Counters()
    spool = make(tmp_path, counters=counters, on_open=refuse)
    fill(spool, 2)
    assert not counters.dropped
    spool.close()


@pytest.mark.parametrize("io", MODES)
def test_segments_double_and_spares_are_used(tmp_path: Path, io: str) -> None:
    """The worker stays one segment ahead, each twice the last up to 8 MiB, so that the user's
    thread never makes one itself.
    """
    counters = Counters()
    spool = make(tmp_path, io=io, counters=counters)
    sizes: dict[int, int] = {}
    number = 0
    while len(sizes) < 7:
        number += 1
        assert spool.append(EVENT_HEAD, body(number, pad=100_000))
        sizes[spool.segments[-1].number] = spool.segments[-1].size
        if spool.segments.spare is None:
            spool.maintain()
    assert list(sizes.values()) == [SMALLEST << n for n in range(6)] + [LARGEST]
    assert "segment_without_spare" not in counters.noted
    assert numbers(drain(spool.reader("a"))) == list(range(1, number + 1))
    spool.close()


def test_without_a_spare_the_caller_makes_a_small_segment(tmp_path: Path) -> None:
    """The worker may be late; the record is taken all the same, and the wait is counted."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    woken: list[int] = []
    spool.segments.on_roll = lambda: woken.append(spool.segments[-1].number)
    fill(spool, 20, pad=50_000)
    assert counters.noted == {"segment_without_spare": 3}
    assert {segment.size for segment in spool.segments} == {SMALLEST}
    assert woken == [1, 2, 3, 4]
    assert numbers(drain(spool.reader("a"))) == list(range(1, 21))
    spool.close()


def test_a_spare_too_small_for_a_record_is_passed_over(tmp_path: Path) -> None:
    """A record of nearly 1 MiB does not fit the next segment of 512 KiB: order is still kept."""
    spool = make(tmp_path)
    fill(spool, 1)
    spool.maintain()
    assert spool.append(EVENT_HEAD, body(2, pad=MAX_BODY - 300))
    fill(spool, 1, start=3)
    assert [segment.number for segment in spool.segments] == [1, 2, 3]
    assert numbers(drain(spool.reader("a"))) == [1, 2, 3]
    spool.maintain()
    assert [segment.number for segment in spool.segments] == [3]
    spool.close()


class _Slow(FailingFiles):
    """While the worker makes a spare, the user's thread fills its segment and makes the next."""

    spool: Spool
    image: Path

    def create(self, path: Path) -> int:
        fd = super().create(path)
        if "create" in self.calls[:-1] and path.name == "00000002.seg":
            fill(self.spool, 10, start=2, pad=50_000)
        return fd

    def rename(self, old: Path, new: Path) -> None:
        late = old.suffix == ".seg"
        if late:
            self._may("rename")
        super().rename(old, new)
        if late:
            shutil.copytree(new.parent.parent, self.image)


@pytest.mark.not_under("ntfs", reason="an open file keeps its name and its directory")
@pytest.mark.parametrize("io", ["map", "write"])
def test_a_spare_that_comes_too_late_goes_behind_what_came_meanwhile(
    tmp_path: Path, io: str
) -> None:
    """A spare with a lower number than the active segment would never be read, and to make another
    takes as long again: a busy program would outrun the worker for good, and make every segment
    itself. So the late one gets the next number, in its name, its header and its checksums.
    """
    files = _Slow()
    files.image = tmp_path / "killed"
    root = tmp_path / "root"
    files.spool = spool = make(root, io=io, files=files)
    fill(spool, 1)
    spool.maintain()
    assert [segment.number for segment in spool.segments] == [1, 3]
    spare = spool.segments.spare
    assert spare is not None
    assert spool.directory is not None
    assert (spare.number, spare.path) == (4, spool.directory / "00000004.seg")
    made = files.calls.count("create")
    fill(spool, 5, start=12, pad=50_000)
    assert spool.segments[-1] is spare
    assert files.calls.count("create") == made
    assert numbers(drain(spool.reader("a"), settle=False)) == list(range(1, 17))
    die(spool)
    counters = Counters()
    with recovered(root, counters=counters) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 17))
    with recovered(files.image, counters=counters) as one:  # killed: new name, old header
        assert numbers(drain(one.readers["a"])) == list(range(1, 12))
    assert not counters.noted
    assert not [*root.iterdir(), *files.image.iterdir()]


def test_a_late_spare_whose_file_cannot_be_renamed_is_thrown_away(tmp_path: Path) -> None:
    """As where a file that is open has its name for good: then it was made for nothing."""
    files = _Slow()
    files.failing = {"rename"}
    files.spool = spool = make(tmp_path, files=files, io="map")
    fill(spool, 1)
    spool.maintain()
    assert spool.segments.spare is None
    assert not (tmp_path / spool.id / "00000002.seg").exists()
    spool.maintain()
    fill(spool, 30, start=12, pad=50_000)
    assert numbers(drain(spool.reader("a"))) == list(range(1, 42))
    assert spool.mode == "map"
    spool.close()


def test_sealed_segments_are_cut_to_what_they_hold(tmp_path: Path) -> None:
    """Space that was reserved and not used goes back to the disk."""
    spool = make(tmp_path)
    fill(spool, 10, pad=60_000)
    spool.maintain()
    assert spool.directory is not None
    for segment in list(spool.segments)[:-1]:
        path = spool.directory / f"{segment.number:08d}.seg"
        assert path.stat().st_size == segment.committed < segment.size
        assert path.read_bytes().endswith(b"\n")
        assert segment.fd == -1
        assert segment.view is None
    spool.close()


def test_a_new_segment_repeats_the_sessions_still_open(tmp_path: Path) -> None:
    """The segment in which a session began may be gone when its process dies; each later one says
    again what is open, and what has ended is not repeated.
    """
    spool = make(tmp_path, A, B)
    route = head(START, b"b")
    spool.append(START_HEAD, body(1))
    spool.append(route, body(2))
    spool.append(START_HEAD, body(3))
    spool.append(END_HEAD, body(1))
    spool.segments.roll(0)
    segment = spool.segments[-1]
    lines = segment.read(0, segment.committed).split(b"\n")[:-1]
    header = decode_header(lines[0])
    assert header is not None
    assert (header.spool, header.segment, header.consumers) == (spool.id, 2, (A, B))
    repeated = [decode(line, segment.seed) for line in lines[1:]]
    assert [(r.kind, r.route, number_of(r)) for r in repeated if r] == [
        (b"open", b"b", 2),
        (b"open", b"*", 3),
    ]
    assert spool.accepted() == {b"*": 3, b"b": 1}
    assert [r.kind for r in drain(spool.reader("a"))] == [START, START, END]
    spool.close()


def test_sessions_nobody_ends_do_not_pile_up(tmp_path: Path) -> None:
    """A leak of unended sessions is bounded: 4 MiB of starts are repeated, older ones forgotten."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    for number in range(100):
        spool.append(START_HEAD, body(number, pad=100_000))
    assert counters.noted["open_session_forgotten"] == 100 - len(spool.segments.open_sessions)
    assert 35 < len(spool.segments.open_sessions) < 45
    spool.maintain()
    assert spool.segments.spare is not None
    assert spool.segments.spare.size >= spool.segments.open_sessions.size
    drain(spool.reader("a"))
    spool.close()


def test_updates_count_and_open_no_session(tmp_path: Path) -> None:
    """A late score is a record like any other."""
    spool = make(tmp_path)
    spool.append(UPDATE_HEAD, body(1))
    assert spool.accepted() == {b"*": 1}
    assert not spool.segments.open_sessions
    spool.reader("a").acknowledge(spool.end())
    spool.close()


def test_E08_a_signal_within_an_append_is_taken_too(tmp_path: Path) -> None:
    """A signal handler that traces interrupts append anywhere: no deadlock, no record lost, none
    torn. The handler runs thousands of times within a loop that does nothing but append.
    """
    spool = make(tmp_path)
    ids = itertools.count(1_000_000)
    inside: list[int] = []

    def traced(signum: int, frame: FrameType | None) -> None:
        number = next(ids)  # in one step: the handler interrupts itself, too
        assert spool.append(EVENT_HEAD, body(number))
        inside.append(number)

    old = signal.signal(signal.SIGALRM, traced)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        outside = 0
        while len(inside) < 500 or outside < 5000:
            outside += 1
            assert spool.append(EVENT_HEAD, body(outside))
            if outside % 500 == 0:
                spool.maintain()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    found = numbers(drain(spool.reader("a")))
    assert [n for n in found if n < 1_000_000] == list(range(1, outside + 1))
    assert sorted(n for n in found if n >= 1_000_000) == sorted(inside)
    assert spool.accepted() == {b"*": len(inside) + outside}
    spool.close()


class _Counting(FailingFiles):
    """Calls ``within`` while a record is being written: as __del__ does when the collector runs."""

    def pwrite(self, fd: int, raw: bytes | memoryview, offset: int) -> int:
        if self.most_bytes == 0 and (self.calls or [""])[-1] != "nested":
            self.calls.append("nested")
            assert self.spool.append(EVENT_HEAD, body(77))
            if self.close_too:
                self.spool.close()
        return os.pwrite(fd, raw, offset)

    spool: Spool
    close_too = False


@pytest.mark.parametrize("close_too", [False, True])
def test_an_append_within_an_append_waits_for_the_outer_one(
    tmp_path: Path, close_too: bool
) -> None:
    """__del__ during a write must not lay its record into the middle of another; a shutdown from
    in there waits as well.
    """
    files = _Counting()
    spool = files.spool = make(tmp_path, io="write", files=files)
    files.close_too = close_too
    fill(spool, 1)
    files.most_bytes = 0
    assert spool.append(EVENT_HEAD, body(2))
    files.most_bytes = None
    if close_too:
        assert not spool.append(EVENT_HEAD, body(3))
        with recovered(tmp_path) as left:
            assert numbers(drain(left.readers["a"])) == [1, 2, 77]
    else:
        assert numbers(drain(spool.reader("a"))) == [1, 2, 77]
        spool.close()


def test_E08_an_append_from_a_finaliser_is_taken(tmp_path: Path) -> None:
    """Objects that trace in __del__ die at any time, within our own code too."""
    spool = make(tmp_path)
    fill(spool, 1)

    class Dying(bytes):
        def __del__(self) -> None:
            assert spool.append(EVENT_HEAD, body(2))

    assert spool.append(EVENT_HEAD, Dying(body(1)))
    assert sorted(numbers(drain(spool.reader("a")))) == [1, 1, 2]
    spool.close()


def test_threads_append_without_losing_or_mixing(tmp_path: Path) -> None:
    """Eight threads, a worker and a reader at once: each thread's records stay in its order."""
    spool = make(tmp_path)
    fill(spool, 1, start=0)
    stop = threading.Event()

    def write(base: int) -> None:
        fill(spool, 2000, start=base, pad=100)

    def keep() -> None:
        while not stop.is_set():
            spool.maintain()

    worker = threading.Thread(target=keep)
    worker.start()
    writers = [threading.Thread(target=write, args=(n * 10_000,)) for n in range(1, 9)]
    for writer in writers:
        writer.start()
    found: list[int] = []
    while len(found) < 16_001:
        found += numbers(drain(spool.reader("a"), most=97))
    for writer in writers:
        writer.join()
    stop.set()
    worker.join()
    for thread in range(1, 9):
        own = [n for n in found if n // 10_000 == thread]
        assert own == list(range(thread * 10_000, thread * 10_000 + 2000))
    assert (spool.reader("a").pending(), spool.reader("a").evicted) == (0, 0)
    spool.close()


def test_the_sender_is_woken_once_while_it_sleeps(tmp_path: Path) -> None:
    """Waking costs a system call, so it is done for a sleeper only, and once."""
    spool = make(tmp_path)
    woken: list[int] = []
    fill(spool, 1)
    spool.new_records.wake = lambda: woken.append(1)
    fill(spool, 5)
    assert woken == []
    assert not spool.new_records.arm()  # there are records that the sender may not know
    assert spool.new_records.arm()
    fill(spool, 5)
    assert (woken, spool.new_records.armed) == ([1], False)
    spool.close()


def test_durability_sync_syncs_before_append_returns(tmp_path: Path) -> None:
    """Whoever asks for it loses nothing to a power cut: each append ends with a sync."""
    for durability, expected in (("process", 0), ("sync", 5)):
        files = FailingFiles()
        spool = make(tmp_path, files=files, durability=durability)
        fill(spool, 5)
        assert files.calls.count("sync") == expected
        spool.reader("a").acknowledge(spool.end())
        spool.close()


def test_one_group_sync_covers_what_came_since_the_last(tmp_path: Path) -> None:
    """500 ms are the most a power cut can take; a round without news syncs nothing."""
    files = FailingFiles()
    spool = make(tmp_path, files=files)
    fill(spool, 100)
    spool.maintain()
    first = files.calls.count("sync")
    spool.maintain()
    assert (first, files.calls.count("sync")) == (1, 1)
    fill(spool, 1)
    spool.maintain()
    assert files.calls.count("sync") == 2
    spool.close()


def test_close_removes_a_directory_that_owes_nothing(tmp_path: Path) -> None:
    """A well-behaved run leaves nothing behind."""
    spool = make(tmp_path, A, B)
    fill(spool, 10)
    spool.maintain()
    drain(spool.reader("a"))
    drain(spool.reader("b"))
    spool.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("io", ["map", "write"])
def test_close_leaves_what_is_still_owed_to_an_adopter(tmp_path: Path, io: str) -> None:
    """One destination was down: its share waits for the next run, and only that."""
    spool = make(tmp_path, A, B, io=io)
    fill(spool, 10)
    drain(spool.reader("a"))
    chunk = spool.reader("b").read(4, 1 << 20)
    assert chunk is not None
    spool.reader("b").acknowledge(chunk.ends[-1])
    spool.close()
    with recovered(tmp_path, A, B) as left:
        assert drain(left.readers["a"]) == []
        assert left.readers["b"].pending() == 6
        assert numbers(drain(left.readers["b"])) == [5, 6, 7, 8, 9, 10]
    assert list(tmp_path.iterdir()) == []


def test_a_session_open_at_close_is_left_to_an_adopter(tmp_path: Path) -> None:
    """All records are delivered, but a session has no end: somebody has to write it."""
    spool = make(tmp_path)
    spool.append(START_HEAD, body(1, session=1))
    drain(spool.reader("a"))
    spool.close()
    with recovered(tmp_path) as left:
        (end,) = drain(left.readers["a"])
    assert (end.kind, number_of(end)) == (END, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_close_that_meets_a_stuck_keeper_gives_up_in_time(tmp_path: Path) -> None:
    """A dead disk must not hold up the exit; the files stay for the next run."""
    spool = make(tmp_path)
    fill(spool, 1)
    stuck, free = threading.Event(), threading.Event()

    def hang() -> None:
        with spool._maintenance._round:
            stuck.set()
            free.wait(patience(10))

    worker = threading.Thread(target=hang)
    worker.start()
    stuck.wait(patience(10))
    spool.close(timeout=0.01)
    free.set()
    worker.join()
    assert die(spool).exists()


def test_kinds_are_told_apart_by_their_heads_alone(tmp_path: Path) -> None:
    """A body that looks like a frame is still a body."""
    spool = make(tmp_path)
    nasty = b'{"event_id":"deadbeef end * {}","x":"00000000 event * {"}'
    spool.append(EVENT_HEAD, nasty)
    (record,) = drain(spool.reader("a"))
    assert record == (EVENT, b"*", nasty)
    spool.close()
