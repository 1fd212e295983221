"""The whole life of an event, from capture to acknowledged, for one and for several destinations.

Each row is a fresh process of ours against a sink in a process of its own: events a second by the
clock, CPU microseconds an event over all our threads, bytes sent and requests an event, and the
peak of resident memory. An event is a span with a chat of 0.8 kB as inputs, 100 to a session.
With --recovery the events are left in the spool first and a second process delivers them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from capture import ANSWER, PAYLOAD
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


def produce(tracer: st.Tracer, count: int) -> None:
    """``count`` events in sessions of 100."""
    for _ in range(count // A_SESSION):
        with tracer.session("benchmark"):
            for _ in range(A_SESSION):
                with tracer.span("step", type="model", inputs=PAYLOAD) as span:
                    span.set(outputs=ANSWER)


def deliver(names: list[str], url: str, root: Path, count: int, backlog: int) -> dict[str, Any]:
    """Run in a process of its own: the figures of one round."""
    tracer = st.Tracer(
        *(destination(name, url, root) for name in names), spool=root / "spool", exit_timeout=0
    )
    begun, cpu = time.perf_counter(), time.process_time()
    produce(tracer, max(count - backlog, A_SESSION))
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        report = tracer.flush(timeout=300)
        if all(
            delivery.adopted_acked >= backlog for delivery in report.stats.destinations.values()
        ):
            break
        time.sleep(0.01)
    taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if not report:
        sys.exit(f"not everything was delivered: {report}")
    found = {
        "events_per_second": count / taken,
        "cpu_us_per_event": cpu / count * 1e6,
        "bytes_per_event": sum(d.bytes for d in report.stats.destinations.values()) / count,
        "requests": sum(d.requests for d in report.stats.destinations.values()),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    tracer.shutdown(timeout=5)
    return found


def leave_behind(names: list[str], url: str, root: Path, count: int) -> None:
    """Fill the spool for the given destinations and die."""
    tracer = st.Tracer(
        *(destination(name, url, root) for name in names), spool=root / "spool", exit_timeout=0
    )
    produce(tracer, count)
    os.kill(os.getpid(), signal.SIGKILL)


def row(names: tuple[str, ...], count: int, latency: float, recovery: bool) -> dict[str, Any]:
    """One round in fresh processes."""
    with Sink(latency) as sink, tempfile.TemporaryDirectory() as scratch:
        base = [sys.executable, __file__, "--worker", ",".join(names), "--root", scratch,
                "--url", sink.url, "--count", str(count)]  # fmt: skip
        backlog = 0
        if recovery:
            sink.pause()  # so that nothing of it is delivered yet
            subprocess.run([*base, "--leave"], check=False)
            sink.resume()
            backlog = count
        done = subprocess.run(
            [*base, "--backlog", str(backlog)], check=True, capture_output=True, text=True
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000, help="events a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--latency", type=float, default=0.0, help="the sink's, in seconds")
    parser.add_argument("--recovery", action="store_true", help="deliver a killed process's spool")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for hidden in ("--worker", "--root", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--leave", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--backlog", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        names, root = options.worker.split(","), Path(options.root)
        if options.leave:
            leave_behind(names, options.url, root, options.count)
        print(json.dumps(deliver(names, options.url, root, options.count, options.backlog)))
        return

    table: dict[str, dict[str, float]] = {}
    for label, names in SETS.items():
        rounds = []
        for number in range(options.rounds):
            print(f"\r{label}: {number + 1}/{options.rounds}   ", end="", file=sys.stderr,
                  flush=True)  # fmt: skip
            rounds.append(row(names, options.count, options.latency, options.recovery))
        print(file=sys.stderr)
        table[label] = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    if options.json:
        print(json.dumps(table))
        return
    print(f"{'destinations':<22}{'events/s':>10}{'CPU us':>8}{'per dest.':>10}{'bytes':>8}"
          f"{'requests':>10}{'MiB':>6}")  # fmt: skip
    for label, found in table.items():
        print(
            f"{label:<22}{found['events_per_second']:>10.0f}{found['cpu_us_per_event']:>8.1f}"
            f"{found['cpu_us_per_event'] / len(SETS[label]):>10.1f}"
            f"{found['bytes_per_event']:>8.0f}{found['requests']:>10.0f}{found['peak_mib']:>6.0f}"
        )


if __name__ == "__main__":
    main()
