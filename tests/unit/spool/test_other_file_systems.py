"""What the spool promises where files behave otherwise; `make platforms` runs all its tests so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import file_system_rules
from support.lane_harness import event
from support.spools import FailingFiles, die, fill, make, numbers, recovered

from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.spool import spool_directory
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.spool import Spool

pytestmark = pytest.mark.not_under("macos", "ntfs", reason="it sets rules of its own")


@pytest.fixture
def _ntfs(monkeypatch: pytest.MonkeyPatch) -> None:
    file_system_rules.ntfs(monkeypatch)


@pytest.mark.usefixtures("_ntfs")
def test_under_ntfs_records_are_on_disk_and_survive_a_kill(tmp_path: Path) -> None:
    """A directory with an open file keeps its name there, so it has its name from the start."""
    spool = make(tmp_path)
    fill(spool, 10)
    assert spool.mode == "write"
    assert spool_directory.spools(OS_FILES, tmp_path) == [spool.id]
    die(spool)
    with recovered(tmp_path) as orphan:
        chunk = orphan.readers["a"].read(100, 1 << 20)
        assert chunk is not None
        assert numbers(list(chunk.records)) == list(range(1, 11))


@pytest.mark.usefixtures("_ntfs")
def test_a_directory_of_that_name_is_left_as_it_is(tmp_path: Path) -> None:
    """It is another process's: neither its lock file nor the directory goes."""
    spool = make(tmp_path)
    fill(spool, 1)
    with pytest.raises(spool_directory.SpoolError):
        spool_directory.make(OS_FILES, tmp_path, spool.id)
    assert (tmp_path / spool.id / spool_directory.LOCK).exists()
    spool.close()


@pytest.mark.usefixtures("_ntfs")
def test_memory_goes_to_disk_where_no_open_file_is_renamed(tmp_path: Path) -> None:
    """After a full disk a segment in memory becomes a file, closed before it gets its name."""
    files = FailingFiles()
    spool = make(tmp_path, files=files)
    fill(spool, 1)
    files.failing = {"create", "pwrite"}
    fill(spool, 10, start=2, pad=40_000)
    spool.maintain()
    files.failing = set()
    spool._allocator._failing_until = 0.0
    spool.maintain()
    fill(spool, 10, start=12, pad=40_000)
    spool.maintain()
    assert _modes(spool) == {"write"}
    spool.close()


def _modes(spool: Spool) -> set[str]:
    return {segment.mode for segment in spool.segments}


@pytest.mark.usefixtures("_ntfs")
def test_a_dead_letter_is_written_although_the_file_cannot_be_renamed(tmp_path: Path) -> None:
    """Another process reads the full file; the next letter renames it."""
    assert DeadLetters(tmp_path / "dead").put("there", event(1), "no")
    letters = DeadLetters(tmp_path / "dead", max_bytes=1)
    reader = OS_FILES.open(tmp_path / "dead" / "there.jsonl")
    assert letters.put("there", event(2), "no")
    assert not (tmp_path / "dead" / "there.old.jsonl").exists()
    OS_FILES.close(reader)
    assert letters.put("there", event(3), "no")
    assert (tmp_path / "dead" / "there.old.jsonl").read_bytes().count(b"\n") == 3


def test_a_sync_empties_the_cache_of_the_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS: ``fsync`` leaves the data there. A network's file system has only that."""
    file_system_rules.macos(monkeypatch)
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr("fcntl.fcntl", lambda fd, command: calls.append((fd, command)))
    fd = Files().create(tmp_path / "file")
    Files().sync(fd)
    assert calls == [(fd, 51)]

    def refuse(fd: int, command: int) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("fcntl.fcntl", refuse)
    Files().sync(fd)
    Files().close(fd)


def test_a_system_without_users_owns_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WebAssembly has modes and no ``geteuid``."""
    monkeypatch.setattr("sessiontrace.spool.filesystem._geteuid", None)
    spool = make(tmp_path)
    fill(spool, 3)
    assert spool.mode != "memory"
    spool.close()


def read_mounts_from(mounts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system lists the mounts that are in this file."""
    original = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *args, **options: original(
            mounts if path == "/proc/self/mountinfo" else path, *args, **options
        ),
    )


def test_a_plain_chroot_is_known_by_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its root has no line among the mounts; the device number says which file system it is."""
    device = tmp_path.stat().st_dev
    line = f"1 2 {os.major(device)}:{os.minor(device)} /jail /elsewhere rw - ext4 /dev/x rw\n"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(line)
    read_mounts_from(mounts, monkeypatch)
    assert Files().mappable(tmp_path)


@pytest.mark.parametrize("mounts", ["42 27 0:39 / /proc rw,relatime - proc proc rw\n", None])
def test_a_plain_chroot_that_lists_no_mount_of_its_files_is_asked_by_statfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str | None
) -> None:
    """It has /proc alone, or not even that; Debian's debootstrap makes such ones."""
    expected = Files().mappable(tmp_path)
    list_of_mounts = tmp_path / "mountinfo"
    if mounts is not None:
        list_of_mounts.write_text(mounts)
    read_mounts_from(list_of_mounts, monkeypatch)
    assert Files().mappable(tmp_path) == expected
    assert not Files().mappable(tmp_path / "missing")


def test_a_file_system_that_is_not_mappable_is_asked_by_statfs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a chroot without mounts, too: the files of /proc cannot be mapped for writing."""
    read_mounts_from(tmp_path / "missing", monkeypatch)
    assert not Files().mappable(Path("/proc/self"))
