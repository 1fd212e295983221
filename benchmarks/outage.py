"""A backend that is down while 100 000 events are captured: memory, and nothing lost.

A process of its own is refused every connection. Its resident memory is read before the first event
and at its peak; what it cannot deliver is in the spool, on disk and within the quota. Then the
backend is there again, and what arrives is counted.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine_info
import payloads
import subprocess_run
from export import A_SESSION, opened, produce, recover
from harness import Bench, Column, Table
from plot import Bar, Bars
from sink import Sink, refusing


def capture(url: str, root: str, count: int) -> None:
    """In a process of its own, which is then killed: events that no backend takes."""
    tracer = opened(["honeyhive"], url, root)
    produce(tracer, payloads.fresh(1))
    machine_info.forget_peak()
    resident, begun, caller = machine_info.resident_mib(), time.perf_counter(), 0.0
    for _ in range(0, count, A_SESSION):
        caller += produce(tracer, payloads.fresh(A_SESSION))
    seconds, stats = time.perf_counter() - begun, tracer.stats()
    only = stats.destinations["honeyhive"]
    files = [one.stat() for one in Path(root).rglob("*") if one.is_file()]
    subprocess_run.tell(
        {
            "grown_mib": machine_info.peak_mib() - resident,
            "spool_mib": sum(one.st_blocks for one in files) / 2048,
            "caller_us": caller / count * 1e6,
            "events_per_second": count / seconds,
            "lost": sum(stats.dropped.values()) + only.evicted + only.rejected,
        }
    )
    os.kill(os.getpid(), signal.SIGKILL)


WORK: dict[str, Callable[..., Any]] = {"capture": capture, "recover": recover}


def work(what: str, **asked: Any) -> Any:
    return WORK[what](**asked)


def measure(count: int) -> dict[str, float]:
    """One round: down, then up again for the next process with the same spool."""
    with tempfile.TemporaryDirectory() as root:
        with refusing() as port:
            asked = {"url": f"http://127.0.0.1:{port}", "root": root, "count": count}
            found = subprocess_run.outcome({"what": "capture", **asked}, patience=60).figures
        with Sink(port=port) as sink:
            later = subprocess_run.ask(what="recover", names=["honeyhive"], **asked)
            arrived = sink.counts()["events"]
    missing = max(count - arrived, 0)
    return {**found, "missing": missing, "recovery_seconds": later["seconds"]}


def main() -> None:
    if subprocess_run.answer(work):
        return
    bench = Bench(__doc__)
    bench.option("--count", full=100_000, quick=5_000, help="events")
    bench.option("--rounds", full=5, quick=1, help="rounds")
    options = bench.start()
    rounds = []
    with bench.progress(options.rounds) as step:
        for number in range(options.rounds):
            rounds.append(measure(options.count))
            step(f"round {number + 1}")
    row: dict[str, Any] = {"events": options.count}
    row |= {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    columns = (
        Column("events", "events", ",.0f"),
        Column("grown_mib", "MiB more in memory"),
        Column("spool_mib", "MiB on disk"),
        Column("caller_us", "caller us"),
        Column("lost", "dropped", ".0f"),
        Column("missing", "missing later", ".0f"),
        Column("recovery_seconds", "s to recover"),
    )
    bars = [Bar("memory", row["grown_mib"], own=True), Bar("disk", row["spool_mib"])]
    title = f"{options.count:,} events while the backend is down"
    bench.finish(Table("outage", columns, [row]), plot=Bars(title, bars, "MiB"))


if __name__ == "__main__":
    main()
