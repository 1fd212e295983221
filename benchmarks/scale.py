"""How cost grows with what a session is made of: it must be linear.

  children     events under one session, 10 to 100 000 (their ids are listed up to 10 000 by design)
  depth        spans inside spans
  sessions     sessions open at the same time, 1 to 10 000, each with 3 events
  payload      characters in the inputs of a span (an event is cut at 512 KiB by design)

Each point is a fresh process that captures, delivers to a sink in another one, and is acknowledged:
CPU microseconds over all threads, less those of the smallest point's fixed part. The fit is the
exponent e of cost = a * n^e over the points where the fixed part no longer counts: 1 is linear.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import payloads
import subprocess_run
from export import PATIENCE_S, WARM_UP, opened, produce
from harness import Bench, Column, Table
from plot import Lines
from sink import Sink

import sessiontrace as st

POINTS = {
    "children": [10, 100, 1_000, 10_000, 100_000],
    "depth": [10, 30, 100, 300],
    "sessions": [1, 10, 100, 1_000, 10_000],
    "payload": [1_000, 10_000, 100_000, 400_000],
}
QUICK = {name: points[1:3] for name, points in POINTS.items()}
LEAST_EVENTS = 1_000
"""Small points are repeated to so many events, so that there is something to measure."""


def children(tracer: st.Tracer, size: int, times: int) -> int:
    for _ in range(times):
        with tracer.session("benchmark"):
            for number in range(size):
                with tracer.span("step", inputs={"number": number}):
                    pass
    return size * times


def depth(tracer: st.Tracer, size: int, times: int) -> int:
    def down(left: int) -> None:
        with tracer.span("step", inputs={"left": left}):
            if left > 1:
                down(left - 1)

    sys.setrecursionlimit(10_000)
    for _ in range(times):
        with tracer.session("benchmark"):
            down(size)
    return size * times


def sessions(tracer: st.Tracer, size: int, times: int) -> int:
    for _ in range(times):
        with contextlib.ExitStack() as ending:
            opened = [tracer.session("benchmark") for _ in range(size)]
            for session in opened:
                ending.callback(session.end)
            for number in range(3):
                for session in opened:
                    tracer.start_span("step", parent=session, inputs={"number": number}).end()
    return size * times


def payload(tracer: st.Tracer, size: int, times: int) -> int:
    text = "word " * (size // 5)
    with tracer.session("benchmark"):
        for number in range(times):
            with tracer.span("step", inputs={"text": f"{number} {text}"}):
                pass
    return times


KINDS: dict[str, Callable[[st.Tracer, int, int], int]] = {
    "children": children,
    "depth": depth,
    "sessions": sessions,
    "payload": payload,
}
UNITS = {"children": "a child", "depth": "a level", "sessions": "a session", "payload": "a kB"}


def run(kind: str, size: int, url: str, root: str) -> dict[str, float]:
    """In a process of its own: one point."""
    tracer = opened(["honeyhive"], url, root)
    produce(tracer, payloads.fresh(WARM_UP))
    tracer.flush(timeout=PATIENCE_S)
    times = 50 if kind == "payload" else max(LEAST_EVENTS // size, 1)
    cpu, begun = time.process_time(), time.thread_time()
    made = KINDS[kind](tracer, size, times)
    caller = time.thread_time() - begun
    report = tracer.flush(timeout=PATIENCE_S)
    cpu = time.process_time() - cpu
    if not report:
        sys.exit(f"not everything was delivered: {report}")
    tracer.shutdown(timeout=5)
    units = made * size / 1000 if kind == "payload" else made
    return {
        "us": cpu / units * 1e6,
        "caller_us": caller / units * 1e6,
        "total_us": cpu / times * 1e6,
    }


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The e of cost = a * n^e, by least squares of the logarithms."""
    pairs = [(math.log(n), math.log(cost)) for n, cost in points]
    middle = [statistics.fmean(column) for column in zip(*pairs, strict=True)]
    up = sum((x - middle[0]) * (y - middle[1]) for x, y in pairs)
    return up / sum((x - middle[0]) ** 2 for x, _ in pairs)


def main() -> None:
    if subprocess_run.answer(run):
        return
    bench = Bench(__doc__)
    bench.option("--rounds", full=3, quick=1, help="rounds")
    options = bench.start()
    points = QUICK if options.quick else POINTS
    asked = [(kind, size) for kind, sizes in points.items() for size in sizes]
    taken: dict[tuple[str, int], list[dict[str, float]]] = {one: [] for one in asked}
    with Sink() as sink, bench.progress(options.rounds * len(asked)) as step:
        for _ in range(options.rounds):
            for kind, size in asked:
                with tempfile.TemporaryDirectory() as root:
                    found = subprocess_run.ask(kind=kind, size=size, url=sink.url, root=root)
                taken[kind, size].append(found)
                step(f"{kind}: {size}")
    rows: list[dict[str, Any]] = []
    for (kind, size), rounds in taken.items():
        medians = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        rows.append({"kind": kind, "size": size, **medians, "unit": UNITS[kind]})
    fits = []
    lines = {}
    for kind in points:
        line = [(float(row["size"]), row["total_us"]) for row in rows if row["kind"] == kind]
        fits.append({"kind": kind, "exponent": exponent(line[-3:])})
        lines[f"{kind} (n^{fits[-1]['exponent']:.2f})"] = line
    columns = (
        Column("kind", "grows"),
        Column("size", "to", ",.0f"),
        Column("us", "CPU us", ".2f"),
        Column("caller_us", "caller us", ".2f"),
        Column("unit", ""),
    )
    bench.finish(
        Table("scale", columns, rows),
        Table("fit", (Column("kind", "grows"), Column("exponent", "as n^", ".2f")), fits),
        plot=Lines("CPU of a whole session as it grows", lines, "n", "us"),
    )


if __name__ == "__main__":
    main()
