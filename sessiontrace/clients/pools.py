"""Connection pools for the typed clients: one for each event loop that uses a client.

Called from any asyncio loop of the user. A client can thus be a module's global that several
``asyncio.run`` calls use. Invariants: a pool is used and closed only in the loop that created it,
and it is closed at the latest when ``asyncio.run`` ends that loop.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import AsyncGenerator, Callable

import aiohttp

from sessiontrace.clients.errors import ClientError
from sessiontrace.runtime.reentrant_lock import ReentrantLock

__all__ = ["Pools"]

_CLOSE_S = 2.0
_NO_LOOP = (
    "the typed clients run on asyncio, and no asyncio event loop runs here; under trio call them "
    "in a thread of their own: `await trio.to_thread.run_sync(asyncio.run, work())`"
)


class _Pool:
    """One loop's connections, and the generator that closes them with the loop."""

    def __init__(self, make: Callable[[], aiohttp.ClientSession]) -> None:
        self.session = make()
        self._guard = _guard(self.session)

    async def open(self) -> None:
        # A loop finalizes the async generators that were started in it before it closes.
        await self._guard.__anext__()

    async def close(self) -> None:
        await self._guard.aclose()
        await self.session.close()


async def _guard(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await session.close()


class Pools:
    """``get`` returns the session of the running loop; ``close`` closes all of them.

    ``context``: TLS settings. ``limit``: the maximum of connections in a pool.
    """

    def __init__(self, *, context: ssl.SSLContext | None, limit: int = 32) -> None:
        self._context = context
        self._limit = limit
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = ReentrantLock()
        self._closed = False

    async def get(self) -> aiohttp.ClientSession:
        """The session for this loop; ``ClientError`` where there is none, or after ``close``."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ClientError(_NO_LOOP) from None
        with self._lock:
            if self._closed:
                raise ClientError("this client is closed; make a new one")
            pool = self._pools.get(loop)
            if pool is not None:
                return pool.session
            pool = self._pools[loop] = _Pool(self._make)
        await pool.open()
        return pool.session

    async def close(self) -> None:
        """Close the pools of all running loops; ended loops closed theirs. Idempotent."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.items())
            self._pools.clear()
        here = asyncio.get_running_loop()
        for loop, pool in pools:
            if loop is here:
                await pool.close()
            elif loop.is_running():
                elsewhere = asyncio.run_coroutine_threadsafe(pool.close(), loop)
                # A loop that is busy or just ending closes the pool itself, later.
                await asyncio.wait({asyncio.wrap_future(elsewhere)}, timeout=_CLOSE_S)

    def _make(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit, ssl=self._context or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
