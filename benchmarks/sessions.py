"""Short sessions a second to each destination, from the first one opened to the last acknowledged.

Each session has three steps. HoneyHive needs a request for it before its events go out, Humanloop
one for each level of it. The backend is a sink in a process of its own that waits a set time before
it answers.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import Any

import subprocess_run
from export import PATIENCE_S, opened
from harness import Bench, Column, Table
from plot import Bar, Bars
from sink import Sink

STEPS = 3
DESTINATIONS = ("honeyhive", "humanloop", "posthog", "otlp", "local")
WARM_UP = 20


def run(destination: str, url: str, root: str, count: int) -> dict[str, float]:
    """In a process of its own: so many sessions, acknowledged."""
    tracer = opened([destination], url, root)

    def produce(count: int) -> Any:
        for number in range(count):
            with tracer.session("short", inputs={"number": number}) as session:
                for step in range(STEPS):
                    with tracer.span("step", type="tool", inputs={"step": step}):
                        pass
                session.set(outputs={"done": True})
        return tracer.flush(timeout=PATIENCE_S)

    produce(WARM_UP)
    begun, cpu = time.perf_counter(), time.process_time()
    report = produce(count)
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if not report:
        sys.exit(f"not everything was delivered: {report}")
    tracer.shutdown(timeout=5)
    return {"sessions_per_second": count / taken, "cpu_us": cpu / count * 1e6}


def measure(destination: str, latency: float, count: int) -> dict[str, float]:
    """One round, which the sink must have seen whole and in order."""
    with Sink(latency) as sink, tempfile.TemporaryDirectory() as scratch:
        found = subprocess_run.ask(destination=destination, url=sink.url, root=scratch, count=count)
        counts = sink.counts()
    least = 0 if destination == "local" else (count + WARM_UP) * STEPS
    early = counts["before_their_session"]
    if counts["events"] < least:
        sys.exit(f"the sink did not see everything: {counts}")
    if destination == "honeyhive" and (counts["sessions"] != count + WARM_UP or early):
        sys.exit(f"HoneyHive did not see every session before its events: {counts}")
    return {name: float(figure) for name, figure in found.items()}


def main() -> None:
    if subprocess_run.answer(run):
        return
    bench = Bench(__doc__)
    bench.option("--count", full=2_000, quick=200, help="sessions a round")
    bench.option("--rounds", full=5, quick=1, help="rounds")
    bench.option("--latency", full=[0.0, 0.05], quick=[0.0], nargs="+", help="seconds")
    options = bench.start()
    latencies = {latency: f"{latency * 1000:.0f} ms" for latency in options.latency}
    variants = [(where, latency) for latency in latencies for where in DESTINATIONS
                if where != "local" or not latency]  # fmt: skip
    taken: dict[tuple[str, float], list[dict[str, float]]] = {one: [] for one in variants}
    with bench.progress(options.rounds * len(variants)) as step:
        for _ in range(options.rounds):
            for one in variants:
                taken[one].append(measure(*one, options.count))
                step(f"{one[0]}, {latencies[one[1]]}")
    rows: list[dict[str, Any]] = []
    for (where, latency), rounds in taken.items():
        medians = {key: statistics.median(found[key] for found in rounds) for key in rounds[0]}
        rows.append({"destination": where, "latency": latencies[latency], **medians})
    columns = (
        Column("destination", "destination"),
        Column("latency", "latency"),
        Column("sessions_per_second", "sessions/s", ".0f"),
        Column("cpu_us", "CPU us a session", ".0f"),
    )
    bars = [
        Bar(f"{row['destination']}, {row['latency']}", row["sessions_per_second"], own=True)
        for row in rows
    ]
    bench.finish(
        Table("sessions", columns, rows),
        plot=Bars("Short sessions to acknowledged", bars, "a second"),
    )


if __name__ == "__main__":
    main()
