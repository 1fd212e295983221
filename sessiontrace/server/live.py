"""Server-sent events: tells each open page that the store has changed, so that it asks again.

Runs on the server's loop; the store is looked at on a reading thread, four times a second and only
while somebody listens. Invariant: an event says that something changed, never what; whoever misses
one loses nothing, because the next answer to its question is whole.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from sessiontrace.errors import StoreError
from sessiontrace.server.reading import Reading

__all__ = ["Live"]

_LOOK_S = 0.25
_BREATH_S = 15.0
_LISTENERS_MAX = 64


class Live:
    """The open streams of one server."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._listeners: set[asyncio.Event] = set()
        self._watch: asyncio.Task[None] | None = None
        self._stopped = False

    def routes(self) -> list[web.RouteDef]:
        """``GET /api/live``."""
        return [web.get("/api/live", self.stream)]

    async def stop(self, _: Any = None) -> None:
        """End every stream, so that the server need not wait for open pages."""
        self._stopped = True
        if self._watch is not None:
            self._watch.cancel()
        for one in list(self._listeners):
            one.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Events named ``changed`` until the reader goes."""
        if len(self._listeners) >= _LISTENERS_MAX:
            raise web.HTTPServiceUnavailable(reason="too many pages are open")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        bell = asyncio.Event()
        self._listeners.add(bell)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            await response.write(b"retry: 1000\nevent: open\ndata: {}\n\n")
            while not self._stopped:
                try:
                    await asyncio.wait_for(bell.wait(), _BREATH_S)
                except asyncio.TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                bell.clear()
                if not self._stopped:
                    await response.write(b"event: changed\ndata: {}\n\n")
        except (ConnectionError, asyncio.CancelledError):
            pass  # the page was closed
        finally:
            self._listeners.discard(bell)
        return response

    async def _look(self) -> None:
        """Ring every bell when another connection has committed; ends with the last listener."""
        seen: int | None = None
        while self._listeners:
            try:
                now = await self._reading.version()
            except StoreError:
                now = -1  # the page asks, and is told what is wrong
            if seen is not None and now != seen:
                for bell in self._listeners:
                    bell.set()
            seen = now
            await asyncio.sleep(_LOOK_S)
