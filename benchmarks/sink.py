"""A backend that takes everything, for the benchmarks: its own process, with a set latency.

``with Sink(latency=0.05) as sink:`` gives ``sink.url``; ``sink.counts()`` tells what it has seen:
requests by path, events, sessions, and how many events came before their session.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web
from typing_extensions import Self


class Sink:
    """A sink in a process of its own, up while the ``with`` block runs."""

    def __init__(self, latency: float = 0.0) -> None:
        self._latency = latency

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--latency", str(self._latency)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def pause(self) -> None:
        """Stop answering: connections are taken by the system and nothing else happens."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self._process.send_signal(signal.SIGCONT)

    def counts(self) -> dict[str, Any]:
        """What it has seen so far."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=10) as reply:
            counts: dict[str, Any] = orjson.loads(reply.read())
        return counts


def _application(latency: float) -> web.Application:
    requests: Counter[str] = Counter()
    sessions: set[str] = set()
    seen = {"events": 0, "before_their_session": 0}

    async def counts(request: web.Request) -> web.Response:
        return web.json_response({"requests": requests, "sessions": len(sessions), **seen})

    async def take(request: web.Request) -> web.Response:
        requests[f"{request.method} {request.path}"] += 1
        body = orjson.loads(await request.read() or b"{}")
        if latency:
            await asyncio.sleep(latency)
        answer: dict[str, Any] = {"success": True}
        if request.path == "/v1/sessions":
            sessions.add(body["session_id"])
            answer = {"session_id": body["session_id"], "event_id": body["session_id"]}
        elif request.path == "/v1/events/batch":
            events = body["events"]
            seen["events"] += len(events)
            seen["before_their_session"] += sum(e["session_id"] not in sessions for e in events)
            answer["event_ids"] = [event["event_id"] for event in events]
        return web.json_response(answer)

    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/counts", counts)
    app.router.add_route("*", "/{path:.*}", take)
    return app


async def _serve(latency: float) -> None:
    runner = web.AppRunner(_application(latency), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    asyncio.run(_serve(parser.parse_args().latency))
