"""What an application's event loop feels of the tracing: its stalls, with and without.

A heartbeat in the loop says how much later than asked it comes, while the same loop calls a traced
function so many times a second (0.8 kB, fresh texts), and a thread exports the events to a sink in
another process. Each variant runs in a process of its own, the three of a round one after the
other: the same calls with nothing traced, with sessiontrace, and with opentelemetry-sdk and its
OTLP exporter (where `make bench-peers` has made its environment). The figure is the stall, and how
much more it is than that of the run without tracing beside it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import environments
from harness import Bench, Column, Table
from peers.heartbeat import PERCENTILES
from plot import Lines
from sink import Sink

VARIANTS = {
    "nothing": ("sessiontrace", False),
    "sessiontrace": ("sessiontrace", True),
    "opentelemetry": ("opentelemetry", True),
}

Figures = dict[str, float]


def measure(variant: str, url: str, rate: int, seconds: float) -> Figures:
    """One variant at one rate."""
    name, traced = VARIANTS[variant]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        asked = environments.command(
            name, "jitter", url=url, rate=rate, seconds=seconds, traced=traced
        )
        found = environments.run(asked, scratch)
    if "failed" in found:
        sys.exit(f"{variant}: {found['failed']}")
    return {share: found[share] for share in PERCENTILES}


def rounds_of(
    options: Any, have: list[str], step: Callable[[str], None]
) -> dict[Any, list[Figures]]:
    """By rate and variant, each round's figures."""
    taken: dict[Any, list[Figures]] = {}
    with Sink() as sink:
        for _ in range(options.rounds):
            for rate in options.rates:
                for variant in have:
                    found = measure(variant, sink.url, rate, options.seconds)
                    taken.setdefault((rate, variant), []).append(found)
                    step(f"{rate}/s, {variant}")
    return taken


def rows_of(taken: dict[Any, list[Figures]]) -> list[dict[str, Any]]:
    """Medians, and the median of what is more than without tracing."""
    rows = []
    for (rate, variant), rounds in taken.items():
        row: dict[str, Any] = {"rate": rate, "variant": variant}
        for share in PERCENTILES:
            row[share] = statistics.median(one[share] for one in rounds)
            pairs = zip(rounds, taken[rate, "nothing"], strict=True)
            row[f"{share} more"] = statistics.median(
                one[share] - bare[share] for one, bare in pairs
            )
        rows.append(row)
    return rows


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--rates", full=[100, 1000, 5000, 20000], quick=[1000], nargs="+",
                 help="events a second")  # fmt: skip
    bench.option(
        "--seconds", full=8.0, quick=2.0, help="a variant, of which the first is not counted"
    )
    bench.option("--rounds", full=5, quick=1, help="rounds")
    options = bench.start()
    have = [variant for variant, (name, traced) in VARIANTS.items()
            if name == "sessiontrace" or environments.ready(name)]  # fmt: skip
    with bench.progress(options.rounds * len(options.rates) * len(have)) as step:
        rows = rows_of(rounds_of(options, have, step))
    columns = [Column("rate", "events/s", ",d"), Column("variant", "traced by")]
    for share in PERCENTILES:
        columns += [Column(share, f"{share} ms", ".2f"), Column(f"{share} more", "more", "+.2f")]
    lines = {
        variant: [(float(row["rate"]), row["p99.9"]) for row in rows if row["variant"] == variant]
        for variant in have
    }
    bench.finish(
        Table("jitter", columns, rows),
        plot=Lines("Stalls of the event loop, 99.9th percentile", lines, "events a second", "ms"),
    )


if __name__ == "__main__":
    main()
