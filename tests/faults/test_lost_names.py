"""Catalogue A: the files of a spool or a store lose their names while a program writes to them.

Someone removes, moves or replaces a directory, a lock, a segment or a store's file. Nothing may be
acknowledged into a file without a name: the loss of the name is noticed, counted and logged, and
the records are written to a file that has one.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from support.spools import (
    FailingFiles,
    die,
    drain,
    fill,
    left_behind,
    make,
    numbers,
    recovered,
    recovery,
)
from support.subprocesses import run

from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool import spool_directory
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.status import inspect
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture(autouse=True)
def _nothing_logged_yet() -> None:
    log.reset()


def copied(directory: Path) -> None:
    """A backup was put back: the same names, other files, and an end that is older."""
    aside = directory.with_name(f"aside-{time.monotonic_ns()}")
    directory.rename(aside)
    shutil.copytree(aside, directory)
    for path in directory.glob("*.seg"):
        path.chmod(0o600)


def renamed(directory: Path) -> None:
    directory.rename(directory.with_name(f"elsewhere-{time.monotonic_ns()}"))


def without_root(directory: Path) -> None:
    shutil.rmtree(directory.parent)


def without_segment(directory: Path) -> None:
    (directory / "00000001.seg").unlink()


def copied_segment(directory: Path) -> None:
    """An editor or `sed -i` wrote a new file over the old one."""
    path = directory / "00000001.seg"
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.rename(path)


def without_lock(directory: Path) -> None:
    (directory / "lock").unlink()


DAMAGES = [
    shutil.rmtree, renamed, copied, without_root, without_segment, copied_segment, without_lock,
]  # fmt: skip


@pytest.mark.parametrize("io", ["map", "write"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_A30_what_loses_its_name_is_written_again_under_one(
    tmp_path: Path, damage: Callable[[Path], None], io: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten records are taken, the half of them after the damage and before the worker's round that
    notices it. The process is killed after that round: the next one finds all of them.
    """
    root = tmp_path / "spool"
    counters = Counters()
    spool = make(root, io=io, counters=counters)
    fill(spool, 5)
    assert spool.directory is not None
    damage(spool.directory)
    fill(spool, 5, start=6)
    spool.maintain()
    fill(spool, 5, start=11)
    assert spool.mode == io
    noted = {"spool_vanished", "segment_vanished", "spool_lock_renewed"} & set(counters.noted)
    assert len(noted) == 1
    assert len(caplog.records) == 1
    spool.maintain()
    assert len(caplog.records) == 1, "what was repaired is not logged again"
    die(spool)
    with recovered(root) as left:
        assert numbers(drain(left.readers["a"])) == list(range(1, 16))


@pytest.mark.parametrize("damage", DAMAGES)
def test_A30_what_loses_its_name_right_before_the_end_is_written_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The program ends before the worker's next round: its last act is to look at the names."""
    root = tmp_path / "spool"
    spool = make(root)
    fill(spool, 5)
    assert spool.directory is not None
    damage(spool.directory)
    spool.close()
    with recovered(root) as left:
        assert numbers(drain(left.readers["a"])) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("damage", [shutil.rmtree, renamed, without_segment, copied_segment])
def test_A30_durability_sync_holds_without_waiting_for_the_worker(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """With `durability="sync"` an append returns when its record is on the disk: under a name."""
    spool = make(tmp_path, durability="sync")
    fill(spool, 3)
    assert spool.directory is not None
    damage(spool.directory)
    fill(spool, 1, start=4)
    die(spool)
    with recovered(tmp_path) as left:
        assert numbers(drain(left.readers["a"])) == [1, 2, 3, 4]


def test_A30_a_sealed_segment_that_is_gone_is_counted_at_once(tmp_path: Path) -> None:
    """Its file is closed, so nothing leads to its records any more, whether or not a lane reads."""
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    fill(spool, 20, pad=50_000)
    spool.maintain()
    assert spool.directory is not None
    (spool.directory / "00000002.seg").unlink()
    spool.maintain()
    reader = spool.reader("a")
    assert counters.noted["segment_lost"] == 1
    assert reader.evicted > 0
    assert len(drain(reader)) + reader.evicted == 20
    spool.close()


def test_A30_delivery_goes_on_while_names_are_lost(tmp_path: Path) -> None:
    """Each record is handed out once, whatever happens to the files between two reads."""
    spool = make(tmp_path)
    reader = spool.reader("a")
    delivered: list[int] = []
    for number, damage in enumerate(DAMAGES[:3] + DAMAGES[4:]):
        fill(spool, 4, start=4 * number)
        chunk = reader.read(2, 1 << 20)
        assert chunk is not None
        delivered += numbers(list(chunk.records))
        assert spool.directory is not None
        spool.maintain()
        if (spool.directory / "00000001.seg").exists():
            damage(spool.directory)
        spool.maintain()
    delivered += numbers(drain(reader))
    assert delivered == list(range(4 * len(DAMAGES) - 4))
    assert reader.evicted == 0
    spool.close()


def test_A30_a_read_only_disk_is_tried_again(tmp_path: Path) -> None:
    """The directory was removed and the disk is read-only: what was taken waits in memory, and is
    written out when the disk can be written again.
    """
    files, counters = FailingFiles(), Counters()
    files.error = errno.EROFS
    spool = make(tmp_path, files=files, counters=counters)
    fill(spool, 5)
    files.failing = {"create", "mkdir"}
    assert spool.directory is not None
    shutil.rmtree(spool.directory)
    spool.maintain()
    fill(spool, 5, start=6)
    assert spool.mode == "memory"
    files.failing = set()
    spool.close()
    with recovered(tmp_path) as left:
        assert numbers(drain(left.readers["a"])) == list(range(1, 11))


def age(directory: Path) -> None:
    """As if nothing had happened in the directory for two minutes."""
    then = time.time() - 120
    os.utime(directory, (then, then))


def test_A31_an_orphan_without_a_lock_is_recovered(tmp_path: Path) -> None:
    """The lock file was removed and the process died before it noticed, or after its end. For a
    minute the owner may still make a new lock; then recovery does.
    """
    directory = left_behind(tmp_path, 5)
    (directory / "lock").unlink()
    assert recovery(tmp_path).scan() == []
    age(directory)
    (status,) = inspect(tmp_path)
    assert not status.alive
    assert not (directory / "lock").exists(), "to look at it changes nothing"
    with recovered(tmp_path) as left:
        assert numbers(drain(left.readers["a"])) == [1, 2, 3, 4, 5]
    assert not directory.exists()


def test_A31_an_owner_whose_spool_was_taken_over_leaves_it(tmp_path: Path) -> None:
    """The owner was stopped for minutes, its lock file removed, and another process delivers. Then
    the owner goes on: it takes no file from that process, and loses nothing.
    """
    counters = Counters()
    spool = make(tmp_path, counters=counters)
    fill(spool, 5)
    directory = spool.directory
    assert directory is not None
    (directory / "lock").unlink()
    age(directory)
    with recovered(tmp_path) as taken:
        spool.maintain()
        fill(spool, 5, start=6)
        spool.maintain()
        assert spool.mode == "memory"
        assert numbers(drain(taken.readers["a"])) == [1, 2, 3, 4, 5]
    spool.close()
    with recovered(tmp_path) as left:
        assert numbers(drain(left.readers["a"])) == list(range(1, 11)), "at least once"


def test_A31_of_two_processes_one_gets_an_orphan_without_a_lock(tmp_path: Path) -> None:
    """Both see that there is no lock file; the one that makes it has the spool."""
    directory = left_behind(tmp_path, 5)
    (directory / "lock").unlink()
    age(directory)
    first = spool_directory.try_lock(OS_FILES, directory)
    assert first is not None
    assert spool_directory.try_lock(OS_FILES, directory) is None
    assert spool_directory.renew_lock(OS_FILES, directory) is None
    first.release()


PROGRAM = """
import os, shutil, signal, sys, time
from pathlib import Path
import sessiontrace as st

root, damage, end = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
st.init(st.HoneyHive(api_key="hh_k", base_url="http://127.0.0.1:9"), spool=root, exit_timeout=0.1)

def spans(first, last):
    with st.session(f"session {first}"):
        for number in range(first, last):
            with st.span(f"step {number}"):
                pass

def has_all(path):
    try:
        return b"step 99" in path.read_bytes()
    except OSError:  # a spare that got another number
        return False

spans(0, 50)
(spool,) = root.glob("*/lock")
spool = spool.parent
segments = sorted(spool.glob("*.seg"))
if damage in {"directory", "root"}:  # at once, whatever the worker is doing
    removed = (root if damage == "root" else spool).rename(root.with_name("removed"))
    shutil.rmtree(removed, ignore_errors=True)
elif damage == "renamed":
    spool.rename(root / "moved")
elif damage == "segment":
    segments[0].unlink()
elif damage == "lock":
    (spool / "lock").unlink()
spans(50, 100)
if end == "kill":
    noticed = {"spool_vanished", "segment_vanished", "spool_lock_renewed"}
    while not noticed & set(st.stats().noted):
        time.sleep(0.02)
    while not any(map(has_all, spool.glob("*.seg"))):
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("damage", "end"),
    [("directory", "exit"), ("segment", "exit")]
    + [(damage, "kill") for damage in ("directory", "root", "renamed", "segment", "lock")],
)
def test_A30_a_program_whose_spool_is_removed_leaves_all_it_recorded(
    tmp_path: Path, damage: str, end: str
) -> None:
    """A real program with a dead backend. It ends by itself or is killed once it has noticed; the
    next program finds all hundred steps.
    """
    root = tmp_path / "spool"
    run(PROGRAM, tmp_path, str(root), damage, end, expect=-9 if end == "kill" else 0)
    (status,) = (status for status in inspect(root) if status.lags)
    assert not status.alive
    (lag,) = status.lags
    assert lag.pending == 104


STORE_PROGRAM = """
import shutil, sys
from pathlib import Path
import sessiontrace as st

path, damage = Path(sys.argv[1]), sys.argv[2]
st.init(st.Local(path=path), spool=path.parent.with_name("spool"))

def sessions(first, last):
    for number in range(first, last):
        with st.session(f"session {number}"):
            with st.span("step"):
                pass
    assert st.flush(10).complete

sessions(0, 3)
files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
if damage == "parent":
    shutil.rmtree(path.parent)
elif damage == "replaced":
    for file in files:
        file.unlink()
    path.touch()
else:
    for file in files if damage == "all" else files[1:]:
        file.unlink()
sessions(3, 6)
"""


@pytest.mark.parametrize("damage", ["all", "log", "parent", "replaced"])
def test_A30_a_store_that_loses_its_name_is_made_again(tmp_path: Path, damage: str) -> None:
    """A real program records to the local store. What it reports as delivered after the damage is
    in the file that has the store's name; where the log alone goes, so is what came before.
    """
    path = tmp_path / "home" / "store.db"
    done = run(STORE_PROGRAM, tmp_path, str(path), damage)
    assert "removed or replaced while in use" in done.stderr
    store = SqliteStore(path, read_only=True)
    names = {session.name for session in store.sessions(SessionQuery()).sessions}
    store.close()
    first = 0 if damage == "log" else 3
    assert names == {f"session {number}" for number in range(first, 6)}


HAPPENINGS = some.one_of(
    some.sampled_from(DAMAGES), some.sampled_from(["append", "append many", "maintain", "read"])
)


@settings(max_examples=25, deadline=None)
@given(some.lists(HAPPENINGS, min_size=1, max_size=12), some.sampled_from(["map", "write"]))
def test_A30_no_history_of_lost_names_loses_a_record_uncounted(
    tmp_path_factory: pytest.TempPathFactory, happenings: list[Any], io: str
) -> None:
    """Names are lost again and again while records come and go. Each record is handed out once or
    counted as lost, and what a killed process had not delivered is there for the next.
    """
    root = tmp_path_factory.mktemp("names") / "spool"
    spool = make(root, io=io)
    reader = spool.reader("a")
    appended = 0
    delivered: list[int] = []
    for happening in [*happenings, "append", "maintain"]:
        if happening in {"append", "append many"}:
            count = 3 if happening == "append" else 40
            fill(spool, count, start=appended, pad=10 if count == 3 else 10_000)
            appended += count
        elif happening == "maintain":
            spool.maintain()
        elif happening == "read":
            if (chunk := reader.read(10, 1 << 20)) is not None:
                delivered += numbers(list(chunk.records))
                reader.acknowledge(chunk.ends[-1])
        elif spool.directory is not None and (spool.directory / "lock").exists():
            try:
                happening(spool.directory)
            except FileNotFoundError:  # that segment is delivered
                continue
    spool.maintain()
    lost, settled = reader.evicted, set(delivered)
    delivered += numbers(drain(reader, settle=False))
    assert len(delivered) == len(set(delivered))
    assert len(delivered) + reader.evicted == appended
    die(spool)
    with recovered(root) as left:
        assert set(numbers(drain(left.readers["a"]))) >= set(delivered) - settled
    assert lost == reader.evicted
