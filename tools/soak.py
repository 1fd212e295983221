"""Soak: programs that are killed, stopped, forked and starved, against a network that is as bad.

Trouble for ten seconds, calm for three, again and again; then an end without faults, after which
everything that was promised must have arrived: nothing lost, nothing invented, nothing damaged,
nothing stuck; memory, descriptors and threads of the program that lived through it all are flat;
and the interesting things did happen, else the run proves nothing.

    python tools/soak.py --ci                 two minutes
    python tools/soak.py --seconds 7200 --seed 7
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs
import orjson
import psutil  # type: ignore[import-untyped]
from soak_backend import Oracle

_HERE = Path(__file__).resolve().parent
_TROUBLE_S, _CALM_S = 10.0, 3.0
_END_S = 90.0

Program = subprocess.Popen[bytes]


@attrs.define
class Programs:
    """The producers that run now, and what was done to them."""

    folder: Path
    url: str
    dice: random.Random
    done: Counter[str] = attrs.field(factory=Counter)
    running: list[Program] = attrs.field(factory=list)
    names: dict[int, str] = attrs.field(factory=dict)
    lives: int = 0

    def start(self, life: str = "", spool: str = "spool", **options: str) -> Program:
        """A producer; its life's name is in everything it records."""
        self.lives += 1
        words = [word for name, value in options.items() for word in (f"--{name}", value) if word]
        environment = {**os.environ, "PYTHONPATH": f"{_HERE.parent}{os.pathsep}{_HERE}"}
        if spool == "small":
            environment["SESSIONTRACE_SPOOL_QUOTA"] = str(1 << 20)
        life = life or f"life-{self.lives}"
        started = subprocess.Popen(
            [sys.executable, str(_HERE / "soak_producer.py"), "--folder", str(self.folder),
             "--url", self.url, "--spool", str(self.folder / spool),
             "--life", life, *words],
            env=environment,
        )  # fmt: skip
        self.names[started.pid] = life
        return started

    def act(self) -> None:
        """Do something to one of them, and keep three running."""
        self.running = [one for one in self.running if one.poll() is None]
        while len(self.running) < 3:
            starve = self.dice.random() < 0.2
            self.done["starved"] += starve
            self.running.append(self.start(rate="200", **({"starve": ""} if starve else {})))
        victim = self.dice.choice(self.running)
        what = self.dice.choice(["kill", "stop", "fork", "fork", "end"])
        self.done[what] += 1
        if what == "kill":
            victim.kill()
            victim.wait()
        elif what == "stop":
            victim.send_signal(signal.SIGSTOP)
            time.sleep(self.dice.random())
            victim.send_signal(signal.SIGCONT)
        else:
            # Not before its handlers are there: until then either would end it.
            if (self.folder / f"{self.names[victim.pid]}.ledger").exists():
                victim.send_signal(signal.SIGUSR1 if what == "fork" else signal.SIGTERM)

    def stop_all(self) -> None:
        """Ask all to end in an orderly way, and see that they do."""
        for one in self.running:
            one.send_signal(signal.SIGCONT)
            one.send_signal(signal.SIGTERM)
        for one in self.running:
            try:
                one.wait(30)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
                self.done["did not end"] += 1


@attrs.define
class Samples:
    """What the program takes that lives through everything."""

    process: psutil.Process
    rss: list[int] = attrs.field(factory=list)
    fds: list[int] = attrs.field(factory=list)
    threads: list[int] = attrs.field(factory=list)

    def take(self) -> None:
        self.rss.append(self.process.memory_info().rss)
        self.fds.append(self.process.num_fds())
        self.threads.append(self.process.num_threads())

    def faults(self, within: float) -> list[str]:
        """What has grown by the end, when all is calm; what may shrink again gets some time to.

        Descriptors rise with every spool of a dead program that waits for a calmer network.
        """
        deadline = time.monotonic() + within
        while (found := self._grown()) and time.monotonic() < deadline:
            time.sleep(0.5)
            self.take()
        return found

    def _grown(self) -> list[str]:
        """Memory against the first half's most, the others against their usual least."""
        found = []
        half = len(self.rss) // 2
        if self.rss[-1] > max(self.rss[:half]) * 1.2 + (16 << 20):
            found.append(f"memory grew from {max(self.rss[:half])} to {self.rss[-1]}")
        for name, values, slack in (("descriptors", self.fds, 10), ("threads", self.threads, 3)):
            least = min(values[len(values) // 10 : half])
            if values[-1] > least + slack:
                found.append(f"{name} grew from {least} to {values[-1]}")
        return found


def promised(folder: Path) -> tuple[set[str], set[str]]:
    """What was begun and what was promised, by ``life/number``, over all ledgers but ``small``."""
    begun: set[str] = set()
    owed: set[str] = set()
    for path in folder.glob("*.ledger"):
        for line in path.read_text().splitlines():
            what, _, number = line.partition(" ")
            begun.add(f"{path.stem}/{number}")
            if what == "d" and not path.stem.startswith("small"):
                owed.add(f"{path.stem}/{number}")
    return begun, owed


def missing(happened: Counter[str]) -> list[str]:
    """What must have happened for a run to prove anything, and did not."""
    wanted = ("duplicate", "413", "abandoned session", "kill", "fork", "stop")
    return [name for name in wanted if not happened[name]]


def trouble(oracle: Oracle, programs: Programs, samples: Samples, seconds: float) -> None:
    """The faults, with a line of progress every five seconds; longer, if too little happens."""
    begun = told = time.monotonic()
    while (now := time.monotonic()) - begun < seconds or (
        now - begun < 2 * seconds and missing(oracle.seen + programs.done)
    ):
        oracle.trouble = (now - begun) % (_TROUBLE_S + _CALM_S) < _TROUBLE_S
        programs.act()
        samples.take()
        if now - told >= 5:
            told = now
            print(
                f"{now - begun:6.0f} s  {len(oracle.delivered):8,} delivered  "
                f"{oracle.seen['duplicate']:6,} twice  {programs.done['kill']:4} killed  "
                f"{programs.done['fork']:4} forked  {samples.rss[-1] >> 20:4} MiB",
                flush=True,
            )
        time.sleep(programs.dice.uniform(0.1, 0.6))


def end(
    oracle: Oracle, programs: Programs, samples: Samples, folder: Path, lasting: list[Program]
) -> list[str]:
    """The phase without faults; what is wrong after it. ``lasting`` lived through the others."""
    oracle.trouble = False
    programs.stop_all()
    last = programs.start("last", rate="50")
    found = samples.faults(_END_S)
    programs.running = lasting
    programs.stop_all()
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline:
        begun, owed = promised(folder)
        mine = {key for key in owed if key.startswith("last/")}
        if owed - mine <= oracle.delivered.keys() and mine & oracle.delivered.keys():
            break
        time.sleep(0.5)
    last.send_signal(signal.SIGTERM)
    last.wait(30)
    begun, owed = promised(folder)
    if lost := owed - oracle.delivered.keys():
        found.append(f"{len(lost)} events lost, such as {sorted(lost)[:5]}")
    if invented := oracle.delivered.keys() - begun:
        found.append(f"{len(invented)} events invented, such as {sorted(invented)[:5]}")
    if damaged := oracle.seen["damaged event"]:
        found.append(f"{damaged} events damaged")
    if not any(key.startswith("last/") for key in oracle.delivered):
        found.append("a fresh event did not arrive")
    if programs.done["did not end"]:
        found.append(f"{programs.done['did not end']} programs did not end")
    return found


def books(folder: Path, oracle: Oracle, happened: Counter[str]) -> list[str]:
    """Every program that ended in an orderly way accounts for every record."""
    found = []
    for path in folder.glob("*.books"):
        told = orjson.loads(path.read_bytes())
        happened["adoption"] += told["adopted"]
        happened["eviction"] += told["evicted"]
        counted = sum(told[name] for name in ("acked", "evicted", "rejected", "sampled", "pending"))
        if told["accepted"] != counted:
            found.append(f"the books of {path.stem} do not balance: {told}")
        if told["rejected"]:
            found.append(f"{path.stem} had {told['rejected']} records refused")
    return found


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
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        folder = Path(scratch)
        programs = Programs(folder, oracle.url, random.Random(options.seed))
        steady = programs.start("steady", rate="150")
        small = programs.start("small", "small", rate="400")
        samples = Samples(psutil.Process(steady.pid))
        try:
            trouble(oracle, programs, samples, options.seconds)
            found = end(oracle, programs, samples, folder, [steady, small])
            happened = Counter(oracle.seen)
            found += books(folder, oracle, happened)
        finally:
            for one in [*programs.running, steady, small]:
                if one.poll() is None:
                    one.kill()
        happened.update(programs.done)
    absent = [*missing(happened), *(n for n in ("adoption", "eviction") if not happened[n])]
    found += [f"no {name} happened: the run proves too little" for name in absent]
    print(f"{len(oracle.delivered):,} events; " + ", ".join(
        f"{count:,} {name}" for name, count in sorted(happened.items())))  # fmt: skip
    for fault in found:
        print(f"FAULT: {fault} (seed {options.seed})")
    print("failed" if found else "all that was promised arrived")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
