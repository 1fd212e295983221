"""Server-sent events: each open page learns that the store has changed, and asks again.

Runs on the server's loop; a reading thread checks the store's version four times a second while any
page listens. Invariant: an event says that something changed, never what; a page that misses an
event loses nothing, because its next question has a complete answer. A stream ends within seconds
of the revocation of its key. No project and no key can lock out the others: each key has a limit,
and where all streams together reach theirs, the oldest stream of the project with most gives way.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import attrs
from aiohttp import web

from sessiontrace.model.errors import StoreError
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.api_keys import READ

__all__ = ["ChangeStream"]

_CHECK_S = 0.25
_STEP_S = 1.0
_KEEPALIVE_STEPS = 15  # quiet steps until a comment, so that no proxy closes an idle stream
_CALLER_STREAMS_MAX = 64
_STREAMS_MAX = 512
_CHECK_KEY_S = 1.0


@attrs.define(eq=False)
class _Listener:
    """One open stream: its page's project and key, and the bell that wakes it."""

    project: str
    caller: str
    bell: asyncio.Event = attrs.field(factory=asyncio.Event)
    ended: bool = False


class ChangeStream:
    """The open streams of one server."""

    def __init__(self, readers: StoreReaders, auth: TokenAuth) -> None:
        self._readers = readers
        self._auth = auth
        self._listeners: dict[_Listener, None] = {}  # in the order of their start
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
        for listener in self._listeners:
            listener.bell.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Events named ``changed``, until the page closes."""
        listener = _Listener(PROJECT.get(), self._auth.caller(request.headers))
        self._make_room(listener)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        project = listener.project
        self._listeners[listener] = None
        if project not in self._watches or self._watches[project].done():
            self._watches[project] = asyncio.create_task(self._watch(project))
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\nevent: open\ndata: {}\n\n")
            await self._serve(request, response, listener)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the page was closed
        finally:
            self._listeners.pop(listener, None)
        return response

    async def _serve(
        self, request: web.Request, response: web.StreamResponse, listener: _Listener
    ) -> None:
        """Write what happens, until the page, the stream's turn or its key ends."""
        quiet = 0
        checked_at = time.monotonic()
        while not (self._stopped or listener.ended or request.transport is None):
            if time.monotonic() - checked_at >= _CHECK_KEY_S:
                checked_at = time.monotonic()
                if not await self._may_read(request):
                    return
            try:
                await asyncio.wait_for(listener.bell.wait(), _STEP_S)
            except asyncio.TimeoutError:
                quiet += 1
                if quiet % _KEEPALIVE_STEPS == 0:
                    await response.write(b": still here\n\n")
                continue
            listener.bell.clear()
            quiet = 0
            if not (self._stopped or listener.ended):
                await response.write(b"event: changed\ndata: {}\n\n")

    async def _may_read(self, request: web.Request) -> bool:
        """Whether the stream's key is still valid; a store that cannot be read revokes no key."""
        try:
            await self._auth.refresh(request.headers)
        except StoreError:
            return True
        return self._auth.admits(request.headers, READ)

    def _make_room(self, newcomer: _Listener) -> None:
        """End another stream for a new one where all are in use, or refuse the new one."""
        counts = Counter(listener.caller for listener in self._listeners)
        projects = Counter(listener.project for listener in self._listeners)
        if counts[newcomer.caller] < _CALLER_STREAMS_MAX:
            if len(self._listeners) < _STREAMS_MAX:
                return
            (project, most), *_ = projects.most_common(1)
            if projects[newcomer.project] < most:
                oldest = next(other for other in self._listeners if other.project == project)
                oldest.ended = True
                oldest.bell.set()
                del self._listeners[oldest]
                return
        raise web.HTTPServiceUnavailable(reason="too many pages are open")

    def _bells(self, project: str) -> list[asyncio.Event]:
        return [listener.bell for listener in self._listeners if listener.project == project]

    async def _watch(self, project: str) -> None:
        """Ring every bell of a project after each change; ends with the last listener."""
        seen: int | None = None
        while bells := self._bells(project):
            try:
                now = await self._readers.version()
            except StoreError:
                now = -1  # counts as a change: the page asks, and its answer is the error
            if seen is not None and now != seen:
                for bell in bells:
                    bell.set()
            seen = now
            await asyncio.sleep(_CHECK_S)
