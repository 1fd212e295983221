"""What watching a stream costs a chunk, and what a large value costs the call that hands it over.

Prints microseconds a chunk over the bare generator, for text and for dicts of OpenAI's form, and
milliseconds for values far over every cap. Nothing is written anywhere: this is the time of the
user's thread alone. Best of several rounds, because other programs only ever make it slower.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import sessiontrace as st
from sessiontrace.capture.encode import encode
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
    begun = time.perf_counter()
    for _ in stream(count):
        pass
    return time.perf_counter() - begun


def read_async(stream: Callable[[int], Any], count: int) -> float:
    async def main() -> float:
        begun = time.perf_counter()
        async for _ in stream(count):
            pass
        return time.perf_counter() - begun

    return asyncio.run(main())


def chunks(count: int, rounds: int) -> None:
    print(f"{'us a chunk, over the bare stream':<40}")
    cases: tuple[tuple[str, Any, Any], ...] = (
        ("generator of text", texts, read),
        ("generator of deltas", deltas, read),
        ("async generator of text", later, read_async),
    )
    for name, stream, reader in cases:
        traced = st.trace(stream)
        bare = min(reader(stream, count) for _ in range(rounds))
        with capture(pinned=False), st.session("benchmark"):
            taken = min(reader(traced, count) for _ in range(rounds))
        print(f"{name:<40}{(taken - bare) / count * 1e6:>8.2f}")


def values(rounds: int) -> None:
    print(f"{'ms a value':<40}")
    cases: dict[str, Any] = {
        "5 MB of nested messages": [
            {"role": "user", "content": "y " * 500, "parts": [1, 2, 3]} for _ in range(5_000)
        ],
        "5 MB of small nodes": [[{"a": n, "b": [n, n]} for n in range(500)] for _ in range(250)],
        "100 MB of text": {"text": "x y " * 25_000_000},
        "100 MB picture in base64": {"data": "iVBORw0KGgoAAAANSUhEUgAA" * 4_000_000},
    }
    for name, value in cases.items():
        taken = []
        for _ in range(rounds):
            begun = time.perf_counter()
            encode(value)
            taken.append(time.perf_counter() - begun)
        print(f"{name:<40}{min(taken) * 1e3:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="chunks a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (%(default)s)")
    options = parser.parse_args()
    chunks(options.count, options.rounds)
    values(options.rounds)


if __name__ == "__main__":
    main()
