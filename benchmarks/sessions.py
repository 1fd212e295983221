"""Short sessions a second to HoneyHive, from the first one opened to the last one acknowledged.

Each session has three steps and needs a request of its own before its events go out. The backend
is a sink in a process of its own that waits a set time before it answers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sink import Sink

import sessiontrace as st

STEPS = 3


def run(count: int, latency: float) -> tuple[float, dict[str, object]]:
    """Sessions a second, and what the sink saw."""
    with Sink(latency) as sink, tempfile.TemporaryDirectory() as scratch:
        tracer = st.Tracer(
            st.HoneyHive(api_key="benchmark", base_url=sink.url), spool=Path(scratch) / "spool"
        )
        begun = time.perf_counter()
        for number in range(count):
            with tracer.session("short", inputs={"number": number}) as session:
                for step in range(STEPS):
                    with tracer.span("step", type="tool", inputs={"step": step}):
                        pass
                session.set(outputs={"done": True})
        report = tracer.flush(timeout=300)
        taken = time.perf_counter() - begun
        tracer.shutdown(timeout=5)
        if not report:
            sys.exit(f"not everything was delivered: {report}")
        counts = sink.counts()
    if counts["events"] != count * STEPS or counts["sessions"] != count:
        sys.exit(f"the sink did not see everything: {counts}")
    return count / taken, counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000, help="sessions a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument(
        "--latency", type=float, nargs="+", default=[0.0, 0.05], help="seconds (0 0.05)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    found: dict[str, float] = {}
    early = 0
    for latency in options.latency:
        rates = []
        for number in range(options.rounds):
            print(
                f"\r{latency * 1000:.0f} ms: {number + 1}/{options.rounds}",
                end="",
                file=sys.stderr,
                flush=True,
            )
            rate, counts = run(options.count, latency)
            rates.append(rate)
            early += int(str(counts["before_their_session"]))
        print(file=sys.stderr)
        found[f"{latency * 1000:.0f} ms"] = statistics.median(rates)
    if options.json:
        print(json.dumps({"sessions_per_second": found, "events_before_their_session": early}))
        return
    print(f"{'latency':<10}{'sessions/s (median)':>22}")
    for name, rate in found.items():
        print(f"{name:<10}{rate:>22.0f}")
    print(f"events that came before their session: {early}")


if __name__ == "__main__":
    main()
