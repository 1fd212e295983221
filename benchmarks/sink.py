"""A backend that takes everything, for the benchmarks: its own process, with a set latency.

``with Sink(latency=0.05) as sink:`` gives ``sink.url``; ``sink.counts()`` tells what it has seen:
requests by path, bytes, events, sessions, how many events came before their session, and the
processor time it took for all of it. It keeps
off the first core, where the measured process is. `protocols` knows what an event is in each
vendor's requests; what needs no look into the body to be answered is counted after the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import machine_info
import orjson
import protocols
from aiohttp import web
from typing_extensions import Self

__all__ = ["Sink", "refusing"]


class Sink:
    """A sink in a process of its own, up while the ``with`` block runs."""

    def __init__(self, latency: float = 0.0, port: int = 0) -> None:
        self._asked = ["--latency", str(latency), "--port", str(port)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._asked],
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

    def mode(self, name: str) -> None:
        """From now on answer ("ok"), never answer ("hang") or answer "500"; only "ok" counts."""
        urllib.request.urlopen(f"{self.url}/sink/mode/{name}", timeout=30).close()

    def counts(self) -> dict[str, Any]:
        """What it has seen so far."""
        with urllib.request.urlopen(f"{self.url}/sink/counts", timeout=60) as reply:
            counts: dict[str, Any] = orjson.loads(reply.read())
        return counts

    def forget(self) -> None:
        """Count from nothing again."""
        urllib.request.urlopen(f"{self.url}/sink/forget", timeout=60).close()


@contextmanager
def refusing() -> Iterator[int]:
    """A port of this machine that refuses connections while the block runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class _Seen:
    """What has come; requests wait until their counts are asked for."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bytes = 0
        self.events = 0
        self.before_their_session = 0
        self.sessions: set[str] = set()
        self.named: set[str] = set()
        self.unread: deque[protocols.Taken] = deque()

    def take(self, taken: protocols.Taken) -> None:
        self.requests[f"{taken.method} {protocols.place(taken.path)}"] += 1
        self.bytes += len(taken.body)
        self.unread.append(taken)

    def read(self) -> None:
        while self.unread:
            found = protocols.read(self.unread.popleft())
            self.sessions.update(found.sessions)
            self.before_their_session += sum(one not in self.sessions for one in found.under)
            self.events += found.events
            self.named.update(found.named)

    def counts(self) -> dict[str, Any]:
        self.read()
        return {
            "requests": dict(self.requests),
            "bytes": self.bytes,
            "events": self.events + len(self.named),
            "sessions": len(self.sessions),
            "before_their_session": self.before_their_session,
            "cpu_s": time.process_time(),
        }


def _application(latency: float) -> web.Application:
    seen = _Seen()
    mode = ["ok"]

    async def control(request: web.Request) -> web.Response:
        asked = request.match_info["asked"]
        if asked == "counts":
            return web.Response(body=orjson.dumps(seen.counts()))
        if asked == "forget":
            seen.forget()
        else:
            mode[0] = asked.removeprefix("mode/")
        return web.Response()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if mode[0] == "hang":
            await asyncio.Event().wait()
        if mode[0] == "500":
            return web.Response(status=500, text="no")
        taken = protocols.Taken(request.method, request.path, request.headers, body)
        seen.take(taken)
        if latency:
            await asyncio.sleep(latency)
        answer, kind = protocols.answer(taken)
        if len(seen.unread) > 50:  # what waits must not become a weight of its own
            seen.read()
        return web.Response(body=answer, content_type=kind)

    app = web.Application(client_max_size=512 << 20)
    app.router.add_get("/sink/{asked:.*}", control)
    app.router.add_route("*", "/{path:.*}", take)
    return app


async def _serve(latency: float, port: int) -> None:
    runner = web.AppRunner(_application(latency), access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await _until_alone()


async def _until_alone() -> None:
    """Return when the process that started this one is gone."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of a parent's death
        await asyncio.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--port", type=int, default=0, help="where (default: any that is free)")
    asked = parser.parse_args()
    machine_info.pin(first=False)
    asyncio.run(_serve(asked.latency, asked.port))
