"""One replica and what is around it, each in a process of its own: what an event costs each part.

Owned by the thread of the script. Invariant: times are of processors, read from the system; a
replica's are the same whatever else runs beside it, but for caches.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import server

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.server_process import serving

from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.url import parse

__all__ = ["ENGINE", "Spent", "ingest", "process", "settled", "spent_by"]

HERE = Path(__file__).resolve().parent
ENGINE = HERE.parent / "tests" / "clickhouse" / "engine.py"
NULL_CLICKHOUSE = HERE / "null_clickhouse.py"
DATABASE = "ingest"
ROUNDS = 3
CONNECTIONS = 48  # the more programs send at once, the larger are the groups that are inserted

Found = dict[str, Any]
Spent = Callable[[], float]


@contextmanager
def process(script: Path, *arguments: str) -> Iterator[tuple[int, int]]:
    """A script that tells its port and ends with its input: the port, and its process id."""
    running = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        yield int(running.stdout.readline()), running.pid
    finally:
        running.stdin.close()
        running.wait(60)


def spent_by(pid: int | None) -> Spent:
    """The processor time of a process so far, in seconds; 0 of one that is elsewhere."""
    if pid is None:
        return lambda: 0.0
    known = psutil.Process(pid)
    return lambda: float(sum(known.cpu_times()[:2]))


def settled(line: Connection, within_s: float) -> None:
    """Wait until the engine merges no more; in time, or as it is."""
    deadline = time.monotonic() + within_s
    quiet = 0
    while quiet < 4 and time.monotonic() < deadline:
        ((running,),) = line.query(Query("SELECT count() FROM system.merges"))
        quiet = 0 if running else quiet + 1
        time.sleep(0.5)


def through(url: str, count: int, folder: str, engine: Spent) -> Found:
    """Events sent to one replica as HoneyHive's client sends them, each acknowledged."""
    bodies = list(server.requests(count))
    with serving(Path(folder) / "unused.db", store=url) as served:
        replica = spent_by(served.process.pid)
        before = replica(), time.process_time(), engine()
        took = server.ingest(served, bodies, CONNECTIONS)
        cpu, sent, kept = (now - then for now, then in zip(
            (replica(), time.process_time(), engine()), before, strict=True))  # fmt: skip
    return {
        "events": count,
        "per_second": count / took,
        "producer_us": sent / count * 1e6,
        "cpu_us": cpu / count * 1e6,
        "engine_us": kept / count * 1e6,
        "per_core": count / cpu,
    }


def ingest(url: str, pid: int | None, count: int, settle_s: float, folder: str) -> list[Found]:
    """One replica over an engine that keeps nothing, and over ClickHouse, empty."""
    own = urlsplit(url)._replace(path=f"/{DATABASE}").geturl()
    address = parse(own)
    line, rows = Connection(address), []
    schema.migrate(line)
    if pid is not None:
        with process(NULL_CLICKHOUSE, address.host, str(address.port)) as (port, void):
            nowhere = f"clickhouse://127.0.0.1:{port}/{DATABASE}"
            rounds = [through(nowhere, count, folder, spent_by(void)) for _ in range(ROUNDS)]
        ((kept,),) = line.query(Query("SELECT count() FROM events"))
        assert not kept, f"{kept} events came to the engine behind it"
        median = sorted(rounds, key=lambda one: float(one["cpu_us"]))[ROUNDS // 2]
        rows.append({"over": "an engine that keeps nothing", **median})
    spent = spent_by(pid)
    before = spent()
    row = through(own, count, folder, spent)
    settled(line, settle_s)
    row["engine_us"] = (spent() - before) / count * 1e6
    line.run(Query(f"DROP DATABASE {DATABASE}", database=False))
    line.close()
    return [*rows, {"over": "ClickHouse", **row}]
