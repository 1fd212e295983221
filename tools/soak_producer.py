"""A program of the soak: records events as fast as it is told to, and writes down what it owes.

Run by soak.py in a process of its own. Each line of its ledger is one write to a file, which
survives SIGKILL: ``i <n>`` before an event, ``d <n>`` after its block was left. Invariant: what has
a ``d`` is promised to arrive.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import time
from pathlib import Path
from types import FrameType

import orjson
from soak_backend import check_of

import sessiontrace as st


class Ledger:
    """One life's promises. A forked child opens its own."""

    def __init__(self, folder: Path, life: str) -> None:
        self.life = life
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(folder / f"{life}.ledger", flags, 0o600)

    def write(self, what: str, number: int) -> None:
        os.write(self._file, f"{what} {number}\n".encode())


def record(ledger: Ledger, number: int, size: int) -> None:
    """One event and its two lines in the ledger."""
    ledger.write("i", number)
    inputs = {
        "life": ledger.life,
        "number": number,
        "check": check_of(ledger.life, number),
        "text": "x" * size,
    }
    with st.span("event", type="tool", inputs=inputs):
        pass
    if st.stats().noted.get("memory_segment", 0) == 0:  # memory is not promised to outlive us
        ledger.write("d", number)


def fork(folder: Path, life: str, number: int) -> None:
    """A child that records a little and leaves without any hook being run."""
    if os.fork():
        return
    child = Ledger(folder, f"{life}-child-{number}")
    for each in range(20):
        record(child, each, 200)
    if number % 2:
        st.flush(2)
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--spool", required=True)
    parser.add_argument("--life", required=True)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--starve", action="store_true", help="leave it little room on the disk")
    options = parser.parse_args()
    if options.starve:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    asked: list[str] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append("fork" if number == signal.SIGUSR1 else "end")

    signal.signal(signal.SIGUSR1, ask)
    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    st.init(st.HoneyHive(api_key="soak", base_url=options.url), spool=options.spool, service="soak")
    ledger = Ledger(options.folder, options.life)  # its file tells that we listen to signals
    number = forks = 0
    while "end" not in asked:
        with st.session(f"{options.life} {number}"):
            for _ in range(20):
                record(ledger, number, 200 if number % 40 else 20_000)
                number += 1
                time.sleep(1 / options.rate)
                if "fork" in asked:
                    asked.remove("fork")
                    forks += 1
                    fork(options.folder, options.life, forks)
    report = st.shutdown(5)
    books = report.stats.destinations["honeyhive"]
    told = {
        "accepted": report.stats.accepted,
        "dropped": dict(report.stats.dropped),
        "noted": dict(report.stats.noted),
        "acked": books.acked,
        "evicted": books.evicted,
        "rejected": books.rejected,
        "sampled": books.sampled,
        "pending": books.pending,
        "adopted": books.adopted_acked,
    }
    (options.folder / f"{options.life}.books").write_bytes(orjson.dumps(told))


if __name__ == "__main__":
    main()
