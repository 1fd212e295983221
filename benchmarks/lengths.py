"""What an event costs in sessions of every length, beside opentelemetry-sdk in the same run.

Each figure comes from a fresh process on one core that makes events of 0.8 kB with fresh texts, and
a sink on another core that takes them; the processes take turns. opentelemetry-sdk exports OTLP as
protobuf; its traces are as long as the sessions beside them. Length 10 is an agent of ten steps.

  CPU us     of all threads, an event, until it is acknowledged
  ratio      the CPU as a share of opentelemetry-sdk's; for several destinations that of each
  caller     of it, the thread that makes the events; keeper and sender are our other threads
  memory     MiB resident in a process that has delivered one event
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import attrs
import environments
from compare import deliver
from harness import Bench, Column, Table
from plot import Bar, Bars
from sink import Sink

PEER = "opentelemetry"
LONG = 0  # one session for all events

Figures = dict[str, Any]


@attrs.frozen
class Case:
    """An adapter, the events of its sessions, and how many destinations get each event."""

    title: str
    adapter: str
    length: int
    destinations: int = 1


CASES = (
    *(Case("HoneyHive", "sessiontrace", length) for length in (LONG, 100, 10)),
    *(Case("OTLP, protobuf", "sessiontrace_otlp", length) for length in (100, 10)),
    *(Case("local store", "sessiontrace_local", length) for length in (100, 10)),
    *(Case("four vendors at once", "sessiontrace_vendors", length, 4) for length in (100, 10)),
    *(Case("opentelemetry-sdk", PEER, length) for length in (LONG, 100, 10)),
)

COLUMNS = (
    Column("case", "events to"),
    Column("length", "events a session"),
    Column("cpu_us", "CPU us"),
    Column("ratio", "ratio", ".3f"),
    Column("capture_us", "caller us"),
    Column("keeper_us", "keeper us"),
    Column("sender_us", "sender us"),
    Column("events_per_second", "events/s", ",.0f"),
    Column("rate_ratio", "to its", ".2f"),
)


def delivered(case: Case, sink: Sink, count: int) -> Figures:
    """One process; all of its events must have arrived."""
    figures = deliver(case.adapter, sink, count, case.length or count)
    if "failed" in figures:
        sys.exit(f"{case.title}: {figures['failed']}")
    if figures["delivered"] < 1.0 and case.adapter != "sessiontrace_local":
        sys.exit(f"{case.title}: the sink saw {figures['delivered']:.1%} of the events")
    return figures


def resident(adapter: str, sink: Sink) -> float:
    """MiB of a process that has delivered one event."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        figures = environments.run(environments.command(adapter, "resident", url=sink.url), scratch)
    if "failed" in figures:
        sys.exit(f"{adapter}: {figures['failed']}")
    return float(figures["mib"])


def rows_of(measured: dict[Case, list[Figures]]) -> list[dict[str, Any]]:
    """Medians, each beside those of opentelemetry-sdk with sessions of the same length."""
    medians = {
        case: {
            key: statistics.median(figures[key] for figures in rounds)
            for key, value in rounds[0].items()
            if isinstance(value, (int, float))
        }
        for case, rounds in measured.items()
    }
    theirs = {case.length: figures for case, figures in medians.items() if case.adapter == PEER}
    rows = []
    for case, figures in medians.items():
        row = {"case": case.title, "length": str(case.length or "all"), **figures}
        if case.adapter != PEER:
            peer = theirs[case.length]
            row["ratio"] = figures["cpu_us"] / case.destinations / peer["cpu_us"]
            row["rate_ratio"] = figures["events_per_second"] / peer["events_per_second"]
        rows.append(row)
    return rows


def measure(
    options: Any, step: Callable[[str], None]
) -> tuple[dict[Case, list[Figures]], dict[str, list[float]]]:
    """Every case once in each round; the memory of each adapter with one destination."""
    measured: dict[Case, list[Figures]] = {case: [] for case in CASES}
    memory: dict[str, list[float]] = {"sessiontrace": [], "sessiontrace_otlp": [], PEER: []}
    with Sink() as sink:
        for _ in range(options.rounds):
            for case, rounds in measured.items():
                rounds.append(delivered(case, sink, options.count))
                step(f"{case.title}, {case.length or 'all'}")
            for adapter, sizes in memory.items():
                sizes.append(resident(adapter, sink))
                step(f"memory, {adapter}")
    return measured, memory


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--count", full=10_000, quick=500, help="events a round")
    bench.option("--rounds", full=9, quick=1, help="rounds")
    options = bench.start()
    if not environments.ready(PEER):
        print(f"not measured: {PEER} is not installed: make bench-peers")
        return
    with bench.progress(options.rounds * (len(CASES) + 3)) as step:
        measured, memory = measure(options, step)
    rows = rows_of(measured)
    bars = [
        Bar(f"{row['case']}, {row['length']} a session", row["cpu_us"], own="ratio" in row)
        for row in rows
    ]
    resident_rows = [
        {"adapter": environments.title(adapter), "mib": statistics.median(sizes)}
        for adapter, sizes in memory.items()
    ]
    bench.finish(
        Table("lengths", COLUMNS, rows),
        Table(
            "memory", (Column("adapter", "after one event"), Column("mib", "MiB")), resident_rows
        ),
        plot=Bars("CPU of all threads for an event, captured to acknowledged", bars, "us"),
    )


if __name__ == "__main__":
    main()
