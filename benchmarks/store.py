"""The store in ClickHouse as it grows: what an event costs on disk and to take, what reads cost.

The engine is chdb's behind HTTP in a process of its own (or any server that --store names, with an
empty database), one store is filled step by step, and each size is measured when the engine has
merged what it was given. Events are of 1 kB with texts of words as common as words are, 50 to a
session, over seven days; one session has 1 000 steps. Inserts go through the store as a replica
makes them; "replica" is the processor time of that, "engine" of the other side, merges included.
Last, a server over it takes events through HTTP.
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import server
from frame import Bench, Column, Table
from plot import Lines

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from served import serving

from sessiontrace.ids import new_id, now_ns
from sessiontrace.record import END, EVENT
from sessiontrace.store.base import SessionQuery
from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.address import parse
from sessiontrace.store.clickhouse.line import Line, Question
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.merge import Decoded

ENGINE = Path(__file__).resolve().parent.parent / "tests" / "clickhouse" / "engine.py"
STEPS = 50
LONG = 1_000
BATCH = 20_000
ASKED = 15
WEEK_MS = 7 * 86_400_000
TABLES = ("events", "tallies", "sessions", "session_hours")
DAY = 1_000_000_000  # events, of the day that is extrapolated


class Texts:
    """Sentences of words that are as common as words are: the n-th one 1/n times."""

    def __init__(self, words: int = 30_000) -> None:
        self._random = random.Random(7)
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        weights = [1 / (at + 3) for at in range(len(letters))]
        draw = self._random.choices
        self.words = ["".join(draw(letters, weights, k=3 + at % 8)) for at in range(words)]
        self._weights = list(itertools.accumulate(1 / (at + 10) for at in range(words)))
        self._sentences = [self._sentence(12) for _ in range(20_000)]

    def _sentence(self, words: int) -> str:
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=words))

    def some(self, sentences: int) -> str:
        return ". ".join(self._random.choices(self._sentences, k=sentences))


def events(texts: Texts, first: int, count: int, all_of_them: int) -> Iterator[Decoded]:
    """Records number ``first`` and following, as the server hands them to the store."""
    now = now_ns() // 1_000_000
    steps, sid, seen = 0, "", 0
    for number in range(first, first + count):
        at = now - WEEK_MS + number * WEEK_MS // all_of_them
        if seen == steps:
            sid, seen = new_id(), 0
            steps = LONG if number == first else STEPS
            yield _decoded(END, {
                "event_id": sid, "session_id": sid, "event_type": "session",
                "event_name": f"agent {number % 17}", "source": "bench", "start_time": at,
                "end_time": at + 9_000, "duration": 9_000.0, "inputs": {"q": texts.some(1)},
                "user_properties": {"user_id": f"user {number % 10_007}"},
            })  # fmt: skip
        seen += 1
        yield _decoded(EVENT, {
            "event_id": new_id(), "session_id": sid, "parent_id": sid, "event_type": "model",
            "event_name": f"answer {number % 23}", "source": "bench", "start_time": at,
            "end_time": at + 250, "duration": 250.0,
            "inputs": {"chat_history": [
                {"role": "system", "content": "You are a helpful assistant of a shop."},
                {"role": "user", "content": f"number{number} {texts.some(3)}"},
            ]},
            "outputs": {"role": "assistant", "content": texts.some(2)},
            "config": {"model": "gpt-x", "provider": "openai"},
            "metadata": {"prompt_tokens": 120, "completion_tokens": number % 400, "cost": 0.001},
            **({"error": "TimeoutError: no answer"} if number % 997 == 0 else {}),
        })  # fmt: skip


def _decoded(kind: bytes, event: dict[str, Any]) -> Decoded:
    return Decoded(kind, event, orjson.dumps(event).decode())


@contextmanager
def engine(folder: str) -> Iterator[tuple[str, int]]:
    """chdb over HTTP: its URL and its process id."""
    process = subprocess.Popen(
        [sys.executable, str(ENGINE), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield f"clickhouse://127.0.0.1:{int(process.stdout.readline())}/bench", process.pid
    process.stdin.close()
    process.wait(60)


def fill(
    store: ClickHouseStore, texts: Texts, first: int, count: int, total: int
) -> dict[str, Any]:
    """Write events in batches, two on their way; what it took this process."""
    made_s = 0.0
    begun, spent = time.perf_counter(), time.process_time()
    size = 0
    with ThreadPoolExecutor(2) as writers:
        waiting = []
        source = events(texts, first, count, total)
        while True:
            making = time.thread_time()
            batch = [one for one, _ in zip(source, range(BATCH), strict=False)]
            made_s += time.thread_time() - making
            if not batch:
                break
            size += sum(len(one.body) for one in batch)
            waiting.append(writers.submit(store.write, batch))
            if len(waiting) > 1:
                waiting.pop(0).result()
        for one in waiting:
            one.result()
    took = time.perf_counter() - begun
    return {
        "bytes_sent": size / count,
        "per_second": count / took,
        "replica_us": (time.process_time() - spent - made_s) / count * 1e6,
    }


def settled(line: Line, within_s: float) -> None:
    """Wait until the engine merges no more; in time, or as it is."""
    deadline = time.monotonic() + within_s
    quiet = 0
    while quiet < 4 and time.monotonic() < deadline:
        ((running,),) = line.ask(Question("SELECT count() FROM system.merges"))
        quiet = 0 if running else quiet + 1
        time.sleep(0.5)


def stored(line: Line, count: int) -> dict[str, Any]:
    """Bytes an event takes, in all and by table; the search index is within ``events``."""
    rows = line.ask(
        Question(
            "SELECT table, sum(bytes_on_disk), sum(data_uncompressed_bytes), "
            "sum(data_compressed_bytes), sum(secondary_indices_compressed_bytes), count() "
            "FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table"
        )
    )
    found = {row[0]: row for row in rows}
    ((raw, kept),) = line.ask(
        Question(
            "SELECT sum(data_uncompressed_bytes), sum(data_compressed_bytes) FROM "
            "system.parts_columns WHERE active AND database = currentDatabase() "
            "AND table = 'events' AND column = 'body'"
        )
    )
    sizes = {f"{name}_bytes": found[name][1] / count for name in TABLES if name in found}
    return {
        "stored": sum(row[1] for row in rows) / count,
        "ratio": raw / kept,
        "index": found["events"][4] / count,
        "parts": found["events"][5],
        **sizes,
    }


def asked(
    store: ClickHouseStore, words: list[str], count: int, spent: Callable[[], float]
) -> dict[str, dict[str, float]]:
    """What a reader asks: medians in ms, and the engine's processor time for one, in ms."""
    page = store.sessions(SessionQuery(limit=60)).sessions
    long = max(store.sessions(SessionQuery(limit=60, failed=True)).sessions, key=lambda s: s.events)
    oldest = now_ns() // 1_000_000 - WEEK_MS
    window = store.sessions(SessionQuery(since=oldest - 1, until=oldest + 3_600_000, limit=500))
    long = max([long, *window.sessions], key=lambda one: one.events)
    last = store.session(page[-1].session_id)
    assert last is not None
    step = last.events[-1].event_id
    jobs: dict[str, Callable[[int], object]] = {
        "list": lambda n: store.sessions(SessionQuery(limit=60)),
        "list, failed": lambda n: store.sessions(SessionQuery(limit=60, failed=True)),
        "list, a day": lambda n: store.sessions(
            SessionQuery(limit=60, until=page[0].start_time - 86_400_000)
        ),
        f"session of {long.events:,}": lambda n: store.session(long.session_id),
        "one event": lambda n: store.event(step),
        "search, one hit": lambda n: store.sessions(
            SessionQuery(text=f"number{n * (count // 20)}")
        ),
        "search, rare word": lambda n: store.sessions(SessionQuery(text=words[-1 - n])),
        "search, common": lambda n: store.sessions(SessionQuery(text=words[n])),
        "search, absent": lambda n: store.sessions(SessionQuery(text=f"absent{n}")),
        "histogram, a day": lambda n: store.histogram(
            SessionQuery(since=page[0].start_time - 86_400_000)
        ),
        "histogram, all": lambda n: store.histogram(SessionQuery()),
    }
    return {name: _timed(job, spent) for name, job in jobs.items()}


def _timed(job: Callable[[int], object], spent: Callable[[], float]) -> dict[str, float]:
    took = []
    before = spent()
    for n in range(ASKED):
        begun = time.perf_counter()
        job(n)
        took.append((time.perf_counter() - begun) * 1000)
    return {"ms": statistics.median(took), "cpu_ms": (spent() - before) / ASKED * 1000}


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--events", full=[100_000, 1_000_000, 10_000_000], quick=[10_000], nargs="+",
                 help="sizes to measure at")  # fmt: skip
    bench.option("--through", full=200_000, quick=2_000, help="events through a server")
    bench.option("--settle", full=300.0, quick=10.0, help="seconds to wait for merges")
    bench.option("--store", full="", quick="", help="clickhouse://user@host/database, not chdb")
    options = bench.start()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        if options.store:
            rows, answers = measure(options, options.store, None)
            taken = through(options.store, options.through, folder)
        else:
            with engine(folder) as (url, pid):
                rows, answers = measure(options, url, pid)
                taken = through(url, options.through, folder)
    finish(bench, rows, answers, taken)


def through(url: str, count: int, folder: str) -> dict[str, Any]:
    """Events sent to one replica as HoneyHive's client sends them, each acknowledged."""
    bodies = list(server.requests(count))
    with serving(Path(folder) / "unused.db", store=url) as served:
        process = psutil.Process(served.process.pid)
        before = sum(process.cpu_times()[:2])
        took = server.ingest(served, bodies)
        spent = sum(process.cpu_times()[:2]) - before
    return {
        "events": count,
        "per_second": count / took,
        "cpu_us": spent / count * 1e6,
        "per_core": count / spent,
    }


def measure(
    options: Any, url: str, pid: int | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    line = Line(parse(url))
    schema.migrate(line)
    store, texts = ClickHouseStore(line, "bench"), Texts()
    rows, answers, there = [], [], 0
    server = None if pid is None else psutil.Process(pid)

    def spent() -> float:
        return 0.0 if server is None else sum(server.cpu_times()[:2])

    for size in options.events:
        before = spent()
        row = {"events": size, **fill(store, texts, there, size - there, options.events[-1])}
        settled(line, options.settle)
        if server is not None:
            row["engine_us"] = (spent() - before) / (size - there) * 1e6
            row["memory_mib"] = server.memory_info().rss / 2**20
        rows.append({**row, **stored(line, size)})
        answers += [
            {"events": size, "question": name, **found}
            for name, found in asked(store, texts.words, size, spent).items()
        ]
        there = size
    line.close()
    return rows, answers


def finish(
    bench: Bench, rows: list[dict[str, Any]], answers: list[dict[str, Any]], taken: dict[str, Any]
) -> None:
    filled = (
        Column("events", "events", ",d"),
        Column("bytes_sent", "bytes sent", ".0f"),
        Column("stored", "stored", ".0f"),
        Column("ratio", "records shrink"),
        Column("index", "search index", ".0f"),
        Column("per_second", "events/s here", ",.0f"),
        Column("replica_us", "replica us"),
        Column("engine_us", "engine us"),
        Column("parts", "parts", "d"),
        Column("memory_mib", "engine MiB", ",.0f"),
    )
    names = list(dict.fromkeys(row["question"].split(" of ")[0] for row in answers))
    sizes = [row["events"] for row in rows]
    table = [
        {"question": name, **{str(row["events"]): row["ms"] for row in answers
                              if row["question"].split(" of ")[0] == name}}
        for name in names
    ]  # fmt: skip
    growth = (Column("question", "ms", "s"), *(Column(str(size), f"{size:,}") for size in sizes))
    replica = (
        Column("events", "events", ",d"),
        Column("per_second", "events/s here", ",.0f"),
        Column("cpu_us", "replica us"),
        Column("per_core", "events/s per core", ",.0f"),
    )
    last = rows[-1]
    cores = DAY / 86_400 * 1e-6
    note = (
        f"Extrapolated, not measured: {DAY:,} events a day take "
        f"{DAY * last['stored'] / 1e9:,.0f} GB a day, {cores * taken['cpu_us']:.1f} cores of "
        f"replicas and {cores * last.get('engine_us', 0.0):.1f} of ClickHouse, on average."
    )
    lines = {
        name: [(float(row["events"]), row["ms"]) for row in answers
               if row["question"].split(" of ")[0] == name]
        for name in names
    }  # fmt: skip
    bench.finish(
        Table("store", filled, rows, note),
        Table("answers", growth, table),
        Table("one replica through HTTP", replica, [taken]),
        plot=Lines("What the store in ClickHouse answers, by events stored", lines, "events", "ms"),
    )


if __name__ == "__main__":
    main()
