"""The whole life of an event, from capture to acknowledged, for one and for several destinations.

Each figure comes from a fresh process of ours on one core, against a sink in a process of its own:
events a second by the clock, CPU microseconds an event over all our threads and of the sink, bytes
sent an event, requests, how far resident memory grew. An event is a span with a chat of 0.8 kB as
inputs, 100 to a session; the texts are fresh at every event, and made before the clock starts.

  destinations   each alone, then 2 and 4 at once
  50 ms          the same with a sink that takes so long to answer
  recovery       the events were left in the spool by a process that was killed
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine_info
import payloads
import subprocess_run
from harness import Bench, Column, Table
from plot import Bar, Bars
from sink import Sink

import sessiontrace as st

SETS = {
    "honeyhive": ("honeyhive",),
    "humanloop": ("humanloop",),
    "posthog": ("posthog",),
    "otlp": ("otlp",),
    "local": ("local",),
    "2 (honeyhive, otlp)": ("honeyhive", "otlp"),
    "4 (all vendors)": ("honeyhive", "humanloop", "posthog", "otlp"),
}
A_SESSION = 100
WARM_UP = 500
PATIENCE_S = 300

COLUMNS = (
    Column("case", "destinations", "s"),
    Column("events_per_second", "events/s", ".0f"),
    Column("cpu_us", "CPU us"),
    Column("cpu_us_per_destination", "each"),
    Column("capture_us", "caller us"),
    Column("bytes", "bytes", ".0f"),
    Column("requests", "requests", ".0f"),
    Column("sink_us", "sink us"),
    Column("grown_mib", "MiB more"),
    Column("peak_mib", "MiB peak", ".0f"),
)


def destination(name: str, url: str, root: Path) -> Any:
    """A destination by name, all of them at the sink."""
    if name == "honeyhive":
        return st.HoneyHive(api_key="benchmark", base_url=url)
    if name == "humanloop":
        return st.Humanloop(api_key="benchmark", base_url=f"{url}/v4")
    if name == "posthog":
        return st.PostHog(api_key="phc_benchmark", base_url=url)
    if name == "otlp":
        return st.OTLP(endpoint=url)
    return st.Local(path=root / "store.db")


def produce(tracer: st.Tracer, chats: list[payloads.Messages]) -> float:
    """The chats as events in sessions of 100; the seconds of this thread that it took."""
    begun = time.thread_time()
    for first in range(0, len(chats), A_SESSION):
        with tracer.session("benchmark"):
            for chat in chats[first : first + A_SESSION]:
                with tracer.span("step", type="model", inputs={"messages": chat}) as span:
                    span.set(outputs=payloads.ANSWER)
    return time.thread_time() - begun


def opened(names: list[str], url: str, root: str) -> st.Tracer:
    there = [destination(name, url, Path(root)) for name in names]
    return st.Tracer(*there, spool=Path(root) / "spool", exit_timeout=0)


def deliver(names: list[str], url: str, root: str, count: int, repeat: bool) -> dict[str, float]:
    """In a process of its own: events made and acknowledged."""
    tracer = opened(names, url, root)
    produce(tracer, payloads.fresh(WARM_UP))
    tracer.flush(timeout=PATIENCE_S)
    chats = (payloads.repeated if repeat else payloads.fresh)(count)
    before = tracer.stats()
    gc.collect()
    gc.freeze()  # a program that makes its texts as it goes would not carry these
    machine_info.forget_peak()
    resident = machine_info.resident_mib()
    begun, cpu = time.perf_counter(), time.process_time()
    capture = produce(tracer, chats)
    report = tracer.flush(timeout=PATIENCE_S)
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if not report:
        sys.exit(f"not everything was delivered: {report}")
    found = figures(before, report.stats, count, taken, cpu, resident, len(names))
    tracer.shutdown(timeout=5)
    return found | {"capture_us": capture / count * 1e6}


def recover(names: list[str], url: str, root: str, count: int) -> dict[str, float]:
    """In a process of its own: events that a killed one left behind, acknowledged."""
    tracer = opened(names, url, root)
    before = tracer.stats()
    resident = machine_info.resident_mib()
    begun, cpu = time.perf_counter(), time.process_time()
    produce(tracer, payloads.fresh(1))  # the first record starts the threads that adopt
    while time.perf_counter() - begun < PATIENCE_S:
        stats = tracer.stats()
        if all(one.adopted_acked >= count for one in stats.destinations.values()):
            break
        time.sleep(0.005)
    else:
        sys.exit(f"not everything was recovered: {stats}")
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    found = figures(before, stats, count, taken, cpu, resident, len(names))
    tracer.shutdown(timeout=5)
    return found


def figures(
    before: Any, after: Any, count: int, taken: float, cpu: float, resident: float, several: int
) -> dict[str, float]:
    """One round's row."""

    def more(what: str) -> int:
        new, old = (
            sum(getattr(one, what) for one in stats.destinations.values())
            for stats in (after, before)
        )
        return int(new - old)

    return {
        "events_per_second": count / taken,
        "seconds": taken,
        "cpu_us": cpu / count * 1e6,
        "cpu_us_per_destination": cpu / count / several * 1e6,
        "bytes": more("bytes") / count,
        "requests": more("requests"),
        "grown_mib": machine_info.peak_mib() - resident,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def leave_behind(names: list[str], url: str, root: str, count: int) -> None:
    """Fill the spool for the given destinations and die."""
    tracer = opened(names, url, root)
    for _ in range(0, count, A_SESSION):
        produce(tracer, payloads.fresh(A_SESSION))
    os.kill(os.getpid(), signal.SIGKILL)


WORK: dict[str, Callable[..., Any]] = {
    "deliver": deliver,
    "recover": recover,
    "leave_behind": leave_behind,
}


def work(what: str, **asked: Any) -> Any:
    return WORK[what](**asked)


def round_of(names: tuple[str, ...], count: int, latency: float, repeat: bool) -> dict[str, Any]:
    """One round of a row, in a fresh process, with a fresh sink that must have seen it all."""
    with Sink(latency) as sink, tempfile.TemporaryDirectory() as scratch:
        before = sink.counts()["cpu_s"]
        found = subprocess_run.ask(what="deliver", names=names, url=sink.url, root=scratch,
                                   count=count, repeat=repeat)  # fmt: skip
        seen = sink.counts()
    remote = [name for name in names if name != "local"]
    made = (count + WARM_UP) * len(remote)
    if seen["events"] < made:
        sys.exit(f"{names}: the sink saw {seen}")
    if made:
        found["sink_us"] = (seen["cpu_s"] - before) / (count + WARM_UP) * 1e6
    return found


def recovery(names: tuple[str, ...], count: int) -> dict[str, Any]:
    """One round of recovery: a process that dies with its spool full, and the one after it."""
    with Sink() as sink, tempfile.TemporaryDirectory() as scratch:
        asked = {"names": names, "url": sink.url, "root": scratch, "count": count}
        sink.mode("hang")  # so that nothing of it is delivered yet
        ended = subprocess_run.outcome({"what": "leave_behind", **asked}, PATIENCE_S)
        if ended.code != -signal.SIGKILL:
            sys.exit(f"{names}: the first process ended by itself, with {ended.code}")
        sink.mode("ok")
        return subprocess_run.ask(what="recover", **asked)


def plan(options: Any) -> list[tuple[str, str, Any]]:
    """(table, row, what makes one round of it)."""

    def sets(latency: float, repeat: bool = False) -> Any:
        return lambda names: lambda: round_of(names, options.count, latency, repeat)

    chosen = {label: names for label, names in SETS.items() if label in options.only}
    found = [("at once", label, sets(0.0)(names)) for label, names in chosen.items()]
    if "honeyhive" in chosen:
        names = SETS["honeyhive"]
        found.append(("at once", "honeyhive, repeated texts", sets(0.0, True)(names)))
    slow = [label for label in chosen if label != "local" and not options.quick]
    slow = slow or [label for label in chosen if label == "honeyhive"]
    found += [("50 ms", label, sets(0.05)(SETS[label])) for label in slow]
    found += [
        ("recovery", label, lambda label=label: recovery(SETS[label], options.backlog))
        for label in (slow if not options.quick else slow[:1])
        if len(SETS[label]) == 1
    ]
    return found


def main() -> None:
    if subprocess_run.answer(work):
        return
    bench = Bench(__doc__)
    bench.option("--count", full=40_000, quick=2_000, help="events a round")
    bench.option("--backlog", full=100_000, quick=5_000, help="events to recover")
    bench.option("--rounds", full=5, quick=1, help="rounds")
    bench.option(
        "--only", full=list(SETS), quick=list(SETS), type=str, nargs="+", help="these sets"
    )
    options = bench.start()
    planned = plan(options)
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    with bench.progress(options.rounds * len(planned)) as step:
        for _ in range(options.rounds):  # taking turns: the machine has its moods
            for table, row, once in planned:
                taken.setdefault((table, row), []).append(once())
                step(f"{table}: {row}")
    tables: dict[str, list[dict[str, Any]]] = {}
    for (table, row), rounds in taken.items():
        medians = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        tables.setdefault(table, []).append({"case": row, **medians})
    bars = [
        Bar(row["case"], row["cpu_us"], own=True, note=f"{row['events_per_second']:,.0f} events/s")
        for row in tables["at once"]
    ]
    bench.finish(
        *(Table(name, COLUMNS, rows, f"({name})") for name, rows in tables.items()),
        plot=Bars("CPU of all threads, an event from capture to acknowledged", bars, "us"),
    )


if __name__ == "__main__":
    main()
