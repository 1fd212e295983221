"""Limits of connections: how long one may be idle, and how many may be open.

Runs on the server's loop. aiohttp waits for ever for the first request of a connection, and has no
limit; one script with a loop would use up the process's file descriptors. Invariant: a connection
whose request the server is answering is never closed here, however long the answer takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
from aiohttp import web
from aiohttp.typedefs import Middleware

__all__ = ["Connections"]

_SWEEP_S = 1.0


@attrs.define(eq=False)
class _Usage:
    """One connection: the requests in progress, and when the last one ended."""

    since: float
    requests: int = 0


class Connections:
    """The connections of one server: at most ``most``, each idle for at most ``idle_s``."""

    def __init__(self, *, idle_s: float = 35.0, most: int = 1000) -> None:
        self._idle_s = idle_s
        self._most = most
        self.usage: dict[Any, _Usage] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def middleware(self) -> Middleware:
        """Counts the requests in progress on each connection."""

        @web.middleware
        async def counted(
            request: web.Request,
            handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        ) -> web.StreamResponse:
            usage = self.usage.setdefault(request.protocol, _Usage(time.monotonic()))
            usage.requests += 1
            try:
                return await handler(request)
            finally:
                usage.requests -= 1
                usage.since = time.monotonic()

        return counted

    def watch(self, connections: Callable[[], Iterable[Any]]) -> None:
        """Check the open connections every second, until ``stop``."""
        self._task = asyncio.create_task(self._sweep(connections))

    def stop(self) -> None:
        """End the checks."""
        if self._task is not None:
            self._task.cancel()

    async def _sweep(self, connections: Callable[[], Iterable[Any]]) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.close_idle(list(connections()), time.monotonic())

    def close_idle(self, protocols: list[Any], now: float) -> None:
        """Close connections idle for too long, and the longest idle ones above the limit."""
        idle: list[tuple[float, Any]] = []
        self.usage = {protocol: self.usage.get(protocol) or _Usage(now) for protocol in protocols}
        for protocol, usage in self.usage.items():
            if not usage.requests:
                idle.append((usage.since, protocol))
        idle.sort(key=lambda pair: pair[0])
        surplus = len(protocols) - self._most
        for at, (since, protocol) in enumerate(idle):
            if (at < surplus or now - since > self._idle_s) and protocol.transport is not None:
                protocol.transport.close()
