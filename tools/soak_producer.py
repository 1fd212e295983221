"""A program of the soak: records events at a rate, and writes down what it is owed.

Run by soak.py in a process of its own. Each line of its ledger is one write to a file, which
survives SIGKILL: ``i <n>`` before an event, ``d <n>`` after its block was left. Invariant: what has
a ``d`` is promised to arrive.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import resource
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import orjson
from soak_backend import check_of
from soak_habits import Alarms, Pools

import sessiontrace as st

_STEPS = 20  # events of a session


class Ledger:
    """One life's promises. A forked child opens its own."""

    def __init__(self, folder: Path, life: str) -> None:
        self.life = life
        self.numbers = itertools.count()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(folder / f"{life}.ledger", flags, 0o600)

    def write(self, what: str, number: int) -> None:
        os.write(self._file, f"{what} {number}\n".encode())


def record(ledger: Ledger, session: str, size: int = 0) -> None:
    """One event and its two lines in the ledger; ``session`` is the id of its session or ""."""
    number = next(ledger.numbers)
    ledger.write("i", number)
    inputs = {
        "life": ledger.life,
        "number": number,
        "check": check_of(ledger.life, number),
        "session": session,
        "text": "x" * (size or (200 if number % 40 else 20_000)),
    }
    with st.span(f"event {number}", type="tool", inputs=inputs):
        pass
    if st.stats().noted.get("memory_segment", 0) == 0:  # memory is not promised to outlive us
        ledger.write("d", number)


def fork(folder: Path, life: str, number: int) -> None:
    """A child that records a little and leaves without any hook being run."""
    if os.fork():
        return
    child = Ledger(folder, f"{life}-child-{number}")
    for _ in range(20):
        record(child, "", 200)
    if number % 2:
        st.flush(2)
    os._exit(0)


class Program:
    """The sessions of one program, one after the other, until SIGTERM."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.habits = set(options.habits.split(","))
        self.alarms = Alarms()
        self.pools = Pools()
        self.done: Counter[str] = Counter()
        self._signals: list[str] = []
        self._forks = 0
        signal.signal(signal.SIGUSR1, self._note_signal)
        signal.signal(signal.SIGTERM, self._note_signal)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        self.ledger = Ledger(options.folder, options.life)  # its file says that signals are handled

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append("fork" if number == signal.SIGUSR1 else "end")

    def configure(self, turn: int) -> None:
        """``st.init`` as every request may call it; at times with another service or key."""
        options = self.options
        service = f"soak {turn // 25 % 2}" if "reinit" in self.habits else "soak"
        if options.store:
            st.init(st.Local(path=options.store), spool=options.spool, service=service)
            return
        key = options.key or (options.folder / "key").read_text()
        hive = st.HoneyHive(api_key=key, base_url=options.url)
        st.init(hive, spool=options.spool, service=service)

    def run(self) -> None:
        """Record until SIGTERM."""
        self.configure(0)
        bystander = threading.Thread(target=self._stand_by)
        if "reinit" in self.habits:
            bystander.start()
        self._record_sessions()
        if bystander.ident:
            bystander.join()  # what is recorded after the shutdown is dropped

    def _record_sessions(self) -> None:
        for turn in itertools.count():
            if "end" in self._signals:
                return
            if "alarms" in self.habits:
                self.alarms.run(functools.partial(self.session, turn))
            else:
                self.session(turn)

    def session(self, turn: int) -> None:
        """One session of twenty events."""
        if "reinit" in self.habits:
            self.configure(turn)
            self.done["init again"] += 1
        with st.session(f"{self.options.life} {turn}") as session:
            for step in range(_STEPS):
                if "pools" in self.habits and step % 2:
                    self.pools.run(record, self.ledger, session.session_id)
                else:
                    record(self.ledger, session.session_id)
                time.sleep(1 / self.options.rate)
                if "fork" in self._signals:
                    self._signals.remove("fork")
                    self._forks += 1
                    fork(self.options.folder, self.options.life, self._forks)

    def _stand_by(self) -> None:
        """Sessions that stay open across the configurations of others."""
        while "end" not in self._signals:
            with st.session("bystander") as session:
                for _ in range(10):
                    if "end" not in self._signals:
                        record(self.ledger, session.session_id, 200)
                        time.sleep(0.2)

    def books(self) -> dict[str, object]:
        """End, and the counts at the end."""
        report = st.shutdown(5)
        counts = next(iter(report.stats.destinations.values()))
        return {
            "accepted": report.stats.accepted,
            "dropped": dict(report.stats.dropped),
            "noted": dict(report.stats.noted),
            "acked": counts.acked,
            "evicted": counts.evicted,
            "rejected": counts.rejected,
            "sampled": counts.sampled,
            "pending": counts.pending,
            "adopted": counts.adopted_acked,
            "swallowed": self.alarms.swallowed,
            "done": {**self.done, "alarm": self.alarms.raised, "pooled event": self.pools.tasks},
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--spool", required=True)
    parser.add_argument("--life", required=True)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument(
        "--key", default="", help="default: what the file `key` says, as it changes"
    )
    parser.add_argument("--store", default="", help="record into this local store")
    parser.add_argument("--habits", default="", help="of alarms, pools, reinit; or none")
    parser.add_argument("--starve", action="store_true", help="leave it little room on the disk")
    options = parser.parse_args()
    if options.starve:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    program = Program(options)
    program.run()
    (options.folder / f"{options.life}.books").write_bytes(orjson.dumps(program.books()))


if __name__ == "__main__":
    main()
