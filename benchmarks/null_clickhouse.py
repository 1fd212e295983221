"""ClickHouse as far as a replica sees it, that keeps nothing: inserts are read and forgotten.

``python null_clickhouse.py HOST PORT`` prints its port, and ends when its standard input does. What
is no insert is asked of the engine at HOST and PORT. So a replica's own cost is measured without an
engine's on the same cores. Owned by its one thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

_DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-ClickHouse-Timezone: UTC\r\n\r\n"
_PIECE = 1 << 20


class Void:
    """Connections to the engine that keeps nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._engine = host, port

    async def serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, limit=1 << 20)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(await self._answer(head, reader))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        asked = parse_qs(urlsplit(head.split(b" ", 2)[1].decode()).query)
        begin, inserts = asked.get("query", [""])[0].encode(), False
        body = bytearray()
        async for piece in _body(head, reader):
            inserts = inserts or (begin + body + piece)[:20].lstrip().upper().startswith(b"INSERT ")
            if not inserts:
                body += piece
        return _DONE if inserts else await self._forward(head, bytes(body))

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._engine)
        lines = [
            line
            for line in head.rstrip().split(b"\r\n")
            if not line.lower().startswith((b"connection:", b"transfer-", b"content-length:"))
        ]
        lines += [b"Connection: close", b"Content-Length: %d" % len(body), b"", b""]
        writer.write(b"\r\n".join(lines) + body)
        found = await reader.read(-1)
        writer.close()
        return found


async def _body(head: bytes, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        while size := int(await reader.readline(), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return
    at = lowered.find(b"content-length:")
    left = int(lowered[at + 15 : lowered.find(b"\r\n", at)]) if at >= 0 else 0
    while left:
        piece = await reader.read(min(left, _PIECE))
        left -= len(piece)
        yield piece


if __name__ == "__main__":
    asyncio.run(Void(sys.argv[1], int(sys.argv[2])).serve())
