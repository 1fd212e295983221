"""``POST /mcp``: the tools for coding agents over MCP's streamable HTTP.

Runs on the server's loop. Each request stands alone and is answered with one JSON body, so that
nothing is kept between requests. The package ``mcp`` is an ASGI application; this module passes it
a request that the server's guard has admitted. Invariant: ``mcp`` loads with the first request, on
a thread, and the tools read the project of the request's key.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import MutableMapping
from typing import Any

import attrs
from aiohttp import web

from sessiontrace.server.http import (
    RequestRejected,
    error_response,
    read_body,
    with_vendor_errors,
)
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.store_readers import StoreReaders

__all__ = ["MCP_PATH", "McpEndpoint"]

MCP_PATH = "/mcp"
_EXTRA = "this server needs the extra 'mcp' for it: pip install 'sessiontrace[mcp]'"
_HEADERS = frozenset({"content-type", "mcp-protocol-version", "mcp-session-id"})
_UNSEEN = frozenset({"authorization", "content-encoding", "content-length", "cookie", "x-api-key"})


class McpEndpoint:
    """The route, and the server behind it, which starts with the first request."""

    def __init__(self, readers: StoreReaders, version: str) -> None:
        self._readers = readers
        self._version = version
        self._starting = asyncio.Lock()
        self._manager: Any = None
        self._serving: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """The endpoint takes POST alone: it offers no stream from the server."""
        return [web.post(MCP_PATH, with_vendor_errors(self._answer, error_response))]

    async def close(self) -> None:
        """End the server, after the requests."""
        self._stop.set()
        if self._serving is not None:
            await self._serving

    async def _answer(self, request: web.Request) -> web.Response:
        if importlib.util.find_spec("mcp") is None:
            raise RequestRejected(501, _EXTRA)
        body = await read_body(request)
        async with self._starting:
            if self._manager is None:
                await self._start()
        exchange = _Exchange(body)
        await self._manager.handle_request(_scope(request), exchange.receive, exchange.send)
        return exchange.response()

    async def _start(self) -> None:
        """Load the package and run its server in a task of its own until ``close``."""
        manager = await asyncio.to_thread(_manager, self._readers, self._version)
        running = asyncio.Event()

        async def serve() -> None:
            async with manager.run():
                running.set()
                await self._stop.wait()

        self._serving = asyncio.create_task(serve())
        await running.wait()
        self._manager = manager


def _manager(readers: StoreReaders, version: str) -> Any:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from sessiontrace.server.apis.mcp.mcp_server import make_server

    server = make_server(readers, version)
    return StreamableHTTPSessionManager(server, json_response=True, stateless=True)


def _scope(request: web.Request) -> dict[str, Any]:
    """The request as ASGI describes it, with its project."""
    from sessiontrace.server.apis.mcp.mcp_server import PROJECT_KEY

    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": MCP_PATH,
        "raw_path": MCP_PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
            if name.lower() not in _UNSEEN
        ],
        "client": None,
        "server": None,
        PROJECT_KEY: PROJECT.get(),
    }


@attrs.define
class _Exchange:
    """One request and its response, as the ASGI application reads and writes them."""

    body: bytes
    read: bool = False
    status: int = 500
    headers: dict[str, str] = attrs.field(factory=dict)
    content: bytearray = attrs.field(factory=bytearray)

    async def receive(self) -> dict[str, Any]:
        if self.read:  # the client stays connected until it has its answer
            await asyncio.Event().wait()
        self.read = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message.get("headers", ())
            }
        elif message["type"] == "http.response.body":
            self.content += message.get("body", b"")

    def response(self) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        headers |= {name: text for name, text in self.headers.items() if name in _HEADERS}
        return web.Response(status=self.status, body=bytes(self.content), headers=headers)
