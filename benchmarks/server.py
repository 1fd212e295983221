"""What the local server does: ingest through HTTP, then lists, searches and one session.

    python benchmarks/server.py            10 000 and 100 000 events
    python benchmarks/server.py --million  1 000 000 as well

A server is started as a user starts it, over a new store; events of 0.8 kB go to HoneyHive's batch
route over four connections, 500 in a request, each acknowledged when it is on the disk. Latencies
are medians and 95th percentiles of 30 requests, the index for search complete.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import psutil
from served import Served, serving

from sessiontrace.ids import new_id, now_ns

CONNECTIONS = 4
BATCH = 500
STEPS = 20  # in a session
ASKED = 30
WORDS = ("order", "refund", "invoice", "delivery", "address", "payment", "cancel", "track")
JSON = {"Content-Type": "application/json"}


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


def ingest(server: Served, bodies: list[bytes]) -> float:
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
            connection.request("POST", "/v1/events/batch", body, JSON)
            reply = connection.getresponse()
            answered = reply.read()
            if reply.status != 200:
                failed.append(answered)
                return

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    took = time.perf_counter() - begun
    assert not failed, failed[0]
    return took


def latency(ask: Callable[[int], object]) -> str:
    """Median and 95th percentile in ms."""
    took = []
    for n in range(ASKED):
        begun = time.perf_counter()
        ask(n)
        took.append((time.perf_counter() - begun) * 1000)
    return f"{statistics.median(took):6.1f} / {sorted(took)[int(ASKED * 0.95)]:6.1f} ms"


def measure(events: int) -> None:
    bodies = list(requests(events))
    size = sum(map(len, bodies)) / events
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "store.db") as server:
        process = psutil.Process(server.process.pid)
        before = process.cpu_times()
        took = ingest(server, bodies)
        spent = process.cpu_times()
        cpu = spent.user + spent.system - before.user - before.system
        count = events // STEPS
        print(f"\n{events:,} events of {size:.0f} B in {count:,} sessions")
        print(f"  ingest            {events / took:10,.0f} events/s"
              f"   ({cpu / events * 1e6:.0f} us CPU per event)")  # fmt: skip
        begun = time.perf_counter()
        while server.json("/api/about")["unindexed"]:
            time.sleep(0.2)
        print(f"  indexed after     {time.perf_counter() - begun:10.1f} s")
        page = server.json("/api/sessions?limit=1")["sessions"][0]
        print(f"  list              {latency(lambda _: server.json('/api/sessions?limit=60'))}")
        by_name = "/api/sessions?limit=60&errors=1"
        print(f"  list, filtered    {latency(lambda _: server.json(by_name))}")
        rare = "/api/sessions?limit=60&q=number%20{}"
        print(f"  search, rare      {latency(lambda n: server.json(rare.format(n * 37)))}")
        common = "/api/sessions?limit=60&q=refund"
        print(f"  search, common    {latency(lambda _: server.json(common))}")
        one = f"/api/sessions/{page['session_id']}"
        print(f"  one session       {latency(lambda _: server.json(one))}")
        histogram = "/api/histogram"
        print(f"  histogram         {latency(lambda _: server.json(histogram))}")
        rss = process.memory_info().rss / 1e6
        file = sum(one.stat().st_size for one in Path(folder).iterdir()) / 1e6
        print(f"  memory {rss:.0f} MB, files {file:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--million", action="store_true", help="1 000 000 events too")
    parser.add_argument("--only", type=int, help="this number of events alone")
    options = parser.parse_args()
    sizes = [10_000, 100_000, *([1_000_000] if options.million else [])]
    print(json.dumps({"cores": psutil.cpu_count(), "python": sys.version.split()[0]}))
    for events in [options.only] if options.only else sizes:
        measure(events)


if __name__ == "__main__":
    main()
