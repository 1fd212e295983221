"""What the local server does: ingest through HTTP, then lists, searches and one session.

A server is started as a user starts it, over a new store; events of 0.8 kB go to HoneyHive's batch
route over four connections, 500 in a request, each acknowledged when it is on the disk. Spans of
the same content, with ids of a session and a user, go to ``/v1/traces`` in protobuf. The index
for search mostly waits until they are through ("left to index"); how long it then takes, and its
processor's time for each event, stands beside. Memory is the most that the server had while it
took them. The ratio is spans/s by events/s; parts are measured in one thread, without HTTP, and
"HTTP, threads" is what the server used beyond them, some indexing included. Latencies are medians
and 95th percentiles of 30 requests, the index complete.

--events 1000000 shows that memory is bounded and nothing slows down; it takes minutes.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import intake_parts
import orjson
from harness import Bench, Column, Table
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from plot import Lines

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import psutil
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id, now_ns

ASKS = {
    "list": "/api/sessions?limit=60",
    "list, filtered": "/api/sessions?limit=60&errors=1",
    "search, rare": "/api/sessions?limit=60&q=number%20{number}",
    "search, common": "/api/sessions?limit=60&q=refund",
    "one session": "/api/sessions/{session}",
    "histogram": "/api/histogram",
}
CONNECTIONS = 4
BATCH = 500
STEPS = 20  # in a session
IN_PARTS = 5_000  # events at most, of which parts are measured
ASKED = 30
WORDS = ("order", "refund", "invoice", "delivery", "address", "payment", "cancel", "track")


def requests(events: int) -> Iterator[bytes]:
    """The bodies of the requests that carry so many events of about 0.8 kB."""
    now = now_ns() // 1_000_000
    batch: list[dict[str, object]] = []
    sid = new_id()
    for n in range(events):
        if n % STEPS == 0:
            sid = new_id()
        at = now - (events - n)
        word = WORDS[n % len(WORDS)]
        batch.append(
            {
                "event_id": new_id(), "session_id": sid, "parent_id": sid, "event_type": "model",
                "event_name": f"answer {word}", "source": "bench", "start_time": at,
                "end_time": at + 250, "duration": 250.0,
                "inputs": {"chat_history": [
                    {"role": "system", "content": "You are a helpful assistant of a shop. " * 4},
                    {"role": "user", "content": f"What about my {word} number {n}? " * 3},
                ]},
                "outputs": {"role": "assistant", "content": f"The {word} is on its way. " * 4},
                "config": {"model": "gpt-x", "provider": "openai"},
                "metadata": {"prompt_tokens": 120, "completion_tokens": 40, "cost": 0.001},
            }
        )  # fmt: skip
        if len(batch) == BATCH:
            yield orjson.dumps({"events": batch})
            batch = []
    if batch:
        yield orjson.dumps({"events": batch})


def spans(events: int) -> Iterator[bytes]:
    """The bodies of the OTLP requests in protobuf that carry so many spans of about 1 kB."""
    now = now_ns()
    for first in range(0, events, BATCH):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = "bench"
        scoped = group.scope_spans.add()
        for n in range(first, min(first + BATCH, events)):
            trace, word = n // STEPS, WORDS[n % len(WORDS)]
            root = trace * STEPS
            span = scoped.spans.add(
                trace_id=(trace + 1).to_bytes(16, "big"),
                span_id=(n + 1).to_bytes(8, "big"),
                parent_span_id=b"" if n == root else (root + 1).to_bytes(8, "big"),
                name=f"answer {word}",
                start_time_unix_nano=now - (events - n) * 1_000_000,
                end_time_unix_nano=now - (events - n) * 1_000_000 + 250_000_000,
            )
            texts = {
                "gen_ai.operation.name": "invoke_agent" if n == root else "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-x", "session.id": f"session-{trace}",
                "user.id": f"user-{trace % 50}",
                "gen_ai.input.messages": orjson.dumps([
                    _said("system", "You are a helpful assistant of a shop. " * 4),
                    _said("user", f"What about my {word} number {n}? " * 3),
                ]).decode(),
                "gen_ai.output.messages": orjson.dumps(
                    [_said("assistant", f"The {word} is on its way. " * 4)]
                ).decode(),
            }  # fmt: skip
            for key, text in texts.items():
                span.attributes.add(key=key).value.string_value = text
            for key, count in (("input", 120), ("output", 40)):
                span.attributes.add(key=f"gen_ai.usage.{key}_tokens").value.int_value = count
        yield request.SerializeToString()


def _said(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def ingest(
    server: Served,
    bodies: list[bytes],
    connections: int = CONNECTIONS,
    path: str = "/v1/events/batch",
    kind: str = "application/json",
) -> float:
    """Send all bodies; seconds until the last was acknowledged."""
    todo = list(reversed(bodies))
    failed: list[object] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while True:
            try:
                body = todo.pop()
            except IndexError:
                return
            connection.request("POST", path, body, {"Content-Type": kind})
            reply = connection.getresponse()
            answered = reply.read()
            if reply.status != 200:
                failed.append(answered)
                return

    threads = [threading.Thread(target=send) for _ in range(connections)]
    begun = time.perf_counter()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    took = time.perf_counter() - begun
    assert not failed, failed[0]
    return took


def latency(ask: Callable[[int], object]) -> dict[str, float]:
    """Median and 95th percentile in ms."""
    took = []
    for n in range(ASKED):
        begun = time.perf_counter()
        ask(n)
        took.append((time.perf_counter() - begun) * 1000)
    return {"ms": statistics.median(took), "p95_ms": sorted(took)[int(ASKED * 0.95)]}


def asked(server: Served) -> list[dict[str, Any]]:
    """A row for each sort of request."""
    page = server.json("/api/sessions?limit=1")["sessions"][0]
    rows = []
    for name, path in ASKS.items():
        found = latency(
            lambda n, path=path: server.json(path.format(number=n * 37, session=page["session_id"]))
        )
        rows.append({"request": name, **found})
    return rows


def family(process: psutil.Process) -> list[psutil.Process]:
    """The server, and the process that reads large requests for it."""
    return [process, *process.children()]


def spent(process: psutil.Process) -> float:
    """Seconds that all processors have given them."""
    times = [own.cpu_times() for own in family(process)]
    return float(sum(own.user + own.system for own in times))


def held(process: psutil.Process) -> float:
    """What they have now, in MiB; what they share counts twice."""
    return float(sum(own.memory_info().rss for own in family(process)) / 2**20)


@contextmanager
def memory_of(process: psutil.Process) -> Iterator[list[float]]:
    """What the server had while the block ran, in MiB, 20 times a second."""
    samples = [held(process)]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            samples.append(held(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        ended.set()
        watcher.join()


def measure(events: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One store: how it was filled, and what it answers."""
    bodies = list(requests(events))
    size = sum(map(len, bodies)) / events
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "store.db") as server:
        process = psutil.Process(server.process.pid)
        idle = spent(process)
        with memory_of(process) as samples:
            took = ingest(server, bodies)
        written = spent(process)
        left = server.json("/api/about")["unindexed"]
        begun = time.perf_counter()
        while server.json("/api/about")["unindexed"]:
            time.sleep(0.05)
        filled = {
            "events": events,
            "bytes": size,
            "events_per_second": events / took,
            "cpu_us": (written - idle) / events * 1e6,
            "left": left,
            "indexed_s": time.perf_counter() - begun,
            "index_cpu_us": (spent(process) - written) / left * 1e6 if left else None,
        }
        rows = [{"events": events, **row} for row in asked(server)]
        filled["memory_mib"] = max(samples)
        filled["files_mib"] = sum(one.stat().st_size for one in Path(folder).iterdir()) / 2**20
    return filled, rows


def measure_spans(events: int) -> dict[str, Any]:
    """Another store, filled by spans."""
    bodies = list(spans(events))
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "store.db") as server:
        process = psutil.Process(server.process.pid)
        idle = spent(process)
        with memory_of(process) as samples:
            took = ingest(server, bodies, path="/v1/traces", kind="application/x-protobuf")
        return {
            "events": events,
            "bytes": sum(map(len, bodies)) / events,
            "events_per_second": events / took,
            "cpu_us": (spent(process) - idle) / events * 1e6,
            "left": server.json("/api/about")["unindexed"],
            "memory_mib": max(samples),
            "files_mib": sum(one.stat().st_size for one in Path(folder).iterdir()) / 2**20,
        }


def comparison(filled: dict[str, Any], traced: dict[str, Any]) -> dict[str, Any]:
    """Spans beside events: how many a second, and how many a core of the server would take."""
    return {
        "events": filled["events"],
        "events_per_second": filled["events_per_second"],
        "spans_per_second": traced["events_per_second"],
        "ratio": traced["events_per_second"] / filled["events_per_second"],
        "events_per_core": 1e6 / filled["cpu_us"],
        "spans_per_core": 1e6 / traced["cpu_us"],
    }


def in_parts(filled: dict[str, Any], traced: dict[str, Any]) -> list[dict[str, Any]]:
    """What each part of the intake costs, and what the server used beyond them."""
    events = min(filled["events"], IN_PARTS)
    of_events = intake_parts.of_events(list(requests(events)), events)
    of_spans = intake_parts.of_spans(list(spans(events)), events)
    rows = [
        {"part": part, "event_us": of_events[part], "span_us": of_spans[part]}
        for part in intake_parts.PARTS
    ]
    intake = [row for row in rows if row["part"] != "index"]
    beyond = {
        "part": "HTTP, threads",
        "event_us": filled["cpu_us"] - sum(row["event_us"] for row in intake),
        "span_us": traced["cpu_us"] - sum(row["span_us"] for row in intake),
    }
    return [beyond, *rows]


def main() -> None:
    bench = Bench(__doc__)
    sizes = [10_000, 100_000]
    bench.option("--events", full=sizes, quick=[2_000], nargs="+", help="events in the store")
    options = bench.start()
    filled, asked, traced, compared = [], [], [], []
    with bench.progress(len(options.events)) as step:
        for events in options.events:
            row, rows = measure(events)
            filled.append(row)
            asked += rows
            traced.append(measure_spans(events))
            compared.append(comparison(row, traced[-1]))
            step(f"{events:,} events")
        parts = in_parts(filled[-1], traced[-1])
    ingested = (
        Column("events", "ingest", ",d"),
        Column("bytes", "bytes each", ".0f"),
        Column("events_per_second", "events/s", ",.0f"),
        Column("cpu_us", "server CPU us"),
        Column("left", "left to index", ",d"),
        Column("indexed_s", "s until indexed"),
        Column("index_cpu_us", "its CPU us"),
        Column("memory_mib", "MiB memory", ".0f"),
        Column("files_mib", "MiB files", ",.0f"),
    )
    answered = (
        Column("events", "of events", ",d"),
        Column("request", "request"),
        Column("ms", "ms"),
        Column("p95_ms", "p95 ms"),
    )
    beside = (
        Column("events", "spans and events", ",d"),
        Column("events_per_second", "events/s", ",.0f"),
        Column("spans_per_second", "spans/s", ",.0f"),
        Column("ratio", "ratio", ".2f"),
        Column("events_per_core", "events/s a core", ",.0f"),
        Column("spans_per_core", "spans/s a core", ",.0f"),
    )
    parted = (
        Column("part", "part"),
        Column("event_us", "us an event"),
        Column("span_us", "us a span"),
    )
    lines = {
        name: [(float(row["events"]), row["ms"]) for row in asked if row["request"] == name]
        for name in ASKS
    }
    bench.finish(
        Table("ingest", ingested, filled),
        Table("OTLP in protobuf", [c for c in ingested if "index" not in c.key], traced),
        Table("OTLP beside HoneyHive", beside, compared),
        Table("parts of the intake", parted, parts),
        Table("answers", answered, asked),
        plot=Lines("What the local server answers, by events stored", lines, "events", "ms"),
    )


if __name__ == "__main__":
    main()
