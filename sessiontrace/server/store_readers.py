"""Reading the store beside the loop: a few threads, each with a store of its own.

Routes await ``query`` on the server's loop; its question runs on one of the threads, over the store
of the request's project. Invariant: the loop never waits for a store, and no question runs longer
than the limit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.store.protocol import Store, Stores

__all__ = ["StoreReaders"]

T = TypeVar("T")


class StoreReaders:
    """Runs questions to the stores; each may take ``limit_s`` seconds."""

    def __init__(self, stores: Stores, *, threads: int = 3, limit_s: float = 2.0) -> None:
        self._source = stores
        self._limit_s = limit_s
        self._threads = ThreadPoolExecutor(threads, "sessiontrace-reading")
        self._local = threading.local()
        self._stores: list[Store] = []
        self._watched: dict[str, Store] = {}

    async def query(self, question: Callable[[Store], T]) -> T:
        """The result of ``question`` for a store to read. Raises ``StoreError``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, PROJECT.get(), question)

    def _answer(self, project: str, question: Callable[[Store], T]) -> T:
        stores: dict[str, Store] = self._local.__dict__.setdefault("stores", {})
        return question(self._store(stores, project))

    def _store(self, stores: dict[str, Store], project: str) -> Store:
        store = stores.get(project)
        if store is None:
            store = stores[project] = self._source.reader(project, self._limit_s)
            self._stores.append(store)
        return store

    async def version(self) -> int:
        """A number that changes with every commit of any process, read from one connection."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._version, PROJECT.get())

    def _version(self, project: str) -> int:
        return self._store(self._watched, project).version()

    def close(self) -> None:
        """Wait for the questions that run, then close the stores."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for store in self._stores:
            store.close()
