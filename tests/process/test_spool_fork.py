"""Fork: the child never writes into its parent's spool, never holds it, and has its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.spools import A, drain, numbers, recovered, recovery
from support.subprocesses import REPO, run

PATH = f"{REPO}:{REPO / 'tests'}"

# A process that forks by `fork`, parent and child both tracing before and after.
FORKING = """
import os, sys
from pathlib import Path
from support.spools import A, fill, make, numbers, drain, EVENT_HEAD, body

root, how = Path(sys.argv[1]), sys.argv[2]

def in_child(head, body):
    global child
    if child is None:
        spool.abandon()
        child = make(root, A)
    return child.append(head, body)

child = None
spool = make(root, A, io=sys.argv[3], on_fork=in_child)
fill(spool, 10)
spool.maintain()
chunk = spool.reader("a").read(4, 10000)
spool.reader("a").acknowledge(chunk.ends[-1])

def fork():
    if how == "python":
        return os.fork()
    import ctypes
    return ctypes.PyDLL(None).fork()  # as uWSGI does: no hook of Python's runs

pid = fork()
if pid == 0:
    spool.maintain()
    spool.close()
    fill(spool, 20, start=101)
    assert child.id != spool.id and child.directory != spool.directory
    assert child.accepted() == {b"*": 20}
    assert numbers(drain(child.reader("a"))) == list(range(101, 121))
    fill(spool, 5, start=121)
    os._exit(0)

fill(spool, 10, start=11)
_, status = os.waitpid(pid, 0)
assert status == 0, status
fill(spool, 10, start=21)
spool.maintain()
assert numbers(drain(spool.reader("a"))) == list(range(5, 31))
assert spool.accepted() == {b"*": 30}
spool.close()
print("parent done")
"""


@pytest.mark.parametrize("io", ["map", "write"])
@pytest.mark.parametrize("how", ["python", "c"])
def test_parent_and_child_each_have_their_own_spool(tmp_path: Path, how: str, io: str) -> None:
    """Parent and child trace on after a fork, with Python's hooks or without (uWSGI). The parent
    delivers its own, once; the child's own are in its spool, and what it left is recovered.
    """
    root = tmp_path / "root"
    ended = run(FORKING, tmp_path, str(root), how, io, PYTHONPATH=PATH)
    assert ended.stdout == "parent done\n"
    with recovered(root) as one:
        assert numbers(drain(one.readers["a"])) == [*range(101, 126)]
    assert list(root.iterdir()) == []


# The parent is killed while its child lives on.
ORPHANED = """
import os, signal, sys, time
from pathlib import Path
from support.spools import A, fill, make

spool = make(Path(sys.argv[1]), A)
fill(spool, 10)
ready, told = os.pipe()
if os.fork() == 0:
    os.write(told, b"x")
    os.close(1)
    os.close(2)
    deadline = time.monotonic() + 20
    while not os.path.exists(sys.argv[2]) and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0)
os.read(ready, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_surviving_worker_does_not_hide_its_dead_parents_spool(tmp_path: Path) -> None:
    """A lock is inherited by fork: unless the child lets go of it at once, a pre-forking server's
    master could never be recovered while one of its workers lives.
    """
    root, stop = tmp_path / "root", tmp_path / "stop"
    run(ORPHANED, tmp_path, str(root), str(stop), expect=-9, PYTHONPATH=PATH)
    try:
        with recovered(root) as one:
            assert numbers(drain(one.readers["a"])) == list(range(1, 11))
    finally:
        stop.touch()


# A child that only looks: it forks within an append, while the lock is held.
LOCKED = """
import os, sys
from pathlib import Path
from support.spools import A, EVENT_HEAD, FailingFiles, body, fill, make, drain, numbers

class Forking(FailingFiles):
    pid = None
    def pwrite(self, fd, raw, offset):
        if self.failing and self.pid is None:
            self.pid = os.fork()
            if self.pid == 0:
                assert spool.append(EVENT_HEAD, body(100))
                os._exit(0)
        return os.pwrite(fd, raw, offset)

files, child = Forking(), []
def in_child(head, body):
    child.append(make(Path(sys.argv[1]), A))
    spool.abandon()
    return child[0].append(head, body)

spool = make(Path(sys.argv[1]), A, io="write", files=files, on_fork=in_child)
fill(spool, 1)
files.failing = {"fork"}
fill(spool, 2, start=2)
assert os.waitpid(files.pid, 0)[1] == 0
assert numbers(drain(spool.reader("a"))) == [1, 2, 3]
spool.close()
"""


def test_a_fork_while_the_lock_is_held_hangs_nobody(tmp_path: Path) -> None:
    """Another thread may be within append at the very moment of the fork: the child inherits a
    lock that nobody will ever free, and must not wait for it.
    """
    root = tmp_path / "root"
    run(LOCKED, tmp_path, str(root), PYTHONPATH=PATH)
    with recovered(root) as one:
        assert numbers(drain(one.readers["a"])) == [100]


def test_no_descriptor_reaches_an_executed_program(tmp_path: Path) -> None:
    """fork and exec: a program started by the user's program must not hold our lock or files."""
    text = """
import os, subprocess, sys
from pathlib import Path
from support.spools import A, fill, make
spool = make(Path(sys.argv[1]), A)
fill(spool, 3)
spool.maintain()
print(subprocess.check_output(["ls", "-l", "/proc/self/fd"], close_fds=False, text=True))
"""
    ended = run(text, tmp_path, str(tmp_path / "spools"), PYTHONPATH=PATH)
    assert "/proc" in ended.stdout
    assert "spools" not in ended.stdout
    with recovered(tmp_path / "spools") as one:
        assert numbers(drain(one.readers["a"])) == [1, 2, 3]
    assert recovery(tmp_path / "spools", A).scan() == []
