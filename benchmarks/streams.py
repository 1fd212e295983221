"""What watching a stream costs a chunk, and what a large value costs the call that hands it over.

Microseconds a chunk over the bare generator, for text and for dicts of OpenAI's form, and
milliseconds for values far over every cap. Nothing is written anywhere: this is the time of the
user's thread alone, in its own processor time. Best of several rounds: other programs only ever
make it slower.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from harness import Bench, Column, Table
from plot import Bar, Bars

import sessiontrace as st
from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.testing import capture

DELTA = {"choices": [{"delta": {"content": "word "}}]}


def texts(count: int) -> Iterator[str]:
    for _ in range(count):
        yield "word "


def deltas(count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        yield DELTA


async def later(count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield "word "


def read(stream: Callable[[int], Any], count: int) -> float:
    begun = time.thread_time()
    for _ in stream(count):
        pass
    return time.thread_time() - begun


def read_async(stream: Callable[[int], Any], count: int) -> float:
    async def main() -> float:
        begun = time.thread_time()
        async for _ in stream(count):
            pass
        return time.thread_time() - begun

    return asyncio.run(main())


def chunks(count: int, rounds: int) -> list[dict[str, Any]]:
    """Microseconds a chunk that the tracing adds."""
    cases: tuple[tuple[str, Any, Any], ...] = (
        ("generator of text", texts, read),
        ("generator of deltas", deltas, read),
        ("async generator of text", later, read_async),
    )
    rows = []
    for name, stream, reader in cases:
        traced = st.trace(stream)
        bare = min(reader(stream, count) for _ in range(rounds))
        with capture(pinned=False), st.session("benchmark"):
            taken = min(reader(traced, count) for _ in range(rounds))
        rows.append({"stream": name, "us": (taken - bare) / count * 1e6})
    return rows


def values(rounds: int) -> list[dict[str, Any]]:
    """Milliseconds for one value each."""
    cases: dict[str, Any] = {
        "5 MB of nested messages": [
            {"role": "user", "content": "y " * 500, "parts": [1, 2, 3]} for _ in range(5_000)
        ],
        "5 MB of small nodes": [[{"a": n, "b": [n, n]} for n in range(500)] for _ in range(250)],
        "100 MB of text": {"text": "x y " * 25_000_000},
        "100 MB picture in base64": {"data": "iVBORw0KGgoAAAANSUhEUgAA" * 4_000_000},
    }
    rows = []
    for name, value in cases.items():
        taken = []
        for _ in range(rounds):
            begun = time.thread_time()
            encode(value)
            taken.append(time.thread_time() - begun)
        rows.append({"value": name, "ms": min(taken) * 1e3})
    return rows


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--count", full=100_000, quick=10_000, help="chunks a round")
    bench.option("--rounds", full=5, quick=2, help="rounds")
    options = bench.start()
    with bench.progress(2) as step:
        streamed = chunks(options.count, options.rounds)
        step("streams")
        encoded = values(options.rounds)
        step("values")
    bench.finish(
        Table("chunks", (Column("stream", "stream"), Column("us", "us a chunk", ".2f")), streamed),
        Table("values", (Column("value", "value"), Column("ms", "ms", ".2f")), encoded),
        plot=Bars("A large value, handed over", [
            Bar(row["value"], row["ms"], own=True) for row in encoded
        ], "ms"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
