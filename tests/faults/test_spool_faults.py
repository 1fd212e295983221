"""Catalogue A: the spool and the disk under it. What is not here is in unit/test_spool_*.py."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from support.spools import (
    A,
    B,
    FailingFiles,
    die,
    drain,
    fill,
    left_behind,
    make,
    numbers,
    recovered,
    recovery,
    restore,
    snapshot,
)
from support.subprocesses import REPO, run, start

from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool.filesystem import Files

IMPORTS = f"{REPO}{os.pathsep}{REPO / 'tests'}"


@pytest.fixture(autouse=True)
def _told_nothing_yet() -> None:
    log.reset()


@pytest.mark.parametrize("io", ["map", "write"])
def test_A02_what_append_took_survives_a_real_SIGKILL(tmp_path: Path, io: str) -> None:
    """A process tells each number right after `append` took it and is killed at some moment.

    Every number that was told is in the spool; at most the one not yet told is there besides;
    nothing is there that was never appended.
    """
    program = """
    import sys, time
    from pathlib import Path
    from support.spools import EVENT_HEAD, body, make
    spool = make(Path(sys.argv[1]), io=sys.argv[2])
    number = 0
    while True:
        number += 1
        assert spool.append(EVENT_HEAD, body(number, pad=300))
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
        if number % 50 == 0:
            spool.maintain()
    """
    for life, most in enumerate((1, 137, 1500)):
        root = tmp_path / f"life-{life}"
        with start(program, tmp_path, str(root), io, PYTHONPATH=IMPORTS) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(most)]
            process.send_signal(signal.SIGKILL)
            told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        with recovered(root) as one:
            found = numbers(drain(one.readers["a"]))
        assert found[: len(told)] == told
        assert len(found) - len(told) in (0, 1)


def test_A03_zeros_behind_the_last_record_are_no_records(tmp_path: Path) -> None:
    """A mapped file is filled with zeros in advance, and a crash leaves them there. The checksum
    of nothing is zero in many formats: 300 of them must not read as records, nor as damage.
    """
    directory = left_behind(tmp_path, 5)
    path = directory / "00000001.seg"
    path.write_bytes(path.read_bytes() + bytes(300))
    counters = Counters()
    with recovered(tmp_path, counters=counters) as one:
        assert numbers(drain(one.readers["a"])) == [1, 2, 3, 4, 5]
    assert "corrupt_record" not in counters.noted


def test_A05_a_flipped_line_feed_costs_the_two_records_beside_it(tmp_path: Path) -> None:
    """The mark between two records is hit, so they run together: both are counted as damaged, and
    all later ones are found again.
    """
    directory = left_behind(tmp_path, 9)
    path = directory / "00000001.seg"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4]) + b"\x0b" + b"\n".join(lines[4:]))
    counters = Counters()
    with recovered(tmp_path, counters=counters) as one:
        assert numbers(drain(one.readers["a"])) == [1, 2, 5, 6, 7, 8, 9]
    assert counters.noted["corrupt_record"] == 2


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.EINTR])
def test_A11_no_descriptor_left_means_memory_until_there_is_one(tmp_path: Path, error: int) -> None:
    """The application has opened files up to its limit. Events stay in memory, no descriptor of
    ours leaks in the attempts, and the spool returns to the disk by itself.
    """
    files, counters = FailingFiles(), Counters()
    spool = make(tmp_path, files=files, counters=counters, io="map")
    fill(spool, 3)
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    files.failing, files.error = {"create"}, error
    for begin in (10, 20, 30):
        fill(spool, 10, start=begin, pad=40_000)
        spool._allocator._failing_until = 0.0
        spool.maintain()
    assert spool.mode == "memory"
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before
    files.failing = set()
    spool._allocator._failing_until = 0.0
    spool.maintain()
    assert spool.mode == "map"
    assert not counters.dropped
    assert numbers(drain(spool.reader("a"))) == [1, 2, 3, *range(10, 40)]
    spool.close()


def test_A12_two_processes_share_a_directory_and_nothing_else(tmp_path: Path) -> None:
    """Two programs write under one root at the same time. Each has a spool of its own, nothing is
    interleaved, and whoever comes later gets everything of both, once.
    """
    program = """
    import sys
    from pathlib import Path
    from support.spools import fill, make
    spool = make(Path(sys.argv[1]))
    fill(spool, 500, start=int(sys.argv[2]), pad=500)
    """
    running = [
        start(program, tmp_path, str(tmp_path / "root"), str(begin), PYTHONPATH=IMPORTS)
        for begin in (1, 1001)
    ]
    for process in running:
        with process:
            assert process.wait(30) == 0
    found: list[int] = []
    looking = recovery(tmp_path / "root")
    orphans = looking.scan()
    assert len(orphans) == 2
    for one in orphans:
        mine = numbers(drain(one.readers["a"]))
        assert mine == sorted(mine)
        found += mine
        one.release()
    assert sorted(found) == [*range(1, 501), *range(1001, 1501)]


def test_A13_two_spools_of_one_process_do_not_know_each_other(tmp_path: Path) -> None:
    """Two tracers in one program, one directory: two spools, neither adopts the other's."""
    first, second = make(tmp_path), make(tmp_path)
    fill(first, 50)
    fill(second, 50, start=101)
    assert first.directory != second.directory
    assert recovery(tmp_path).scan() == []
    assert numbers(drain(first.reader("a"))) == list(range(1, 51))
    assert numbers(drain(second.reader("a"))) == list(range(101, 151))
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_A14_of_many_racing_adopters_exactly_one_gets_the_spool(tmp_path: Path) -> None:
    """A host restarts, and twelve workers look for orphans at the same moment."""
    left_behind(tmp_path, 40)
    start_line = threading.Barrier(12)
    won: list[object] = []

    def race() -> None:
        looking = recovery(tmp_path)
        start_line.wait()
        won.extend(looking.scan())

    racers = [threading.Thread(target=race) for _ in range(12)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 1
    (one,) = won
    assert numbers(drain(one.readers["a"])) == list(range(1, 41))  # type: ignore[attr-defined]
    one.release()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_A16_a_forked_worker_does_not_hide_its_dead_parents_spool(tmp_path: Path) -> None:
    """flock is inherited by a fork. The parent is killed, its worker lives on for hours: the
    parent's records are recovered all the same, because the worker closed its copy of the lock.
    """
    program = """
    import os, signal, sys, time
    from pathlib import Path
    from support.spools import fill, make
    spool = make(Path(sys.argv[1]))
    fill(spool, 20)
    if (worker := os.fork()) == 0:
        os.close(1)
        time.sleep(20)
        os._exit(0)
    print(worker, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = run(
        program, tmp_path, str(tmp_path / "root"), expect=-signal.SIGKILL, PYTHONPATH=IMPORTS,
        quiet=True,
    )  # fmt: skip
    worker = int(done.stdout)
    try:
        os.kill(worker, 0)
        with recovered(tmp_path / "root") as one:
            assert numbers(drain(one.readers["a"])) == list(range(1, 21))
    finally:
        os.kill(worker, signal.SIGKILL)


CRASHER = '''
"""Dies at the n-th call of the file system, for many n, in a forked child each time."""
import os, shutil, sys
from pathlib import Path
from support.spools import A, B, EVENT_HEAD, START_HEAD, END_HEAD, Files, recovery, body, drain
from support.spools import fill, make, numbers

root, io = Path(sys.argv[1]), sys.argv[2]
NAMES = [n for n in dir(Files) if not n.startswith("_") and n not in ("owned", "mappable")]

class Dying(Files):
    left = 10**9

def dying(name):
    def call(self, *args, **options):
        Dying.left -= 1
        if Dying.left < 0:
            os._exit(7)
        return getattr(Files, name)(self, *args, **options)
    return call

for name in NAMES:
    setattr(Dying, name, dying(name))

def life(told):
    """Appends, delivers to a, delivers nothing to b, rolls, deletes, adopts, closes."""
    spool = make(root, A, B, io=io, files=Dying())
    for number in range(1, 41):
        spool.append(EVENT_HEAD, body(number, pad=30_000))
        os.write(told, b"%d\\n" % number)
        if number % 10 == 0:
            drain(spool.reader("a"))
            spool.maintain()
    spool.close()

def adopt(told):
    from sessiontrace.runtime.counters import Counters
    from sessiontrace.spool.recovery.spool_recovery import SpoolRecovery
    for one in SpoolRecovery(root, lambda: None, (B,), Counters(), Dying()).scan():
        reader = one.readers["b"]
        while (chunk := reader.read(7, 1 << 22)) is not None:
            os.write(told, "".join(f"{n}\\n" for n in numbers(chunk.records)).encode())
            reader.acknowledge(chunk.ends[-1])
            one.maintain()
        one.release()

def in_child(work, at):
    out, told = os.pipe()
    child = os.fork()
    if child == 0:
        Dying.left = at
        work(told)
        os._exit(0)
    os.close(told)
    with os.fdopen(out, "rb") as lines:
        numbers = [int(line) for line in lines]
    return numbers, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def left(name):
    got = []
    for one in recovery(root, A if name == "a" else B).scan():
        got += numbers(drain(one.readers[name]))
        one.release()
    return got

step = int(sys.argv[3])
at, crashes = 0, 0
while True:
    shutil.rmtree(root, ignore_errors=True)
    taken, ended = in_child(life, at)
    assert ended in (0, 7), ended
    everything = left("b")
    whole = list(range(1, max([*taken, *everything], default=0) + 1))
    assert everything == whole and len(everything) - len(taken) in (0, 1), (at, everything, taken)
    again = left("a")
    assert again == [n for n in whole if n in again], "in order and none invented"
    assert set(whole[len(whole) // 10 * 10:]) - {len(whole)} <= set(again), (at, whole, again)
    if ended == 0:
        break
    crashes += 1
    at += step
at = 0
while True:
    shutil.rmtree(root, ignore_errors=True)
    in_child(life, 10**9)
    got, ended = in_child(adopt, at)
    assert sorted({*got, *left("b")}) == list(range(1, 41)), (at, got)
    if ended == 0:
        break
    crashes += 1
    at += step
assert not list(root.glob("*/*.seg")), "in the end nothing is owed and nothing is left"
print(crashes)
'''


@pytest.mark.parametrize("io", ["map", "write"])
def test_A18_a_crash_at_any_call_of_the_file_system_is_harmless(tmp_path: Path, io: str) -> None:
    """The process dies before every third call of the operating system: between making a
    segment and its first record, between an acknowledgement and its cursor, between cursor and
    unlink, in the middle of an adoption.

    What was appended and not settled is there for the next one; nothing hangs, nothing is invented.
    """
    step = "3" if io == "map" else "4"
    done = run(CRASHER, tmp_path, str(tmp_path / "root"), io, step, PYTHONPATH=IMPORTS, limit=50)
    assert int(done.stdout) > 40


def test_A23_a_file_system_without_locks_means_memory_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On some network mounts flock says ENOLCK. Without a lock two adopters could deliver the same
    records for ever, so nothing is kept there: memory, told once.
    """

    class Lockless(Files):
        def lock(self, fd: int, *, shared: bool = False) -> bool:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    spool = make(tmp_path, files=Lockless())
    fill(spool, 5)
    assert spool.mode == "memory"
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "No locks available" in caplog.text
    assert numbers(drain(spool.reader("a"))) == [1, 2, 3, 4, 5]
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_A24_order_is_by_number_and_never_by_the_clock(tmp_path: Path) -> None:
    """The clock was set back a day while the program ran, so its newer segments look older."""
    spool = make(tmp_path, io="write")
    fill(spool, 60, pad=10_000)
    directory = die(spool)
    found = sorted(directory.glob("*.seg"))
    assert len(found) > 2
    for age, path in enumerate(found):
        os.utime(path, (1_000_000 - age * 86_400, 1_000_000 - age * 86_400))
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 61))


def test_A17_each_destination_has_its_own_cursor_and_loses_only_by_its_own(tmp_path: Path) -> None:
    """Of two cursors one is corrupt: that destination gets duplicates, the other goes on."""
    spool = make(tmp_path, A, B)
    fill(spool, 30)
    drain(spool.reader("a"))
    drain(spool.reader("b"), most=30)
    fill(spool, 5, start=31)
    spool.maintain()
    directory = die(spool)
    files = snapshot(directory)
    files["a.cursor"] = bytes(len(files["a.cursor"]))
    restore(directory, files)
    with recovered(tmp_path, A, B) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 36))
        assert numbers(drain(one.readers["b"])) == list(range(31, 36))
