"""The programs of the soak: what is started, and what is done to them and to their files.

Used in the supervisor's main thread. Invariant: whatever is removed or revoked, what is promised
after it can be said from the ledgers.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import attrs
import orjson
import psutil  # type: ignore[import-untyped]
from soak_backend import Oracle

__all__ = ["STABLE_KEY", "Program", "Programs", "Samples"]

STABLE_KEY = "soak-stable"
"""The key of the programs that live through everything; that of the others is rotated."""

_HERE = Path(__file__).resolve().parent
_ROTATE_S = 15.0
_REMOVE_S = 4.0
_GRACE_S = 3.0  # how long a rotated key is still accepted
_NOTICE_S = 1.0  # a program notices within half a second that its spool is gone
_HABITS = ("none", "alarms", "pools", "reinit", "alarms,reinit", "pools,reinit")

Program = subprocess.Popen[bytes]


@attrs.define
class Programs:
    """The producers that run now, and what was done to them."""

    folder: Path
    oracle: Oracle
    dice: random.Random
    done: Counter[str] = attrs.field(factory=Counter)
    running: list[Program] = attrs.field(factory=list)
    lasting: list[Program] = attrs.field(factory=list)
    names: dict[int, str] = attrs.field(factory=dict)
    ways: dict[str, str] = attrs.field(factory=dict)
    lives: int = 0
    store_mark: int = 0
    """Events of the program with a store of lower numbers may have been removed with it."""
    spool_mark: int = 0
    """Events of the program "moved" of lower numbers may have been removed with its spool."""
    _unnoticed: bool = False
    _rotated: float = attrs.field(factory=time.monotonic)
    _removed: float = attrs.field(factory=time.monotonic)

    def start(self, life: str = "", spool: str = "spool", **options: str) -> Program:
        """A producer; its life's name is in everything it records."""
        self.lives += 1
        words = [word for name, value in options.items() for word in (f"--{name}", value) if word]
        environment = {**os.environ, "PYTHONPATH": f"{_HERE.parent}{os.pathsep}{_HERE}"}
        if spool == "small":
            environment["SESSIONTRACE_SPOOL_QUOTA"] = str(1 << 20)
        life = life or f"life-{self.lives}"
        program = subprocess.Popen(
            [sys.executable, str(_HERE / "soak_producer.py"), "--folder", str(self.folder),
             "--url", self.oracle.url, "--spool", str(self.folder / spool),
             "--life", life, *words],
            env=environment,
        )  # fmt: skip
        self.names[program.pid] = life
        self.ways[life] = " ".join(words)
        return program

    def start_lasting(self) -> Program:
        """The programs that live through everything; returns the one whose memory is watched."""
        self.rotate()
        self._removed = time.monotonic()
        steady = self.start("steady", rate="150", key=STABLE_KEY)
        self.lasting = [
            steady,
            self.start("small", "small", rate="400", key=STABLE_KEY),
            self.start("moved", "moved", rate="100", key=STABLE_KEY, habits="pools"),
            self.start("store", "own", rate="100", store=str(self.folder / "store.db")),
            self.start("patient", "alarmed", rate="100", key=STABLE_KEY, habits="alarms"),
        ]
        return steady

    def act(self) -> None:
        """Do something to one of them or to their files, and keep three running."""
        self.done["failed"] += sum((program.poll() or 0) > 0 for program in self.running)
        self.running = [program for program in self.running if program.poll() is None]
        while len(self.running) < 3:
            starve = self.dice.random() < 0.2
            self.done["starved"] += starve
            self.running.append(self._start_any(starve))
        now = time.monotonic()
        if now - self._rotated > _ROTATE_S:
            self.rotate()
        if len(self.oracle.keys) > 2 and now - self._rotated > _GRACE_S:
            self.oracle.keys = {STABLE_KEY, self._key()}
        if now - self._removed > _NOTICE_S:
            self.note_removal()
        if now - self._removed > _REMOVE_S:
            self._removed = now
            self.dice.choice([self.remove_spool, self.remove_store])()
        self._act_on(self.dice.choice(self.running))

    def _start_any(self, starve: bool) -> Program:
        habits = self.dice.choice(_HABITS)
        return self.start(rate="200", habits=habits, **({"starve": ""} if starve else {}))

    def _act_on(self, program: Program) -> None:
        what = self.dice.choice(["kill", "stop", "fork", "fork", "end"])
        self.done[what] += 1
        if what == "kill":
            program.kill()
            program.wait()
        elif what == "stop":
            program.send_signal(signal.SIGSTOP)
            time.sleep(self.dice.random())
            program.send_signal(signal.SIGCONT)
        # Not before its handlers are there: until then either would end it.
        elif (self.folder / f"{self.names[program.pid]}.ledger").exists():
            program.send_signal(signal.SIGUSR1 if what == "fork" else signal.SIGTERM)

    # -- keys and files ----------------------------------------------------------------------

    def _key(self) -> str:
        return (self.folder / "key").read_text()

    def rotate(self) -> None:
        """A new key for all that look; the one before is accepted for a few seconds longer."""
        self._rotated = time.monotonic()
        self.done["key rotated"] += 1
        key = f"soak-{self.done['key rotated']}"
        self.oracle.keys.update({STABLE_KEY, key})
        (self.folder / "new key").write_text(key)
        (self.folder / "new key").replace(self.folder / "key")

    def remove_spool(self) -> None:
        """Remove or move the spools of a program that goes on, and of no other."""
        root = self.folder / "moved"
        if not root.exists():
            return
        self.done["spool removed"] += 1
        if self.dice.random() < 0.5:
            root.rename(self.folder / f"moved-{self.done['spool removed']}")
        else:
            shutil.rmtree(root, ignore_errors=True)
            self._unnoticed = True

    def note_removal(self) -> None:
        """What the program has begun by now may be gone with its spool; what follows may not."""
        if self._unnoticed:
            self._unnoticed = False
            self.spool_mark = self._begun("moved")

    def _begun(self, life: str) -> int:
        """The highest number of an event that a program has begun."""
        lines = (self.folder / f"{life}.ledger").read_text().splitlines()
        return max(int(line.split()[1]) for line in lines)

    def remove_store(self) -> None:
        """Remove or move the files of the local store while a program writes to it."""
        files = sorted(self.folder.glob("store.db*"))
        if not files:
            return
        self.done["store removed"] += 1
        attic = self.folder / f"attic-{self.done['store removed']}"
        attic.mkdir()
        move = self.dice.random() < 0.5
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # SQLite may have removed it just now
                if move:
                    file.rename(attic / file.name)
                else:
                    file.unlink()
        self.store_mark = self._begun("store")

    # -- the end -----------------------------------------------------------------------------

    def stop_all(self, programs: list[Program]) -> None:
        """Ask all to end in an orderly way, and see that they do."""
        for program in programs:
            program.send_signal(signal.SIGCONT)
            program.send_signal(signal.SIGTERM)
        for program in programs:
            try:
                self.done["failed"] += program.wait(30) > 0
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
                self.done["did not end"] += 1

    def send_what_waits(self) -> None:
        """Send what waits for a rotated key, and what is in spools that no program uses now."""
        spool = str(self.folder / "spool")
        for fingerprint in sorted(self._waiting(spool)):
            self.done["sent from an old key"] += 1
            words = ("--adopt-from", fingerprint, "--yes", "--timeout", "60")
            self._command(self._key(), "flush", spool, *words)
        for root in (self.folder / "alarmed", *self.folder.glob("moved*")):
            self.done["sent from a spool of its own"] += 1
            self._command(STABLE_KEY, "flush", str(root), "--timeout", "60")

    def _waiting(self, spool: str) -> set[str]:
        """The fingerprints that records of ended programs wait for."""
        listing = self._command(self._key(), "status", spool, "--json")
        return {
            lag["consumer"]["fingerprint"]
            for status in orjson.loads(listing)
            if not status["alive"]
            for lag in status["lags"]
            if lag["pending"]
        }

    def _command(self, key: str, *words: str) -> bytes:
        environment = {
            **os.environ,
            "PYTHONPATH": str(_HERE.parent),
            "SESSIONTRACE_DESTINATIONS": "honeyhive",
            "HH_API_KEY": key,
            "HH_API_URL": self.oracle.url,
        }
        command = [sys.executable, "-m", "sessiontrace", "spool", *words]
        return subprocess.run(
            command, env=environment, capture_output=True, check=False, timeout=90
        ).stdout

    def kill_all(self) -> None:
        """Leave none behind."""
        for program in [*self.running, *self.lasting]:
            if program.poll() is None:
                program.kill()


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
