"""Server-sent events: each open page learns that the store has changed, and asks again.

Runs on the server's loop; a reading thread checks the store's version four times a second while any
page listens. Invariant: an event says that something changed, never what; a page that misses an
event loses nothing, because its next question has a complete answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from sessiontrace.model.errors import StoreError
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.store_readers import StoreReaders

__all__ = ["ChangeStream"]

_CHECK_S = 0.25
_STEP_S = 1.0
_KEEPALIVE_STEPS = 15  # quiet steps until a comment, so that no proxy closes an idle stream
_LISTENERS_MAX = 64


class ChangeStream:
    """The open streams of one server."""

    def __init__(self, readers: StoreReaders) -> None:
        self._readers = readers
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._stopped = False

    def routes(self) -> list[web.RouteDef]:
        """``GET /api/live``."""
        return [web.get("/api/live", self.stream)]

    async def stop(self, _: Any = None) -> None:
        """End every stream, so that the server need not wait for open pages."""
        self._stopped = True
        for watch in self._watches.values():
            watch.cancel()
        for bell in [bell for bells in self._listeners.values() for bell in bells]:
            bell.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Events named ``changed``, until the page closes."""
        if sum(map(len, self._listeners.values())) >= _LISTENERS_MAX:
            raise web.HTTPServiceUnavailable(reason="too many pages are open")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        bell, project = asyncio.Event(), PROJECT.get()
        bells = self._listeners.setdefault(project, set())
        bells.add(bell)
        if project not in self._watches or self._watches[project].done():
            self._watches[project] = asyncio.create_task(self._watch(bells))
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\nevent: open\ndata: {}\n\n")
            quiet = 0
            while not (self._stopped or request.transport is None):
                try:
                    await asyncio.wait_for(bell.wait(), _STEP_S)
                except asyncio.TimeoutError:
                    quiet += 1
                    if quiet % _KEEPALIVE_STEPS == 0:
                        await response.write(b": still here\n\n")
                    continue
                bell.clear()
                quiet = 0
                if not self._stopped:
                    await response.write(b"event: changed\ndata: {}\n\n")
        except (ConnectionError, asyncio.CancelledError):
            pass  # the page was closed
        finally:
            bells.discard(bell)
        return response

    async def _watch(self, bells: set[asyncio.Event]) -> None:
        """Ring every bell of a project after each change; ends with the last listener."""
        seen: int | None = None
        while bells:
            try:
                now = await self._readers.version()
            except StoreError:
                now = -1  # counts as a change: the page asks, and its answer is the error
            if seen is not None and now != seen:
                for bell in bells:
                    bell.set()
            seen = now
            await asyncio.sleep(_CHECK_S)
