"""A small request goes out over aiohttp's connections as aiohttp's own session would send it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler
from support.fake_backend import Backend, answer, close, read_request, send, stall

from sessiontrace.export.http.small_exchange import SmallExchange, UnfitError
from sessiontrace.export.http_transport import HttpTransport
from sessiontrace.export.protocol import Request, UntrustedError
from sessiontrace.model.secret import Secret

pytestmark = pytest.mark.asyncio

SMALL = Request("POST", "/v1/things?deep=a%20b", b'{"a":1}', (0,))
METHODS = ("POST", "PUT")
HEADERS = {"X-Thing": "\u00fc", "Content-Type": "application/x-protobuf"}


@contextlib.asynccontextmanager
async def recorder() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server's URL, and each request to it as it arrived."""
    arrived: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                arrived.append(head + await reader.readexactly(len(SMALL.body)))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", arrived
    finally:
        server.close()


async def unfit(*_: Any, **__: Any) -> Any:
    raise UnfitError


@pytest.mark.parametrize("base", ["", "/api/v2"])
async def test_it_sends_the_bytes_that_aiohttps_session_sends(
    monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    """Names, values and order of the headers included, whatever the path."""
    paths = [SMALL.path, "/v1/sessions/0190-ab_c", "/a b/\u00fc", "/a/../b", "/x%2fy#z", "", "//c"]
    requests = [Request(method, path, SMALL.body, (0,)) for path in paths for method in METHODS]
    async with recorder() as (url, arrived):
        for _ in range(2):
            transport = HttpTransport(url + base, Secret("key"), headers=HEADERS)
            for request in requests:
                await transport.send(request, [])
                await transport.send(request, [])
            await transport.close()
            monkeypatch.setattr(SmallExchange, "send", unfit)
    count = 2 * len(requests)
    assert len(arrived) == 2 * count
    assert arrived[:count] == arrived[count:]


async def test_an_aiohttp_with_another_protocol_sends_by_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is lost where a later aiohttp takes other arguments; the request may go out twice."""
    original = ResponseHandler.set_response_params

    def newer(self: ResponseHandler, **options: Any) -> None:
        if "timer" not in options:
            raise TypeError("set_response_params() needs a timer")
        original(self, **options)

    monkeypatch.setattr(ResponseHandler, "set_response_params", newer)
    with Backend() as backend:
        transport = HttpTransport(backend.url)
        for _ in range(2):
            assert (await transport.send(SMALL, [])).status == 200
        await transport.close()
        assert len(backend.requests) == 2


async def test_this_aiohttp_has_what_the_exchange_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails, aiohttp changed: adapt ``SmallExchange``. Until then its session sends."""
    monkeypatch.setattr("aiohttp.ClientSession._request", unfit)
    with Backend() as backend:
        transport = HttpTransport(backend.url)
        assert (await transport.send(SMALL, [])).status == 200
        await transport.close()


async def test_an_interim_answer_is_not_the_answer() -> None:
    """A proxy in front of a backend may send 103 and 100 first."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    with Backend() as backend:
        backend.scripts.append([read_request(), send(interim), *answer(201, b"yes"), stall(5)])
        transport = HttpTransport(backend.url)
        reply = await transport.send(SMALL, [])
        await transport.close()
    assert (reply.status, reply.body) == (201, b"yes")


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    """As HTTP/1.0 does it; the connection is not used again."""
    with Backend() as backend:
        backend.scripts.append([read_request(), send(b"HTTP/1.1 200 OK\r\n\r\nyes"), close()])
        transport = HttpTransport(backend.url)
        assert (await transport.send(SMALL, [])).body == b"yes"
        assert (await transport.send(SMALL, [])).status == 200
        await transport.close()
        assert backend.connections == 2


async def test_a_cancelled_exchange_gives_no_connection_back() -> None:
    """Its answer would be read as that of the next request."""
    with Backend() as backend:
        backend.scripts.append([read_request(), stall(5)])
        transport = HttpTransport(backend.url)
        task = asyncio.ensure_future(transport.send(SMALL, []))
        while not backend.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await transport.send(SMALL, [])).status == 200
        await transport.close()
        assert backend.connections == 2


async def test_a_line_break_in_a_header_is_refused() -> None:
    """It would begin another header, and what follows it is the user's text."""
    with Backend() as backend:
        transport = HttpTransport(backend.url, headers={"X-Thing": "a\r\nX-Other: b"})
        with pytest.raises(OSError, match="connection broke"):
            await transport.send(SMALL, [])
        await transport.close()
        assert not backend.requests


@pytest.mark.parametrize("url", ["http://exa mple:port", "http://127.0.0.1:99999"])
async def test_an_address_that_is_none_is_refused_as_such(url: str) -> None:
    """As aiohttp's session refuses it."""
    transport = HttpTransport(url)
    with pytest.raises(UntrustedError, match="URL is not valid"):
        await transport.send(SMALL, [])
    await transport.close()
