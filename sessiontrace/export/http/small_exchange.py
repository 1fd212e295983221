"""A small request and its answer over one of aiohttp's connections, with few objects.

``ClientSession.request`` makes two dozen objects and a task for each request, which costs twice as
much as the exchange itself. Here a request's headers are written once for each method, and the
rest is left to aiohttp: its connector has the connections and its parser reads the answer.
Used by the transport in the sender's loop. Invariants: the bytes sent are those that
``ClientSession.request`` would send; an exchange ends within its total timeout; and a connection
goes back to the connector only after a whole answer.

aiohttp documents the connector and the connection, but not the protocol that it reads answers
with. ``UnfitError`` says that this aiohttp has another one: send by its session instead.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from yarl import URL

__all__ = ["SmallExchange", "UnfitError"]

_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_~-]+)+")  # which the URL's rules leave as it is
_UNSAFE = frozenset("\r\n\0")
_TURNS = 3
"""Turns of the loop before the first request of a TLS connection, as aiohttp's session takes. What
TLS 1.3 says against a client certificate comes after the handshake, and is lost where a request to
the closed end brings a reset."""

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and the decoded body as far as it was read."""


class UnfitError(Exception):
    """This aiohttp does not have what the exchange needs."""


class SmallExchange:
    """Sends requests below ``base_url`` with these headers over the connections of ``connector``.

    An exchange may take ``total`` seconds, ``connect`` of them until there is a connection. At most
    ``longest`` bytes of an answer are read; the connection is closed where there is more.
    ``has_opened``: whether the exchange of this task has opened its connection.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        base_url: str,
        headers: Mapping[str, str],
        *,
        total: float,
        connect: float,
        longest: int,
        has_opened: Callable[[], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connector = connector
        self._base_url = base_url
        self._headers = headers
        self._total = total
        self._timeout = aiohttp.ClientTimeout(total=total, connect=min(connect, total))
        self._longest = longest
        self._has_opened = has_opened
        self._deadlines = _Deadlines(self._loop)
        self._prepared: dict[str, tuple[aiohttp.ClientRequest, str, str]] = {}

    async def send(self, method: str, path: str, body: bytes) -> Answer:
        """The answer; what aiohttp and its parser raise, or TimeoutError, when there is none."""
        deadline = self._loop.time() + self._total
        try:
            request, base_path, headers = self._prepared.get(method) or self._prepare(method)
            target = base_path + path if _PLAIN_PATH.fullmatch(path) else self._target(path)
            head = f"{method} {target} HTTP/1.1\r\n{headers}{len(body)}\r\n\r\n"
            connection = await self._connector.connect(request, [], self._timeout)
        except (AttributeError, TypeError) as error:
            raise UnfitError(str(error)) from error
        deadlines = self._deadlines
        deadlines.add(connection, deadline)
        try:
            if request.url.scheme == "https" and self._has_opened():
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
            return await self._exchange(connection, head.encode() + body)
        except (AttributeError, TypeError) as error:
            raise UnfitError(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise (error if connection in deadlines else TimeoutError()) from None
        finally:
            deadlines.discard(connection)
            connection.close()  # nothing to do after an answer: it was given back

    async def _exchange(self, connection: Any, message: bytes) -> Answer:
        protocol = connection.protocol
        protocol.set_response_params(read_until_eof=True)
        connection.transport.write(message)
        while True:
            head, content = await protocol.read()
            if not 100 <= head.code < 200 or head.code == 101:
                break
        body = b""
        while len(body) < self._longest and not content.at_eof():  # nearly always once
            body += await content.read(self._longest - len(body))
        if content.at_eof():
            connection.release()
        return head.code, head.headers, body

    def _prepare(self, method: str) -> tuple[aiohttp.ClientRequest, str, str]:
        """aiohttp's request to the base, its path, and its headers up to the body's length."""
        address = _address(self._base_url)
        request = aiohttp.ClientRequest(method, address, headers=self._headers, loop=self._loop)
        lines = []
        for name, value in request.headers.items():
            if not _UNSAFE.isdisjoint(name + value):
                raise ValueError("a header has a line break in it")
            if name.lower() != "content-length":
                lines.append(f"{name}: {value}\r\n")
        base_path = address.raw_path.rstrip("/")
        prepared = request, base_path, "".join([*lines, "Content-Length: "])
        self._prepared[method] = prepared
        return prepared

    def _target(self, path: str) -> str:
        """Path and query of a request, as aiohttp writes them."""
        return _address(self._base_url + path).raw_path_qs


def _address(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise aiohttp.InvalidURL(url) from error


class _Deadlines:
    """The connections in use, until when; one that is used for longer is ended, and so its reader.

    One timer for all of them: one for each would cost a tenth of the exchange.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until: dict[Any, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, connection: Any, deadline: float) -> None:
        """End the connection at this time of the loop's clock."""
        self._until[connection] = deadline
        if self._timer is None or deadline < self._due:
            self._set(deadline)

    def discard(self, connection: Any) -> None:
        """The connection may last."""
        self._until.pop(connection, None)

    def __contains__(self, connection: Any) -> bool:
        """Whether the connection is in use and has not been ended here."""
        return connection in self._until

    def _set(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in [used for used, until in self._until.items() if until <= now]:
            del self._until[connection]
            if connection.transport is not None:
                connection.transport.abort()
        if self._until:
            self._set(min(self._until.values()))
