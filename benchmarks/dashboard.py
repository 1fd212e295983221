"""What the dashboard costs at the server, and when a browser shows it.

A store in SQLite is filled with sessions of ten steps over two weeks, three of them calls of models
that stream; one in ClickHouse (chdb's engine behind HTTP, or the one that --store names) with
sessions of fifty calls over one week. Each question is asked again and again: the figures over time
and by model or user, for the week that the page shows first with the week before it, and for all.
"the page" is what opening it asks for, one after the other: the figures over time, those by model,
and the three lists; a browser asks for them at once. CPU is the processor time, of the thread
that asks SQLite, and of ClickHouse's engine.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
from fill_clickhouse import BASE, WEEK_MS, Texts, copy, events, fill
from harness import Bench, Column, Table
from plot import Bar, Bars
from replica import ENGINE, Spent, process, settled, spent_by

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.server_process import serving

from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.model.record import END, EVENT
from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.connection import Connection
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.clickhouse.url import parse
from sessiontrace.store.dashboard.models import Period
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore

STEPS = 10
ASKED = 9
_BATCH = 5_000
_MODELS = (("gpt-5", 9), ("gpt-5-mini", 5), ("claude-sonnet-4-5", 12), ("gemini-2.5-flash", 3))

Found = dict[str, Any]


def records(count: int, now: int) -> Iterator[DecodedRecord]:
    """So many events and their sessions, over the two weeks before ``now``."""
    draw = random.Random(7)
    sessions = max(1, count // STEPS)
    for number in range(sessions):
        at = now - 2 * WEEK_MS + number * 2 * WEEK_MS // sessions
        sid, took = new_id(), draw.lognormvariate(7.5, 0.8)
        yield _decoded(END, {
            "event_id": sid, "session_id": sid, "event_type": "session",
            "event_name": f"agent {number % 17}", "source": ("production", "staging")[number % 2],
            "start_time": at, "end_time": at + int(took), "duration": took,
            "user_properties": {"user_id": f"user {draw.randrange(2_000)}"},
            "metadata": {"tags": [f"tag {number % 5}"]},
            **({"error": "TimeoutError: no answer"} if number % 29 == 0 else {}),
        })  # fmt: skip
        for step in range(STEPS):
            yield _step(draw, sid, at, step)


def _step(draw: random.Random, sid: str, at: int, step: int) -> DecodedRecord:
    took = draw.lognormvariate(6, 0.7)
    event: Found = {
        "event_id": new_id(), "session_id": sid, "parent_id": sid, "event_type": "tool",
        "event_name": f"step {step}", "start_time": at, "end_time": at + int(took),
        "duration": took, "inputs": {"q": "What about my parcel? " * 8},
    }  # fmt: skip
    if step < 3:
        model, price = draw.choice(_MODELS)
        tokens = draw.randrange(200, 8_000)
        event |= {
            "event_type": "model", "config": {"model": model},
            "metadata": {"total_tokens": tokens, "cost": tokens * price / 1e6},
            "metrics": {"time_to_first_chunk_ms": took / 3},
        }  # fmt: skip
    return _decoded(EVENT, event)


def _decoded(kind: bytes, event: Found) -> DecodedRecord:
    return DecodedRecord(kind, event, orjson.dumps(event).decode())


def fill_sqlite(store: SqliteStore, count: int, now: int) -> None:
    batch: list[DecodedRecord] = []
    for record in records(count, now):
        batch.append(record)
        if len(batch) == _BATCH:
            store.write(batch)
            batch = []
    store.write(batch)


def fill_clickhouse(line: Connection, store: ClickHouseStore, count: int, now: int) -> None:
    oldest, apart = now - WEEK_MS, WEEK_MS / count
    fill(store, events(Texts(), oldest, apart, range(min(count, BASE)), new_id()), count)
    for which in range(1, count // BASE):
        copy(line, which, int(which * BASE * apart))
    store.fill(settled_s=-2)


def questions(store: Store, now: int) -> dict[str, Callable[[], object]]:
    """What is asked, by name."""
    week = Period.of(now - WEEK_MS, now, now)
    everything = Period.of(now - 4 * WEEK_MS, now, now)
    every = SessionQuery()

    def page() -> None:
        store.dashboard(every, week)
        store.breakdown(every, week, "model")
        for order in ("duration", "cost", "errors"):
            failed = order == "errors"
            store.sessions(SessionQuery(since=week.since, order=order, limit=5, failed=failed))

    return {
        "the page": page,
        "over time, a week": lambda: store.dashboard(every, week),
        "over time, all": lambda: store.dashboard(every, everything),
        "by model, a week": lambda: store.breakdown(every, week, "model"),
        "by model, all": lambda: store.breakdown(every, everything, "model"),
        "by user, all": lambda: store.breakdown(every, everything, "user"),
        "by tag, all": lambda: store.breakdown(every, everything, "tag"),
    }


def measured(name: str, store: Store, count: int, now: int, used_s: Spent) -> Iterator[Found]:
    """Medians in ms; each question is asked once before. ``used_s``: processor time so far."""
    sessions = store.dashboard(
        SessionQuery(), Period.of(now - 4 * WEEK_MS, now, now)
    ).total.sessions
    for question, ask in questions(store, now).items():
        ask()
        took, spent = [], []
        for _ in range(ASKED):
            begun, used = time.perf_counter(), used_s()
            ask()
            took.append((time.perf_counter() - begun) * 1000)
            spent.append((used_s() - used) * 1000)
        yield {
            "store": name, "events": count, "sessions": sessions, "question": question,
            "ms": statistics.median(took), "least_ms": min(took), "worst_ms": max(took),
            "cpu_ms": statistics.median(spent),
        }  # fmt: skip


def painted(db: Path) -> Iterator[Found]:
    """When a browser first paints the page, and when its figures are there (ms)."""
    try:
        from support.browser import CHROMIUM, Page, chromium
    except BaseException:  # pytest skips where selenium is not installed
        return
    if CHROMIUM is None:
        return
    with tempfile.TemporaryDirectory() as home, serving(db) as server:
        browser = chromium(Path(home))
        try:
            page = Page(browser, server)
            times: dict[str, list[float]] = {"first paint": [], "figures shown": []}
            for _ in range(5):
                page.open("/dashboard")
                page.see(".tile")
                times["figures shown"].append(float(page.run("return performance.now()")))
                times["first paint"].append(float(page.run(
                    "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
                )))  # fmt: skip
        finally:
            browser.quit()
    for question, took in times.items():
        yield {
            "store": "browser, SQLite", "question": question, "ms": statistics.median(took),
            "least_ms": min(took), "worst_ms": max(took),
        }  # fmt: skip


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--events", full=[1_000_000], quick=[5_000], nargs="*", help="in SQLite")
    bench.option("--clickhouse", full=[1_000_000, 10_000_000], quick=[], nargs="*",
                 help=f"events in ClickHouse; above {BASE:,} its multiples", type=int)  # fmt: skip
    bench.option("--settle", full=120.0, quick=10.0, help="seconds to wait for merges")
    bench.option("--store", full="", quick="", help="clickhouse://user@host/database, not chdb")
    options = bench.start()
    now, rows = now_ns() // 1_000_000, list[Found]()
    for count in options.events:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            store = SqliteStore(Path(folder) / "store.db")
            fill_sqlite(store, count, now)
            rows += measured("SQLite", store, count, now, time.thread_time)
            store.close()
            rows += painted(store.path)
    for count in options.clickhouse:
        with ExitStack() as stack:
            url, pid = options.store, None
            if not url:
                folder = stack.enter_context(
                    tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"))
                )
                port, pid = stack.enter_context(process(ENGINE, f"{folder}/engine"))
                url = f"clickhouse://127.0.0.1:{port}/bench"
            line = Connection(parse(url))
            stack.callback(line.close)
            schema.migrate(line)
            columns_store = ClickHouseStore(line, f"bench-{count}")
            fill_clickhouse(line, columns_store, count, now)
            settled(line, options.settle)
            rows += measured("ClickHouse", columns_store, count, now, spent_by(pid))
    columns = (
        Column("store", "store"), Column("events", "events", ","),
        Column("sessions", "sessions", ","), Column("question", "question"),
        Column("ms", "ms"), Column("least_ms", "least"), Column("worst_ms", "worst"),
        Column("cpu_ms", "CPU"),
    )  # fmt: skip
    bars = [
        Bar(f"{row['store']}, {row['question']}", row["ms"], own=row["question"] == "the page")
        for row in rows
    ]
    bench.finish(Table("dashboard", columns, rows), plot=Bars("The dashboard, ms", bars))


if __name__ == "__main__":
    main()
