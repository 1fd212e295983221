"""Disks that fail: the program goes on, nothing is lost that memory can hold, all is counted."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from support.spools import (
    END_HEAD,
    START_HEAD,
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

from sessiontrace.model.record import END, EVENT, OPEN, START
from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.spool import Spool


@pytest.fixture(autouse=True)
def _told_nothing_yet() -> None:
    log.reset()


def disk_is_back(spool: Spool) -> None:
    """Thirty seconds have passed."""
    spool._allocator._failing_until = 0.0
    spool.maintain()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.levelname == "WARNING"]


def as_file(root: Path) -> None:
    root.write_text("in the way")


def as_link(root: Path) -> None:
    (root.parent / "elsewhere").mkdir()
    root.symlink_to(root.parent / "elsewhere")


def open_to_all(root: Path) -> None:
    root.mkdir()
    root.chmod(0o777)


@pytest.mark.parametrize("plant", [as_file, as_link, open_to_all])
def test_A09_an_unusable_root_means_memory_and_one_warning(
    tmp_path: Path, plant: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in the way, a planted symbolic link, a directory anybody can write: nothing of the
    user's goes there. The program goes on in memory and is told once.
    """
    root = tmp_path / "root"
    assert callable(plant)
    plant(root)
    counters = Counters()
    spool = make(root, counters=counters)
    fill(spool, 30, pad=50_000)
    assert (spool.mode, spool.directory) == ("memory", None)
    assert numbers(drain(spool.reader("a"))) == list(range(1, 31))
    assert len(warnings(caplog)) == 1
    assert "root" in warnings(caplog)[0]
    assert counters.noted["spool_error"] == 1
    assert counters.noted["memory_segment"] > 1
    assert not counters.dropped
    spool.close()
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".seg", ".cursor"}]


def test_A09_a_root_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A predictable place, made first by somebody else, is a trap."""
    monkeypatch.setattr(Files, "owned", lambda self, found: False)
    spool = make(tmp_path)
    fill(spool, 1)
    assert spool.mode == "memory"
    assert "another user" in caplog.text
    spool.close()


@pytest.mark.parametrize("call", ["mkdir", "create", "allocate", "pwrite"])
def test_A22_a_disk_that_refuses_at_the_start_means_memory(tmp_path: Path, call: str) -> None:
    """Full, read-only, out of inodes: whichever call says so, no event is lost and no file left."""
    files = FailingFiles()
    files.failing = {call}
    spool = make(tmp_path, files=files, io="map")
    fill(spool, 10)
    assert spool.mode == "memory"
    assert numbers(drain(spool.reader("a"))) == list(range(1, 11))
    assert not list(tmp_path.glob("*/*.seg"))
    spool.close()


@pytest.mark.parametrize("io", ["map", "write"])
def test_A07_a_disk_that_fills_up_is_left_and_returned_to(
    tmp_path: Path, io: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full for a while. Events go to memory, it is said once when that begins and once
    when it ends, and what memory held is on disk as soon as there is room.
    """
    caplog.set_level("INFO", logger="sessiontrace")
    files, counters = FailingFiles(), Counters()
    spool = make(tmp_path, io=io, files=files, counters=counters)
    fill(spool, 10, pad=20_000)
    files.failing = {"create", "pwrite", "allocate"}
    fill(spool, 30, start=11, pad=20_000)
    assert spool.mode == "memory"
    spool.maintain()
    disk_is_back(spool)
    assert spool.mode == "memory", "it is still full"
    fill(spool, 5, start=41)
    files.failing = set()
    spool.maintain()
    assert spool.mode == "memory", "not asked again before its time"
    disk_is_back(spool)
    assert spool.mode == io
    fill(spool, 5, start=46)
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert counters.noted["spool_error"] >= 2
    assert not counters.dropped

    die(spool)
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 51))


def test_the_own_reader_does_not_notice_a_stay_in_memory(tmp_path: Path) -> None:
    """Disk, memory, disk: one stream of records, each once, and the books balance."""
    files = FailingFiles()
    spool = make(tmp_path, A, B, files=files)
    fill(spool, 20, pad=20_000)
    first = spool.reader("a").read(2, 1 << 20)
    assert first is not None
    spool.reader("a").acknowledge(first.ends[-1])
    files.failing = {"create"}
    fill(spool, 30, start=21, pad=20_000)
    files.failing = set()
    disk_is_back(spool)
    fill(spool, 20, start=51, pad=20_000)
    spool.maintain()
    assert numbers(drain(spool.reader("a"))) == list(range(3, 71))
    assert numbers(drain(spool.reader("b"))) == list(range(1, 71))
    assert spool.accepted() == {b"*": 70}
    assert (spool.reader("a").pending(), spool.reader("a").evicted) == (0, 0)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_A06_a_write_that_stops_half_way_leaves_no_half_record(tmp_path: Path) -> None:
    """The disk takes half of a record and no more: the record goes to memory whole, and the file is
    cut where its last whole record ends.
    """

    class Half(FailingFiles):
        def pwrite(self, fd: int, raw: bytes | memoryview, offset: int) -> int:
            if self.failing:
                if self.calls and self.calls[-1] == "half":
                    raise OSError(errno.ENOSPC, "full")
                self.calls.append("half")
                return os.pwrite(fd, raw[: len(raw) // 2], offset)
            return super().pwrite(fd, raw, offset)

    files = Half()
    spool = make(tmp_path, io="write", files=files)
    fill(spool, 3)
    files.failing = {"pwrite"}
    fill(spool, 2, start=4)
    files.failing = set()
    spool.maintain()
    assert spool.directory is not None
    assert (spool.directory / "00000001.seg").read_bytes().endswith(b"}}\n")
    disk_is_back(spool)
    die(spool)
    counters = Counters()
    with recovered(tmp_path, counters=counters) as one:
        assert numbers(drain(one.readers["a"])) == [1, 2, 3, 4, 5]
    assert "corrupt_record" not in counters.noted


def test_short_writes_are_completed(tmp_path: Path) -> None:
    """The system may take a few bytes at a time; that is no error."""
    files = FailingFiles()
    files.most_bytes = 7
    spool = make(tmp_path, io="write", files=files)
    fill(spool, 20)
    assert spool.mode == "write"
    assert numbers(drain(spool.reader("a"))) == list(range(1, 21))
    spool.close()


@pytest.mark.parametrize("io", ["map", "write"])
@pytest.mark.parametrize("durability", ["process", "sync"])
def test_A10_a_failed_sync_is_never_repeated_on_that_file(
    tmp_path: Path, io: str, durability: str
) -> None:
    """After a failed fsync the kernel forgets what it could not write, and the next fsync would
    say all is well. The records since the last good one are written to another file; this process
    reads each once, recovery gets them all.
    """
    synced: list[int] = []

    class Recording(FailingFiles):
        def sync(self, fd: int) -> None:
            synced.append(os.fstat(fd).st_ino)
            if self.failing:
                self.failing = set()
                raise OSError(errno.EIO, "input/output error")
            super().sync(fd)

    files, counters = Recording(), Counters()
    spool = make(tmp_path, io=io, files=files, counters=counters, durability=durability)
    spool.append(START_HEAD, body(1, session=1))
    fill(spool, 3, start=2)
    spool.maintain()
    files.failing = {"sync"}
    fill(spool, 1, start=5)
    fill(spool, 3, start=6)
    spool.maintain()
    assert spool.directory is not None
    broken = (spool.directory / "00000001.seg").stat().st_ino
    before = synced.count(broken)
    for number in range(3):
        fill(spool, 1, start=9 + number)
        spool.maintain()
    assert synced.count(broken) == before
    assert counters.noted["sync_failed"] == 1
    assert not counters.dropped

    assert numbers(drain(spool.reader("a"), settle=False)) == list(range(1, 12))
    assert spool.accepted() == {b"*": 11}
    (spool.directory / "00000001.seg").unlink()  # the disk lost it all
    die(spool)
    with recovered(tmp_path) as one:
        found = drain(one.readers["a"], settle=False)
        assert found[0].kind == OPEN
        assert numbers([r for r in found if r.kind in (EVENT, START)]) == list(range(5, 12))


def test_a_replaced_file_does_not_bring_an_ended_session_back(tmp_path: Path) -> None:
    """The file that failed was full already, and a session open then has ended since: its copy is
    newer than the segment with that end, and must not be taken for the last word.
    """

    class Once(FailingFiles):
        def sync(self, fd: int) -> None:
            if self.failing:
                self.failing = set()
                raise OSError(errno.EIO, "input/output error")
            super().sync(fd)

    files = Once()
    spool = make(tmp_path, files=files)
    spool.append(START_HEAD, body(1, session=1))
    spool.segments.roll(0)
    fill(spool, 1, start=2)
    files.failing = {"sync"}
    spool.maintain()
    spool.append(END_HEAD, body(1, session=1))
    spool.append(START_HEAD, body(3, session=3))
    die(spool)
    with recovered(tmp_path) as one:
        found = drain(one.readers["a"])
    assert sorted({number_of(r) for r in found if r.kind == END}) == [1, 3]
    assert b"abandoned" in found[-1].body
    assert [number_of(r) for r in found if b"abandoned" in r.body] == [3]


def test_a_replaced_file_goes_with_the_records_it_repeats(tmp_path: Path) -> None:
    """The second copy is for adopters only: when all is delivered it is deleted like the first."""
    files = FailingFiles()
    files.error = errno.EIO
    spool = make(tmp_path, files=files)
    fill(spool, 5)
    files.failing = {"sync"}
    spool.maintain()
    files.failing = set()
    spool.maintain()
    fill(spool, 5, start=6)
    assert numbers(drain(spool.reader("a"))) == list(range(1, 11))
    spool.maintain()
    spool.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.not_under("ntfs", reason="an open file keeps its name and its directory")
@pytest.mark.parametrize("io", ["map", "write"])
def test_A09_a_directory_removed_under_us_is_made_again(
    tmp_path: Path, io: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody cleans up and deletes our directory. What is still mapped or open is written out
    again, and the program notices nothing.
    """
    counters = Counters()
    spool = make(tmp_path, io=io, counters=counters)
    fill(spool, 5)
    first = spool.directory
    assert first is not None
    shutil.rmtree(first)
    fill(spool, 5, start=6)
    spool.maintain()
    fill(spool, 5, start=11)
    assert (spool.mode, spool.directory) == (io, first)
    assert counters.noted["spool_vanished"] == 1
    assert len(warnings(caplog)) == 1
    die(spool)
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 16))


def test_a_sealed_file_that_is_gone_is_counted_as_lost(tmp_path: Path) -> None:
    """A file that was deleted by hand cannot be delivered: it is counted, the rest goes on."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    fill(spool, 20, pad=50_000)
    spool.maintain()
    assert spool.directory is not None
    (spool.directory / "00000002.seg").unlink()
    reader = spool.reader("a")
    found = numbers(drain(reader))
    assert reader.evicted == 20 - len(found) > 0
    assert counters.noted["segment_lost"] == 1
    assert reader.pending() == 0
    spool.close()


def test_what_cannot_be_deleted_does_not_stop_the_keeper(tmp_path: Path) -> None:
    """Read-only again after it was writable: rounds go on, at worst there are duplicates."""
    files = FailingFiles()
    spool = make(tmp_path, files=files)
    fill(spool, 20, pad=50_000)
    drain(spool.reader("a"))
    files.failing = {"unlink", "truncate"}
    spool.maintain()
    spool.maintain()
    fill(spool, 1, start=21)
    assert numbers(drain(spool.reader("a"))) == [21]
    spool.close()


def test_a_cursor_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    """A cursor is a hint; without a new one the next run delivers again."""
    files, counters = FailingFiles(), Counters()
    spool = make(tmp_path, files=files, counters=counters)
    fill(spool, 5)
    drain(spool.reader("a"))
    spool.maintain()
    fill(spool, 5, start=6)
    drain(spool.reader("a"))
    files.failing = {"pwrite"}
    spool.maintain()
    assert counters.noted["cursor_failed"] == 1
    files.failing = set()
    die(spool)
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == [6, 7, 8, 9, 10]


def test_memory_mode_never_asks_for_a_disk(tmp_path: Path) -> None:
    """spool=False: no file, no warning, and nothing counted as an error."""
    files, counters = FailingFiles(), Counters()
    files.failing = {"create", "mkdir", "pwrite", "allocate"}
    spool = make(None, files=files, counters=counters)
    fill(spool, 50, pad=20_000)
    for _ in range(3):
        spool.maintain()
    assert files.calls == []
    assert "spool_error" not in counters.noted
    assert numbers(drain(spool.reader("a"))) == list(range(1, 51))
    spool.close()


def test_io_is_chosen_by_the_file_system_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a mapped write could end in a SIGBUS the frames are written instead."""
    for mappable, expected in ((True, "map"), (False, "write")):
        monkeypatch.setattr(Files, "mappable", lambda self, path, yes=mappable: yes)
        spool = make(tmp_path)
        fill(spool, 1)
        assert spool.mode == expected
        spool.close()


@pytest.mark.parametrize("io", ["map", "write"])
def test_A06_a_full_disk_is_an_error_at_creation(tmp_path: Path, io: str) -> None:
    """A real small file-size limit: the process gets an error it can count, never a signal."""
    import resource
    import signal

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    counters = Counters()
    spool = make(tmp_path, io=io, counters=counters)
    fill(spool, 3)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, old[1]))
    try:
        fill(spool, 20, start=4, pad=40_000)
        assert spool.mode == "memory"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    disk_is_back(spool)
    assert spool.mode == io
    assert numbers(drain(spool.reader("a"))) == list(range(1, 24))
    assert counters.dropped == {}
    spool.close()
