"""Catalogue A: how much of a machine spools use up, over processes and generations.

Real programs with a dead backend, most of them killed: what they leave is theirs together.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import stat
from pathlib import Path

import pytest
from support.spools import left_behind
from support.subprocesses import run, start

import sessiontrace as st
from sessiontrace.spool import spool_directory
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.status import inspect

QUOTA = 1 << 20
# Written, not mapped: a kill between the cut of a tail and the restoring of its file's time would
# make that segment newer than it is.
LIMITED = {"SESSIONTRACE_SPOOL_QUOTA": str(QUOTA), "SESSIONTRACE_SPOOL_IO": "write"}
DEAD = "http://127.0.0.1:9"

GENERATION = """
import os, signal, sys, time
import sessiontrace as st

root, count, end = sys.argv[1], int(sys.argv[2]), sys.argv[3]
st.init(
    st.HoneyHive(api_key="hh_k", base_url="http://127.0.0.1:9"),
    spool=root, exit_timeout=0.1,
)
with st.session("generation"):
    for number in range(count):
        with st.span(f"{end} {number}", inputs={"text": "x" * 10_000}):
            pass
if end == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
while "evicted_orphaned" not in st.stats().noted:
    time.sleep(0.02)
stats = st.shutdown(timeout=0.1).stats
print(stats.noted["evicted_orphaned"], stats.destinations["honeyhive"].evicted)
"""


def fingerprint() -> str:
    return st.HoneyHive(api_key="hh_k", base_url=DEAD).complete({}).fingerprint()


def test_A27_generations_of_processes_share_one_quota(tmp_path: Path) -> None:
    """Three programs are killed, two of them at the same time, and leave 900 kB. The fourth records
    600 kB: the oldest go, whoever wrote them. It says so, counts each, and keeps all of its own.
    """
    root = tmp_path / "spool"
    written: list[str] = []  # ids of one second tell no order
    for programs in (1, 2):
        running = [
            start(GENERATION, tmp_path, str(root), "30", "kill", quiet=True, **LIMITED)
            for _ in range(programs)
        ]
        for program in running:
            with program:
                assert program.wait(30) == -signal.SIGKILL
        written += [spool.spool_id for spool in inspect(root)]
    oldest = written[0]
    done = run(GENERATION, tmp_path, str(root), "60", "exit", **LIMITED)
    orphaned, own = map(int, done.stdout.split())
    assert own == 0
    assert len(re.findall("take more than spool_quota=1048576 bytes", done.stderr)) == 1
    left = sum(lag.pending for spool in inspect(root) for lag in spool.lags)
    assert left + orphaned == 3 * 32 + 62, "with the start and the end of each session"
    assert not list((root / oldest).glob("*.seg"))
    used = sum(path.stat().st_size for path in root.glob("*/*.seg"))
    assert used <= QUOTA + (512 << 10)


MANY = """
import resource, sys, time

resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
import sessiontrace as st

st.init(
    st.HoneyHive(api_key="hh_k", base_url="http://127.0.0.1:9"), spool=sys.argv[1], exit_timeout=0.1
)
with st.session("mine"):
    pass
while st.stats().waiting_spools < 108:
    time.sleep(0.02)
files = [open("/dev/null") for _ in range(60)]
for file in files:
    file.close()
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_A28_orphans_leave_file_descriptors_to_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 programs left their spools while the backend is dead, and the system gives this one 96
    descriptors. The program opens 60 files of its own all the same.
    """
    ids = itertools.count()
    monkeypatch.setattr(spool_directory, "new_spool_id", lambda: f"{next(ids):016x}")
    consumer = Consumer("honeyhive", "honeyhive", fingerprint())
    (tmp_path / "spool").mkdir(mode=0o700)
    for _ in range(120):
        left_behind(tmp_path / "spool", 2, consumer)
    done = run(MANY, tmp_path, str(tmp_path / "spool"))
    assert "Traceback" not in done.stderr


PRIVATE = """
import os, sys

os.umask(int(sys.argv[2], 8))
import sessiontrace as st

st.init(
    st.HoneyHive(api_key="hh_k", base_url="http://127.0.0.1:9"), spool=sys.argv[1], exit_timeout=0.1
)
with st.session("mine"):
    pass
"""


@pytest.mark.parametrize("umask", ["0", "077"])
def test_A32_what_waits_is_private_whatever_the_umask(tmp_path: Path, umask: str) -> None:
    """Every directory that is made on the way, and every file, is its owner's alone."""
    root = tmp_path / "state" / "app" / "spool"
    run(PRIVATE, tmp_path, str(root), umask)
    (left,) = root.iterdir()
    directories = (root.parent.parent, root.parent, root, left)
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in left.iterdir()} == {0o600}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may give files away")
def test_A32_a_root_of_another_user_is_not_used_and_said(tmp_path: Path) -> None:
    """Records wait in memory; the line says why and what to do."""
    root = tmp_path / "spool"
    root.mkdir(mode=0o700)
    os.chown(root, 12345, -1)
    done = run(PRIVATE, tmp_path, str(root), "077")
    assert "belongs to another user" in done.stderr
    assert "SESSIONTRACE_SPOOL" in done.stderr
    assert "they were in memory only and are lost" in done.stderr
    assert list(root.iterdir()) == []
