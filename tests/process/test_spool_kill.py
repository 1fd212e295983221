"""SIGKILL, and many adopters at once: real processes, real locks."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from support.spools import A, Consumer, drain, number_of, numbers, recovered, recovery
from support.subprocesses import REPO, run, start

from sessiontrace.model.record import END, START
from sessiontrace.spool.status import inspect

PATH = f"{REPO}:{REPO / 'tests'}"

KILLED = """
import os, signal, sys
from pathlib import Path
from support.spools import A, START_HEAD, body, fill, make
spool = make(Path(sys.argv[1]), A, io=sys.argv[2])
spool.append(START_HEAD, body(0, session=1_000_000))
fill(spool, 1000, pad=600)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("io", ["map", "write"])
def test_a_killed_process_loses_nothing_it_had_appended(tmp_path: Path, io: str) -> None:
    """A thousand events and no worker, no sync, no close: SIGKILL. All are recovered in order, and
    the session it left open is ended.
    """
    root = tmp_path / "root"
    run(KILLED, tmp_path, str(root), io, expect=-signal.SIGKILL, PYTHONPATH=PATH)
    (status,) = inspect(root)
    assert (status.alive, status.lags[0].pending) == (False, 1002)
    with recovered(root) as one:
        records = drain(one.readers["a"])
    assert [r.kind for r in (records[0], records[-1])] == [START, END]
    assert numbers(records[1:-1]) == list(range(1, 1001))
    assert number_of(records[-1]) == 0
    assert b'"abandoned":true' in records[-1].body
    assert list(root.iterdir()) == []


# Appends for ever, tells on stdout what append has taken, with a worker and a settling reader.
STEADY = """
import sys, threading
from pathlib import Path
from support.spools import A, EVENT_HEAD, body, drain, make
spool = make(Path(sys.argv[1]), A, io=sys.argv[2])

def keep():
    while True:
        spool.maintain()

threading.Thread(target=keep, daemon=True).start()
number = 0
while True:
    number += 1
    assert spool.append(EVENT_HEAD, body(number, pad=number % 3000))
    print(number, flush=True)
"""


@pytest.mark.parametrize("io", ["map", "write"])
def test_whenever_it_is_killed_what_was_taken_is_there(tmp_path: Path, io: str) -> None:
    """Killed at random moments, also while segments are made, sealed and cut: every event whose
    append had returned is recovered, once and in order; at most one more is there.
    """
    for delay in (0.0, random.uniform(0.0, 0.04), 0.05):
        root = tmp_path / f"root{delay}"
        with start(STEADY, tmp_path, str(root), io, PYTHONPATH=PATH) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "1\n"
            time.sleep(delay)
            process.kill()
            lines = process.stdout.read().split("\n")
            assert process.stderr is not None
            assert process.stderr.read() == ""
        told = max(int(line) for line in ["1", *lines[:-1]])
        with recovered(root) as one:
            found = numbers(drain(one.readers["a"]))
        assert found == list(range(1, len(found) + 1))
        assert told <= len(found) <= told + 1


RACING = """
import sys, time
from pathlib import Path
from support.spools import A, recovery, drain, numbers
root, gate = Path(sys.argv[1]), Path(sys.argv[2])
looking = recovery(root, A)
print("ready", flush=True)
while not gate.exists():
    pass
for one in looking.scan():
    print(*numbers(drain(one.readers["a"])), flush=True)
    one.release()
"""


def test_of_many_adopters_one_wins(tmp_path: Path) -> None:
    """Eight new processes find the same orphan at the same moment: it is delivered once."""
    root, gate = tmp_path / "root", tmp_path / "gate"
    run(KILLED, tmp_path, str(root), "map", expect=-signal.SIGKILL, PYTHONPATH=PATH)
    racers = [start(RACING, tmp_path, str(root), str(gate), PYTHONPATH=PATH) for _ in range(8)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    gate.touch()
    outcomes = [racer.communicate(timeout=30) for racer in racers]
    assert [err for _, err in outcomes if err] == []
    delivered = [out.split() for out, _ in outcomes if out]
    assert len(delivered) == 1
    assert [int(n) for n in delivered[0]] == [0, *range(1, 1001), 0]
    assert list(root.iterdir()) == []


def test_adoption_waits_for_the_owner_to_die(tmp_path: Path) -> None:
    """The owner is stopped, not dead: a stopped process may go on. Only its death frees its spool,
    whatever became of its process id.
    """
    root = tmp_path / "root"
    stranger = Consumer("a", "local", "another key")
    with start(STEADY, tmp_path, str(root), "map", PYTHONPATH=PATH) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert [status.alive for status in inspect(root)] == [True]
        assert recovery(root).scan() == []
        process.kill()
        process.communicate()
    before = {path.name for path in root.glob("*/*")}
    assert recovery(root, stranger).scan() == []
    assert {path.name for path in root.glob("*/*")} == before
    with recovered(root, A) as one:
        assert numbers(drain(one.readers["a"]))[0] == 1
