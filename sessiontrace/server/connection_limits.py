"""Who is connected: idle and half-open connections are closed, and there is a limit to them all.

Runs on the server's loop. aiohttp waits for ever for the first request of a connection, and has no
limit; one script with a loop would use up the process's files. Invariant: a connection on which a
request is being answered is never closed here, however long its answer takes.
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
class _Seen:
    since: float
    busy: int = 0


class Connections:
    """The connections of one server; ``idle_s`` without a request, and ``most`` of them."""

    def __init__(self, *, idle_s: float = 35.0, most: int = 1000) -> None:
        self._idle_s = idle_s
        self._most = most
        self._seen: dict[Any, _Seen] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def middleware(self) -> Middleware:
        """Notes which connections are busy."""

        @web.middleware
        async def noted(
            request: web.Request,
            handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        ) -> web.StreamResponse:
            seen = self._seen.setdefault(request.protocol, _Seen(time.monotonic()))
            seen.busy += 1
            try:
                return await handler(request)
            finally:
                seen.busy -= 1
                seen.since = time.monotonic()

        return noted

    def watch(self, connections: Callable[[], Iterable[Any]]) -> None:
        """Look at the open connections every second, until ``stop``."""
        self._task = asyncio.create_task(self._sweep(connections))

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _sweep(self, connections: Callable[[], Iterable[Any]]) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._close_idle(list(connections()), time.monotonic())

    def _close_idle(self, found: list[Any], now: float) -> None:
        idle: list[tuple[float, Any]] = []
        self._seen = {one: self._seen.get(one) or _Seen(now) for one in found}
        for one, seen in self._seen.items():
            if not seen.busy:
                idle.append((seen.since, one))
        idle.sort(key=lambda pair: pair[0])
        excess = len(found) - self._most
        for at, (since, one) in enumerate(idle):
            if (at < excess or now - since > self._idle_s) and one.transport is not None:
                one.transport.close()
