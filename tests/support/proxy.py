"""A real HTTP proxy on 127.0.0.1: CONNECT and plain requests, with and without a password."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Mapping

__all__ = ["Proxy"]


class Proxy:
    """A proxy for as long as the `with` block lasts.

    ``hosts``: the ports of 127.0.0.1 that host names stand for; no other host is reached.
    ``login``: "user:password" that it requires. ``targets``: "METHOD host:port" of each request it
    accepted. ``refused``: how many requests it answered with 407. ``heads``: what it read.
    """

    def __init__(self, hosts: Mapping[str, int], login: str = "") -> None:
        self.hosts = hosts
        self.targets: list[str] = []
        self.heads: list[str] = []
        self.refused = 0
        self.port = 0
        self._login = login
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:  # noqa: PYI034 - Self is not in 3.10's typing
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Its address, without user and password."""
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 20)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._serve(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection can carry another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        headers = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        fields = {name.lower(): value for name, _, value in headers}
        expected = f"Basic {base64.b64encode(self._login.encode()).decode()}"
        if self._login and fields.get("proxy-authorization") != expected:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return False
        place = target if method == "CONNECT" else target.split("/")[2]
        self.targets.append(f"{method} {place}")
        port = self.hosts.get(place.partition(":")[0])
        if port is None:
            writer.write(b"HTTP/1.1 502 Nowhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return False
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Go\r\n\r\n")
            await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
            return False
        path = "/" + target.split("/", 3)[3]
        lines = [
            f"{name}: {value}"
            for name, _, value in headers
            if not name.lower().startswith(("proxy-", "connection"))
        ]
        outer.write("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1"))
        outer.write(await reader.readexactly(int(fields.get("content-length", 0))))
        answer = await inner.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        writer.write(answer + await inner.readexactly(length))
        await writer.drain()
        outer.close()
        return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    finally:
        writer.close()
