"""The store in ClickHouse as it grows: what an event costs on disk and to take, what reads cost.

The engine is chdb's behind HTTP in a process of its own (or any server that --store names, with an
empty database). One store is filled step by step, and each size is measured when the engine has
merged what it was given. Events are of 1 kB with texts of words as common as words are, 50 to a
session, over seven days; one session has 1 000 steps. The first million goes through the store as
a replica writes it, what is more is copied from it by the engine with other ids, times and numbers.
Before that, events go through HTTP to one replica over an empty store, and to one over an engine
that keeps nothing: what the replica itself takes. With --folder a run that broke off goes on.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
from fill_clickhouse import BASE, LONG, WEEK_MS, Texts, copy, events, fill, number
from harness import Bench, Column, Table
from plot import Lines
from replica import ENGINE, Spent, ingest, process, settled, spent_by

from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.clickhouse.url import parse
from sessiontrace.store.models import SessionQuery

ASKED = 15
PROJECT = "bench"
DAY = 1_000_000_000  # events, of the day that is extrapolated
DAY_MS = 86_400_000

Found = dict[str, Any]


@attrs.define
class Notebook:
    """What was measured so far, in a file that the next run reads."""

    path: Path
    found: Found
    _noted: float = attrs.field(factory=time.monotonic)

    @classmethod
    def at(cls, path: Path) -> Notebook:
        if path.exists():
            return cls(path, json.loads(path.read_text()))
        oldest = now_ns() // 1_000_000 - WEEK_MS
        empty: Found = {"rows": [], "answers": [], "taken": [], "seconds": 0.0}
        return cls(path, {"oldest": oldest, "long": new_id(), **empty})

    def note(self, name: str, *found: Found) -> None:
        self.found[name] += found
        now = time.monotonic()
        self.found["seconds"] += now - self._noted
        self._noted = now
        self.path.write_text(json.dumps(self.found))


def stored(line: Connection, count: int) -> Found:
    """Bytes an event takes, in all and by table; the search index is within ``events``."""
    rows = line.query(
        Query(
            "SELECT table, sum(bytes_on_disk), sum(secondary_indices_compressed_bytes), count() "
            "FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table"
        )
    )
    found = {row[0]: row for row in rows}
    ((raw, kept),) = line.query(
        Query(
            "SELECT sum(data_uncompressed_bytes), sum(data_compressed_bytes) FROM "
            "system.parts_columns WHERE active AND database = currentDatabase() "
            "AND table = 'events' AND column = 'body'"
        )
    )
    return {
        "stored": sum(row[1] for row in rows) / count,
        "ratio": raw / kept,
        "index": (found["events"][2] + found["vocabulary"][1]) / count,
        "parts": found["events"][3],
        **{f"{name}_bytes": row[1] / count for name, row in found.items()},
    }


def asked(
    store: ClickHouseStore, texts: Texts, count: int, book: Found, spent: Spent
) -> dict[str, dict[str, float]]:
    """What a reader asks: medians in ms, and the engine's processor time for one, in ms."""
    words = texts.words
    page = store.sessions(SessionQuery(limit=60)).sessions
    newest = page[0].start_time
    last = store.session(page[-1].session_id)
    long = store.session(book["long"])
    assert last is not None
    assert long is not None
    assert len(long.events) == min(LONG, count)
    step = last.events[-1].event_id

    def listed(**wanted: Any) -> object:
        return store.sessions(SessionQuery(limit=60, **wanted))

    jobs: dict[str, Callable[[int], object]] = {
        "list": lambda n: listed(),
        "list, failed": lambda n: listed(failed=True),
        "list, a day before": lambda n: listed(until=newest - DAY_MS),
        "session of 1 000 steps": lambda n: store.session(book["long"]),
        "one event": lambda n: store.event(step),
        "search, one hit": lambda n: listed(text=number(n * (count // ASKED))),
        "search, rare word": lambda n: listed(text=words[-1 - n]),
        "search, common word": lambda n: listed(text=words[n]),
        "search, common and rare": lambda n: listed(text=f"{words[20 + n]} {words[-1 - n]}"),
        "search, two letters": lambda n: listed(text=words[n][:2]),
        "search, absent": lambda n: listed(text=f"absent{n}"),
        "histogram, a day": lambda n: store.histogram(SessionQuery(since=newest - DAY_MS)),
        "histogram, all": lambda n: store.histogram(SessionQuery()),
    }
    return {name: _timed(job, spent) for name, job in jobs.items()}


def _timed(job: Callable[[int], object], spent: Spent) -> dict[str, float]:
    took = []
    before = spent()
    for n in range(ASKED):
        begun = time.perf_counter()
        job(n)
        took.append((time.perf_counter() - begun) * 1000)
    cpu_ms = (spent() - before) / ASKED * 1000
    return {"ms": statistics.median(took), "worst_ms": max(took), "cpu_ms": cpu_ms}


def measure(options: Any, url: str, pid: int | None, book: Notebook) -> None:
    """Fill step by step, and note what each size costs."""
    line, spent = Connection(parse(url)), spent_by(pid)
    schema.migrate(line)
    store, texts, found = ClickHouseStore(line, PROJECT), Texts(), book.found
    there = max([0, *(row["events"] for row in found["rows"])])
    for size in options.events:
        if size > there:
            before = spent()
            row = grown(line, store, texts, (there, size, max(options.events)), found)
            settled(line, options.settle)
            if size <= BASE and pid is not None:
                row["engine_us"] = (spent() - before) / (size - there) * 1e6
            book.note("rows", {**row, **stored(line, size)})
            there = size
        if size == there and all(one["events"] != size for one in found["answers"]):
            answers = asked(store, texts, size, found, spent)
            told = ({"events": size, "question": name, **one} for name, one in answers.items())
            book.note("answers", *told)
    line.close()


def grown(
    line: Connection,
    store: ClickHouseStore,
    texts: Texts,
    sizes: tuple[int, int, int],
    found: Found,
) -> Found:
    """Fill the store from one size to the next, on the way to the last; what it took."""
    there, size, last = sizes
    apart = WEEK_MS / last
    if size <= BASE:
        source = events(texts, found["oldest"], apart, range(there, size), found["long"])
        return {"events": size, **fill(store, source, size - there)}
    for which in range(there // BASE, size // BASE):
        copy(line, which, int(which * BASE * apart))
    return {"events": size}


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--events", full=[100_000, BASE, 10 * BASE], quick=[10_000], nargs="+",
                 help=f"sizes to measure at; above {BASE:,} its multiples")  # fmt: skip
    bench.option("--through", full=100_000, quick=2_000, help="events through a replica")
    bench.option("--settle", full=120.0, quick=10.0, help="seconds to wait for merges")
    bench.option("--store", full="", quick="", help="clickhouse://user@host/database, not chdb")
    bench.option("--folder", full="", quick="", help="where to keep all, and to go on from")
    options = bench.start()
    for before, size in zip([0, *options.events], options.events, strict=False):
        if size <= before or (size > BASE and (size % BASE or before % BASE)):
            raise SystemExit(f"--events: {size} cannot follow {before}")
    with ExitStack() as stack:
        folder = options.folder or stack.enter_context(
            tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"))
        )
        Path(folder).mkdir(exist_ok=True)
        book = Notebook.at(Path(folder) / "measured.json")
        url, pid = options.store, None
        if not url:
            port, pid = stack.enter_context(process(ENGINE, f"{folder}/engine"))
            url = f"clickhouse://127.0.0.1:{port}/bench"
        if not book.found["taken"]:
            book.note("taken", *ingest(url, pid, options.through, options.settle, folder))
        measure(options, url, pid, book)
    finish(bench, book.found)


def finish(bench: Bench, found: Found) -> None:
    rows, answers, taken = found["rows"], found["answers"], found["taken"]
    filled = (
        Column("events", "events", ",d"),
        Column("bytes_sent", "bytes as JSON", ".0f"),
        Column("stored", "bytes stored", ".0f"),
        Column("index", "of it search", ".0f"),
        Column("ratio", "records shrink"),
        Column("replica_us", "writer us"),
        Column("engine_us", "engine us"),
        Column("parts", "parts", "d"),
    )
    sizes = [row["events"] for row in rows]
    table: dict[str, Found] = {}
    for one in answers:
        row = table.setdefault(one["question"], {"question": one["question"]})
        row |= {str(one["events"]): one["ms"], "worst": one["worst_ms"], "cpu": one["cpu_ms"]}
    growth = (
        Column("question", "ms", "s"),
        *(Column(str(size), f"{size:,}", ".0f") for size in sizes),
        Column("worst", f"worst of {ASKED}", ".0f"),
        Column("cpu", "engine CPU", ".0f"),
    )
    replica = (
        Column("over", "over", "s"),
        Column("events", "events", ",d"),
        Column("per_second", "events/s here", ",.0f"),
        Column("producer_us", "producer us"),
        Column("cpu_us", "replica us"),
        Column("engine_us", "engine us"),
        Column("per_core", "events/s per replica's core", ",.0f"),
    )
    replica_us = taken[-1]["cpu_us"]
    engine_us = max([row.get("engine_us", 0.0) for row in (*rows, taken[-1])])
    cores = DAY / 86_400 * 1e-6
    note = (
        f"Extrapolated, not measured: {DAY:,} events a day take "
        f"{DAY * rows[-1]['stored'] / 1e9:,.0f} GB a day, {cores * replica_us:.1f} cores of "
        f"replicas and {cores * engine_us:.1f} of ClickHouse, on average."
    )
    lines = {
        name: [(float(one["events"]), one["ms"]) for one in answers if one["question"] == name]
        for name in table
    }
    bench.finish(
        Table("one replica through HTTP", replica, taken,
              "us: of processor time, for an event, of events whose texts repeat themselves."),
        Table("store", filled, rows, note),
        Table("answers", growth, list(table.values()),
              f"Medians; the last two columns are of {sizes[-1]:,} events."),
        plot=Lines("What the store in ClickHouse answers, by events stored", lines, "events", "ms"),
        seconds=round(found["seconds"]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
