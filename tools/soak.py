"""Soak: programs that are killed, stopped, forked and starved, against a network that is as bad.

Meanwhile programs initialise again under load, are interrupted by exceptions of signal handlers and
work in pools that their sessions create; keys are rotated, and the spool of one program and the
local store of another are removed or moved.

Trouble for ten seconds, calm for three, again and again; then an end without faults, after which
everything that was promised must have arrived: nothing lost, nothing invented, nothing damaged,
nothing stuck, nothing in another's session, no exception swallowed; memory, descriptors and threads
of the program that lived through it all are flat; and the interesting things did happen, else the
run proves nothing.

    python tools/soak.py --ci                 two minutes
    python tools/soak.py --seconds 7200 --seed 7
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]
from soak_backend import Oracle
from soak_programs import Programs, Samples

_TROUBLE_S, _CALM_S = 10.0, 3.0
_END_S = 90.0


def promised(folder: Path, spool_mark: int) -> tuple[set[str], set[str]]:
    """What was begun and what was promised to the backend, by ``life/number``.

    ``small`` may lose what its quota evicts, ``moved`` what was removed with its spool, and
    ``store`` records elsewhere.
    """
    begun: set[str] = set()
    owed: set[str] = set()
    for path in folder.glob("*.ledger"):
        for line in path.read_text().splitlines():
            what, _, number = line.partition(" ")
            begun.add(f"{path.stem}/{number}")
            removed = path.stem == "moved" and int(number) <= spool_mark
            if what == "d" and not removed and not path.stem.startswith(("small", "store")):
                owed.add(f"{path.stem}/{number}")
    return begun, owed


def missing(happened: Counter[str], at_the_end: bool = False) -> list[str]:
    """What must have happened for a run to prove anything, and did not."""
    necessary = ["duplicate", "413", "401", "abandoned session", "kill", "fork", "stop",
                 "key rotated", "spool removed", "store removed"]  # fmt: skip
    if at_the_end:
        necessary += ["adoption", "eviction", "alarm", "init again", "pooled event"]
    return [name for name in necessary if not happened[name]]


def trouble(oracle: Oracle, programs: Programs, samples: Samples, seconds: float) -> None:
    """The faults, with a line of progress every five seconds; longer, if too little happens."""
    begun = printed = time.monotonic()
    while (now := time.monotonic()) - begun < seconds or (
        now - begun < 2 * seconds and missing(oracle.seen + programs.done)
    ):
        oracle.trouble = (now - begun) % (_TROUBLE_S + _CALM_S) < _TROUBLE_S
        programs.act()
        samples.take()
        if now - printed >= 5:
            printed = now
            print(
                f"{now - begun:6.0f} s  {len(oracle.delivered):8,} delivered  "
                f"{oracle.seen['duplicate']:6,} twice  {programs.done['kill']:4} killed  "
                f"{programs.done['fork']:4} forked  {samples.rss[-1] >> 20:4} MiB",
                flush=True,
            )
        time.sleep(programs.dice.uniform(0.1, 0.6))


def end(oracle: Oracle, programs: Programs, samples: Samples, folder: Path) -> list[str]:
    """The phase without faults; what is wrong after it."""
    oracle.trouble = False
    programs.stop_all(programs.running)
    time.sleep(1)
    programs.note_removal()
    last = programs.start("last", rate="50")
    faults = samples.faults(_END_S)
    programs.stop_all(programs.lasting)
    programs.send_what_waits()
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline:
        begun, owed = promised(folder, programs.spool_mark)
        mine = {key for key in owed if key.startswith("last/")}
        if owed - mine <= oracle.delivered.keys() and mine & oracle.delivered.keys():
            break
        time.sleep(0.5)
    last.send_signal(signal.SIGTERM)
    last.wait(30)
    begun, owed = promised(folder, programs.spool_mark)
    if lost := owed - oracle.delivered.keys():
        ways = {life: programs.ways.get(life) for life in {key.split("/")[0] for key in lost}}
        faults.append(f"{len(lost)} events lost, such as {sorted(lost)[:5]}, of {ways}")
    if invented := oracle.delivered.keys() - begun:
        faults.append(f"{len(invented)} events invented, such as {sorted(invented)[:5]}")
    if damaged := oracle.seen["damaged event"]:
        faults.append(f"{damaged} events damaged")
    faults += [
        f"{count} events of {life} ({programs.ways.get(life)}) are in the session of another"
        for life, count in oracle.strays.items()
    ]
    if not any(key.startswith("last/") for key in oracle.delivered):
        faults.append("a fresh event did not arrive")
    for name in ("did not end", "failed"):
        if count := programs.done[name]:
            faults.append(f"{count} programs {name}")
    return faults


def stored(folder: Path, mark: int) -> list[str]:
    """What is wrong with the store: all that was promised after its last removal is in it."""
    lines = [line.split() for line in (folder / "store.ledger").read_text().splitlines()]
    owed = {int(number) for what, number in lines if what == "d" and int(number) > mark}
    connection = sqlite3.connect(folder / "store.db")
    try:
        rows = connection.execute("SELECT name FROM events WHERE name LIKE 'event %'").fetchall()
    finally:
        connection.close()
    lost = owed - {int(name.removeprefix("event ")) for (name,) in rows}
    if lost:
        return [f"{len(lost)} of {len(owed)} events not in the store, such as {sorted(lost)[:5]}"]
    return [] if owed else ["no event was promised to the store after its last removal"]


def books(folder: Path, happened: Counter[str]) -> list[str]:
    """Every program that ended in an orderly way accounts for every record."""
    faults = []
    for path in folder.glob("*.books"):
        counts = orjson.loads(path.read_bytes())
        happened.update(counts["done"])
        happened["adoption"] += counts["adopted"]
        happened["eviction"] += counts["evicted"]
        names = ("acked", "evicted", "rejected", "sampled", "pending")
        if counts["accepted"] != sum(counts[name] for name in names):
            faults.append(f"the books of {path.stem} do not balance: {counts}")
        if counts["rejected"]:
            faults.append(f"{path.stem} had {counts['rejected']} records refused")
        if counts["swallowed"]:
            faults.append(f"{path.stem} swallowed {counts['swallowed']} exceptions of signals")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of trouble (%(default)s)")
    parser.add_argument("--ci", action="store_true", help="be done in about two minutes")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    options = parser.parse_args()
    if options.ci:
        options.seconds = 75.0
    print(f"seed {options.seed}", flush=True)
    oracle = Oracle(options.seed)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        programs = Programs(folder, oracle, random.Random(options.seed))
        samples = Samples(psutil.Process(programs.start_lasting().pid))
        try:
            trouble(oracle, programs, samples, options.seconds)
            faults = end(oracle, programs, samples, folder)
            faults += stored(folder, programs.store_mark)
            happened = Counter(oracle.seen)
            faults += books(folder, happened)
        finally:
            programs.kill_all()
        happened.update(programs.done)
    faults += [f"no {name} happened: the run proves too little" for name in missing(happened, True)]
    print(f"{len(oracle.delivered):,} events; " + ", ".join(
        f"{count:,} {name}" for name, count in sorted(happened.items())))  # fmt: skip
    for fault in faults:
        print(f"FAULT: {fault} (seed {options.seed})")
    print("failed" if faults else "all that was promised arrived")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
