"""Two servers over one ClickHouse as it grows: what lists, filters and the dashboard cost.

The engine is chdb's behind HTTP in a process of its own, or a server that --store names. Each size
has a database of its own, which ClickHouse fills with generated sessions of 50 events over one week
(``generated_sessions``): columns, tallies, facets and sums are as a replica writes them, texts are
short. Then the roll-ups are made, and two servers of ours are asked through HTTP in turn; both must
give the same answers. "CPU" is the processor time of ClickHouse for a question, "server" that of
the two servers, "growth" the exponent of CPU between the first and the last size. With --folder the
databases stay, and the next run asks them again.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from generated_sessions import generate
from harness import Bench, Column, Table
from plot import Lines
from replica import ENGINE, Spent, process, settled, spent_by  # finds the tests' support
from support.server_process import Served, serving

from sessiontrace.model.ids import now_ns
from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.clickhouse.url import parse

PROJECT = "default"
WEEK_MS = 7 * 86_400_000
_TRIES = 5

Found = dict[str, Any]


def questions(now: int) -> dict[str, str]:
    """Paths of the page's requests, by what they ask for."""
    filters = {
        "list": "", "by user": 'user:"user 77"', "by model": "model:mini",
        "by status": "status:failed", "by a tag and errors": 'tag:"tag 3" errors:>0',
        "by cost": "cost:>0.0205",
        "by three": 'model:gpt-5 status:ended user:"user 9*"', "absent user": "user:absent",
    }  # fmt: skip
    week = f"since={now - WEEK_MS}&until={now}"
    return {
        **{name: f"/api/sessions?q={quote(text)}" for name, text in filters.items()},
        "most expensive": f"/api/sessions?sort=cost&{week}&limit=5",
        "slowest": f"/api/sessions?sort=duration&{week}&limit=5",
        "dashboard over time": f"/api/dashboard?{week}",
        "dashboard by model": f"/api/dashboard/groups?by=model&{week}",
        "dashboard by user": f"/api/dashboard/groups?by=user&{week}",
        "dashboard by tag": f"/api/dashboard/groups?by=tag&{week}",
    }


def filled(line: Connection, count: int, now: int, used: Spent, settle_s: float) -> Found:
    """Fill a database unless it is; what it took ClickHouse for an event."""
    ((there,),) = line.query(Query("SELECT count() FROM events"))
    row: Found = {"events": count}
    if int(there) < count:
        before = used()
        generate(line, PROJECT, count, now)
        settled(line, settle_s)
        row["write_us"] = (used() - before) / count * 1e6
        before = used()
        ClickHouseStore(line, PROJECT).fill(settled_s=-2)
        settled(line, settle_s)
        row["rollup_us"] = (used() - before) / count * 1e6
    sizes = line.query(
        Query(
            "SELECT table, sum(bytes_on_disk) FROM system.parts "
            "WHERE active AND database = currentDatabase() GROUP BY table"
        )
    )
    bytes_of = {table: size / count for table, size in sizes}
    return {**row, "stored": sum(bytes_of.values()), "rollups": bytes_of.get("rollups", 0.0)}


def answered(server: Served, path: str) -> bytes:
    """The answer; on a machine that is busy the first ones may take longer than servers wait."""
    for _ in range(_TRIES):
        status, _, body = server.request(path)
        if status == 200:
            return body
    raise SystemExit(f"{path}: {body.decode()}")


def asked(servers: list[Served], now: int, rounds: int, used: Spent) -> dict[str, Found]:
    """What each question costs, of both servers in turn; their answers are the same."""
    answers: dict[str, Found] = {}
    own = [spent_by(server.process.pid) for server in servers]
    for name, path in questions(now).items():
        bodies = [answered(server, path) for server in servers]
        assert bodies[0] == bodies[1], name
        took, cpu, of_servers = [], [], []
        for at in range(rounds):
            begun, before = time.perf_counter(), (used(), sum(spent() for spent in own))
            answered(servers[at % len(servers)], path)
            took.append((time.perf_counter() - begun) * 1000)
            cpu.append((used() - before[0]) * 1000)
            of_servers.append((sum(spent() for spent in own) - before[1]) * 1000)
        answers[name] = {
            "ms": statistics.median(took), "least_ms": min(took), "cpu": statistics.mean(cpu),
            "server": statistics.mean(of_servers),
        }  # fmt: skip
    return answers


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--events", full=[1_000_000, 10_000_000], quick=[2_000, 10_000], nargs="+",
                 help="sizes to measure at", type=int)  # fmt: skip
    bench.option("--asked", full=10, quick=2, help="times that a question is asked")
    bench.option("--settle", full=120.0, quick=10.0, help="seconds to wait for merges")
    bench.option("--store", full="", quick="", help="clickhouse://user@host/database, not chdb")
    bench.option("--folder", full="", quick="", help="where to keep all, and to go on from")
    options = bench.start()
    now, sizes, answers = now_ns() // 1_000_000, list[Found](), dict[int, dict[str, Found]]()
    with ExitStack() as stack:
        folder = options.folder or stack.enter_context(
            tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"))
        )
        Path(folder).mkdir(exist_ok=True)
        url, pid = options.store, None
        if not url:
            port, pid = stack.enter_context(process(ENGINE, f"{folder}/engine"))
            url = f"clickhouse://127.0.0.1:{port}/scale"
        used = spent_by(pid)
        for count in options.events:
            own = urlsplit(url)._replace(path=f"{urlsplit(url).path}_{count}").geturl()
            line = Connection(parse(own))
            stack.callback(line.close)
            schema.migrate(line)
            sizes.append(filled(line, count, now, used, options.settle))
            with (
                serving(Path(folder) / "unused.db", store=own) as first,
                serving(Path(folder) / "unused.db", store=own) as second,
            ):
                answers[count] = asked([first, second], now, options.asked, used)
    finish(bench, sizes, answers)


def finish(bench: Bench, sizes: list[Found], answers: dict[int, dict[str, Found]]) -> None:
    counts = list(answers)
    rows = []
    for name in answers[counts[0]]:
        own = {count: answers[count][name] for count in counts}
        row = {"question": name, **own[counts[-1]]}
        row |= {f"cpu_{count}": own[count]["cpu"] for count in counts}
        ends = own[counts[0]]["cpu"], own[counts[-1]]["cpu"]
        if len(counts) > 1 and min(ends) > 0:
            row["growth"] = math.log(ends[1] / ends[0]) / math.log(counts[-1] / counts[0])
        rows.append(row)
    stored = (
        Column("events", "events", ",d"), Column("write_us", "write us"),
        Column("rollup_us", "roll-up us", ".2f"), Column("stored", "bytes stored"),
        Column("rollups", "of it roll-ups"),
    )  # fmt: skip
    columns = (
        Column("question", "question", "s"),
        *(Column(f"cpu_{count}", f"CPU ms, {count:,}", ".0f") for count in counts),
        Column("growth", "growth", ".2f"), Column("server", "server", ".0f"),
        Column("ms", "median ms", ".0f"), Column("least_ms", "least", ".0f"),
    )  # fmt: skip
    lines = {
        name: [(float(count), answers[count][name]["cpu"]) for count in counts]
        for name in answers[counts[0]]
    }
    bench.finish(
        Table("sizes", stored, sizes, "us: of ClickHouse's processor, for an event."),
        Table("questions", columns, rows, f"Times are of {counts[-1]:,} events."),
        plot=Lines("CPU of ClickHouse, by events stored", lines, "events", "ms"),
    )


if __name__ == "__main__":
    main()
