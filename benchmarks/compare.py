"""Other tracing SDKs and ours, interleaved in one run, all against the same local sink.

Every peer has an environment of its own (`make bench-peers`; what is missing is left out and said).
Each round runs, for one SDK after the other, a fresh process on one core, and a sink in another:

  capture       a call of a traced function with a chat of 0.8 kB, fresh texts, 100 to a trace
                (``--session``): microseconds of the calling thread
  CPU           of all threads, an event, until the sink has acknowledged it
  agent of 10   the same where a trace has ten events, as an agent of ten steps makes it
  events/s      by the clock, to the last acknowledged
  delivered     share of the events that the sink has seen when flush returns
  off           what the decorated function costs over the bare one when tracing is switched off
  import        milliseconds of what a program must import, as its own processor time
  exit          seconds the program takes to end after 1000 events that the backend takes and never
                answers; lost: how many never arrive, even after the backend answers again and the
                program has run once more

None can reach more than loopback: where the system has network namespaces the whole run is in one,
and names of other hosts are refused and reported.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import environments
import subprocess_run
from environments import command, run, surroundings
from harness import Bench, Column, Table
from network_isolation import alone
from peers import NAMES, OURS
from plot import Bar, Bars, Stack
from sink import Sink

COLUMNS = (
    Column("title", "SDK", "s"),
    Column("version", "version", "s"),
    Column("capture_us", "capture us"),
    Column("cpu_us", "CPU us"),
    Column("agent_us", "agent of 10"),
    Column("events_per_second", "events/s", ",.0f"),
    Column("delivered", "delivered", ".0%"),
    Column("disabled_us", "off us", ".2f"),
    Column("import_ms", "import ms", ".0f"),
    Column("exit_s", "exit s"),
    Column("lost", "lost", ".0%"),
    Column("cpu_ratio", "CPU, ours / its", ".3f"),
    Column("otel_ratio", "CPU, its / opentelemetry's", ".3f"),
    Column("distributions", "dists", "d"),
    Column("mib", "MiB", ".0f"),
)

_IMPORT = """
import sys, time
begun, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
cpu, taken = time.process_time() - cpu, time.perf_counter() - begun
print('{"import_ms": %f, "import_wall_ms": %f}' % (cpu * 1000, taken * 1000))
"""

AGENT = 10  # events of a trace

Figures = dict[str, Any]


def deliver(name: str, sink: Sink, count: int, session: int) -> Figures:
    """To acknowledged; the share that the sink has seen by then."""
    sink.forget()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        asked = command(name, "deliver", url=sink.url, count=count, session=session)
        found = run(asked, scratch)
        counts = sink.counts()
    if "failed" in found:
        return found
    sent = counts["bytes"] / max(counts["events"], 1)
    return found | {"delivered": min(counts["events"] / found["expected"], 1.0), "bytes": sent}


def agents(name: str, sink: Sink, count: int) -> Figures:
    """The CPU of all threads for an event, in traces of ten."""
    figures = deliver(name, sink, count, AGENT)
    return figures if "failed" in figures else {"agent_us": figures["cpu_us"]}


def disabled(name: str, sink: Sink) -> Figures:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        return run(command(name, "disabled", url=sink.url, count=2_000), scratch)


def importing(name: str) -> Figures:
    """A program's imports, in a fresh interpreter."""
    asked = [environments.run_by(name), "-c", _IMPORT, environments.adapter(name).IMPORT]
    with tempfile.TemporaryDirectory() as scratch:
        return run(asked, scratch)


def leaving(name: str, sink: Sink, patience: float) -> Figures:
    """The end of a program whose backend hangs, and what of its events is ever seen."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        sink.mode("ok")
        sink.forget()
        asked = command(name, "leave", url=sink.url)
        ended = subprocess_run.watch(asked, patience, surroundings(scratch))
        sink.mode("ok")
        again = run(command(name, "come_back", url=sink.url), scratch)
        if "made" not in ended.figures or "failed" in again:
            return {"failed": again.get("failed", "leave: no figures")}
        arrived = sink.counts()["events"] - again["made"]
    found = {"exit_s": ended.seconds, "exit_killed": ended.killed}
    if ended.killed:  # what is missing then, we took
        return found
    return found | {"lost": 1 - min(max(arrived, 0) / ended.figures["made"], 1.0)}


def steps(names: list[str], options: Any) -> Iterator[tuple[str, str]]:
    """(round, SDK), interleaved: all of a round before the next one."""
    for number in range(options.rounds):
        yield from ((f"deliver {number}", name) for name in names)
        yield from ((f"agents {number}", name) for name in names)
    for number in range(options.rounds):
        yield from ((f"disabled {number}", name) for name in names)
        yield from ((f"import {number}", name) for name in names)
    for number in range(options.exits):
        yield from ((f"exit {number}", name) for name in names)


def measure(names: list[str], options: Any, step: Any) -> dict[str, list[Figures]]:
    """Everything, by SDK."""
    taken: dict[str, list[Figures]] = {name: [] for name in names}
    with Sink() as sink:
        for what, name in steps(names, options):
            if what.startswith("deliver"):
                figures = deliver(name, sink, options.count, options.session)
            elif what.startswith("agents"):
                figures = agents(name, sink, options.count)
            elif what.startswith("disabled"):
                figures = disabled(name, sink)
            elif what.startswith("import"):
                figures = importing(name)
            else:
                figures = leaving(name, sink, options.patience)
            taken[name].append(figures)
            step(f"{what}, {name}")
    return taken


def row_of(name: str, rounds: list[Figures]) -> Figures:
    """Medians of what was measured; what failed is in it."""
    row: Figures = {"name": name, "title": environments.title(name), **environments.facts(name)}
    row["settings"] = environments.adapter(name).SETTINGS
    keys = dict.fromkeys(key for one in rounds for key in one)
    for key in keys:
        values = [one[key] for one in rounds if key in one]
        if key == "failed":
            row["failed"] = sorted(set(values))
        elif key == "outside":
            row["outside"] = sorted({host for value in values for host in value})
        elif key == "exit_killed":
            row["exit_killed"] = any(values)
        elif key == "delivered":
            row["delivered"] = min(values)
        else:
            row[key] = statistics.median(values)
            row[f"{key}_from_to"] = [min(values), max(values)]
    return row


def plot(rows: list[Figures], words: str) -> Stack:
    """What an event costs, beside what its caller waits for."""

    def bars(title: str, key: str, unit: str) -> Bars:
        known = [row for row in rows if key in row]
        marks = [
            Bar(row["title"], row[key], row["name"] in OURS,
                "" if row.get("delivered", 1.0) > 0.999 else f"({row['delivered']:.0%} delivered)")
            for row in sorted(known, key=lambda row: row[key])
        ]  # fmt: skip
        return Bars(title, marks, unit)

    return Stack(
        (
            bars("CPU of all threads for an event, captured to acknowledged", "cpu_us", "us"),
            bars("Capture on the calling thread", "capture_us", "us"),
        ),
        words,
    )  # fmt: skip


def main() -> None:
    inside = alone()
    bench = Bench(__doc__)
    bench.option("--count", full=10_000, quick=1_000, help="events a round")
    bench.option("--session", full=100, quick=100, help="events of a session")
    bench.option("--rounds", full=5, quick=1, help="rounds")
    bench.option("--exits", full=1, quick=1, help="rounds of the exit")
    bench.option("--patience", full=60.0, quick=12.0, help="seconds until an exit is killed")
    bench.option("--only", full=list(NAMES), quick=list(NAMES), type=str, nargs="*", help="peers")
    options = bench.start()
    names = [name for name in (*OURS, *options.only) if environments.ready(name)]
    absent = {
        name: environments.failed(name) or "not installed: make bench-peers"
        for name in options.only
        if name not in names
    }
    if not set(OURS) <= set(names):
        sys.exit("make the environments first: make bench-peers")
    total = len(names) * (options.rounds * 4 + options.exits)
    with bench.progress(total) as step:
        taken = measure(names, options, step)
    rows = [row_of(name, rounds) for name, rounds in taken.items()]
    own = rows[0]
    theirs = next((row for row in rows if row["name"] == "opentelemetry"), {})
    for row in rows:
        if "cpu_us" in row and "cpu_us" in theirs:
            row["otel_ratio"] = row["cpu_us"] / theirs["cpu_us"]
        for key in ("cpu_us", "capture_us"):
            if key in row and key in own:
                row[key.replace("_us", "_ratio")] = own[key] / row[key]
    notes = [f"{name}: {why}" for name, why in absent.items()]
    notes += [f"{row['name']}: {why}" for row in rows for why in row.get("failed", ())]
    notes += [f"{row['name']} tried to reach {', '.join(row['outside'])}" for row in rows
              if row.get("outside")]  # fmt: skip
    notes.append(
        f"an exit of {options.patience:.0f} s or more was cut there, and has no figure for lost"
    )
    if not inside:
        notes.append("no network namespace here: only what the worker refuses was refused")
    bench.finish(
        Table("peers", COLUMNS, rows, "\n".join(notes)),
        plot=plot(rows, f"medians of {options.rounds} rounds"),
        absent=absent,
        alone=inside,
    )


if __name__ == "__main__":
    main()
