"""A small request and its answer over one of aiohttp's connections, with few objects.

``ClientSession.request`` makes two dozen objects and a task for each request, which costs twice as
much as the exchange itself. Here the request's head is written once for each method and address,
and the rest is left to aiohttp: its connector has the connections and its parser reads the answer.
Used by the transport in the sender's loop. Invariants: the bytes sent are those that
``ClientSession.request`` would send; an exchange ends within its total timeout; and a connection
goes back to the connector only after a whole answer.

aiohttp documents the connector and the connection, but not the protocol that it reads answers
with. ``UnfitError`` says that this aiohttp has another one: send by its session instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from yarl import URL

from sessiontrace.model.lru_cache import LruCache

__all__ = ["SmallExchange", "UnfitError"]

_HEADS = 16  # most requests go to one or two addresses; an update has one of its own
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
    """Sends requests with these headers over the connections of ``connector``.

    An exchange may take ``total`` seconds, ``connect`` of them until there is a connection. At most
    ``longest`` bytes of an answer are read; the connection is closed where there is more.
    ``has_opened``: whether the exchange of this task has opened its connection.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        headers: Mapping[str, str],
        *,
        total: float,
        connect: float,
        longest: int,
        has_opened: Callable[[], bool],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connector = connector
        self._headers = headers
        self._total = total
        self._timeout = aiohttp.ClientTimeout(total=total, connect=min(connect, total))
        self._longest = longest
        self._has_opened = has_opened
        self._deadlines = _Deadlines(self._loop)
        self._heads: LruCache[tuple[str, str], tuple[aiohttp.ClientRequest, bytes]] = LruCache(
            _HEADS
        )

    async def send(self, method: str, url: str, body: bytes) -> Answer:
        """The answer; what aiohttp and its parser raise, or TimeoutError, when there is none."""
        deadline = self._loop.time() + self._total
        try:
            request, head = self._heads.get((method, url)) or self._prepare(method, url)
            connection = await self._connector.connect(request, [], self._timeout)
        except (AttributeError, TypeError) as error:
            raise UnfitError(str(error)) from error
        deadlines = self._deadlines
        deadlines.add(connection, deadline)
        try:
            if request.url.scheme == "https" and self._has_opened():
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
            return await self._exchange(connection, b"%b%d\r\n\r\n%b" % (head, len(body), body))
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

    def _prepare(self, method: str, url: str) -> tuple[aiohttp.ClientRequest, bytes]:
        """aiohttp's request without a body, and its head up to the length of the body."""
        try:
            address = URL(url)
        except ValueError as error:
            raise aiohttp.InvalidURL(url) from error
        request = aiohttp.ClientRequest(method, address, headers=self._headers, loop=self._loop)
        lines = [f"{method} {request.url.raw_path_qs} HTTP/1.1"]
        for name, value in request.headers.items():
            if not _UNSAFE.isdisjoint(name + value):
                raise ValueError("a header has a line break in it")
            if name.lower() != "content-length":
                lines.append(f"{name}: {value}")
        prepared = request, "\r\n".join([*lines, "Content-Length: "]).encode()
        self._heads.put((method, url), prepared)
        return prepared


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
