"""A backend that does what a test tells it to, in its own thread, over real sockets.

Two ways to tell it. A *responder* is a function of the request that was read whole, returning an
`Answer` or a list of steps. A *script* is a list of steps that a connection goes through from its
very beginning, for faults below HTTP. Steps: `read(n)`, `read_request()`, `stall(s)`, `send(b)`,
`drip(b, every)`, `reset()`, `close()`, `answer(...)`.

    with Backend() as backend:                      # answers everything with 200 {}
        backend.responder = lambda request: answer(503, headers={"Retry-After": "1"})
        backend.scripts.append([read_request(), send(b"garbage"), close()])   # next connection
        ...
        assert backend.requests[0].path == "/v1/sessions"
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from support.patience import patience

__all__ = [
    "Backend",
    "Seen",
    "answer",
    "close",
    "drip",
    "eventually",
    "read",
    "read_request",
    "reset",
    "send",
    "stall",
]


@attrs.frozen
class Seen:
    """One request as it arrived; ``at`` is monotonic seconds, ``connection`` counts from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.frozen
class _Step:
    do: str
    amount: float = 0.0
    content: bytes = b""


def read(count: int) -> _Step:
    """Read ``count`` bytes and throw them away."""
    return _Step("read", count)


def read_request() -> _Step:
    """Read one request whole and record it."""
    return _Step("read_request")


def stall(seconds: float) -> _Step:
    """Do nothing for so long (or until the client goes away)."""
    return _Step("stall", seconds)


def send(content: bytes) -> _Step:
    """Send these bytes."""
    return _Step("send", content=content)


def drip(content: bytes, every: float) -> _Step:
    """Send these bytes one at a time."""
    return _Step("drip", every, content)


def reset() -> _Step:
    """End the connection with RST."""
    return _Step("reset")


def close() -> _Step:
    """End the connection in an orderly way."""
    return _Step("close")


def answer(
    status: int = 200,
    body: bytes | object = b"{}",
    *,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
    keep_alive: bool = True,
) -> list[_Step]:
    """A whole HTTP answer; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **({} if keep_alive else {"Connection": "close"}),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    steps = [stall(delay)] if delay else []
    steps.append(send(f"HTTP/1.1 {status} Said So\r\n{head}\r\n".encode("latin-1") + content))
    if not keep_alive:
        steps.append(close())
    return steps


Steps = Sequence[_Step]
Responder = Callable[[Seen], Steps | None]


class _OverError(Exception):
    """The connection is over."""


class Backend:
    """A server on 127.0.0.1 (and ``localhost``) for as long as the `with` block lasts.

    ``requests``: all requests read whole, in order of arrival. ``connections``: how many were
    accepted. ``peak``: most requests that were being answered at one time. ``latency`` delays each
    answer. ``scripts``: for the next connections, in turn; then ``responder`` answers.
    """

    def __init__(
        self,
        responder: Responder | None = None,
        *,
        latency: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.responder: Responder = responder or (lambda request: answer())
        self.latency = latency
        self.scripts: deque[Steps] = deque()
        self.requests: list[Seen] = []
        self.connections = 0
        self.peak = 0
        self._busy = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.AbstractServer | None = None
        self._thread = threading.Thread(target=self._run, name="backend", daemon=True)
        self.port = 0

    def __enter__(self) -> Backend:  # noqa: PYI034 - Self is not in 3.10's typing
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def drop_connections(self) -> None:
        """Close every idle or busy connection now, as a restarted server would."""
        done = threading.Event()

        def drop() -> None:
            for writer in list(self._writers):
                writer.close()
            done.set()

        self._loop.call_soon_threadsafe(drop)
        assert done.wait(10)

    def down(self) -> None:
        """Refuse connections from now on (the port stays ours to come back to)."""
        self._in_loop(self._stop_listening)
        self.drop_connections()

    def up(self) -> None:
        """Accept connections again, on the same port."""
        self._in_loop(self._listen)

    def bodies(self, path: str) -> list[Any]:
        """The decoded bodies of all requests to ``path``."""
        return [request.json for request in list(self.requests) if request.path == path]

    def _in_loop(self, work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        number = self.connections
        try:
            if self.scripts:
                await self._perform(self.scripts.popleft(), reader, writer, number)
            while True:
                request = await self._read_request(reader, writer, number)
                self._busy += 1
                self.peak = max(self.peak, self._busy)
                try:
                    steps = self.responder(request)
                    if self.latency:
                        await asyncio.sleep(self.latency)
                    await self._perform(steps or answer(), reader, writer, number)
                finally:
                    self._busy -= 1
        except (_OverError, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _perform(
        self, steps: Steps, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        for step in steps:
            if step.do == "read":
                await reader.readexactly(int(step.amount))
            elif step.do == "read_request":
                await self._read_request(reader, writer, number)
            elif step.do == "stall":
                await asyncio.sleep(step.amount)
            elif step.do == "send":
                writer.write(step.content)
                await writer.drain()
            elif step.do == "drip":
                for at in range(len(step.content)):
                    writer.write(step.content[at : at + 1])
                    await writer.drain()
                    await asyncio.sleep(step.amount)
            elif step.do == "reset":
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                raise _OverError
            elif step.do == "close":
                raise _OverError

    async def _read_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = await self._read_chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, path, headers, body, time.monotonic(), number)
        self.requests.append(seen)
        return seen

    async def _read_chunks(self, reader: asyncio.StreamReader) -> bytes:
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)


def eventually(check: Callable[[], object], timeout: float = 10.0) -> None:
    """Poll until ``check()`` is true; fail after ``timeout`` seconds of a calm machine."""
    deadline = time.monotonic() + patience(timeout)
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)
