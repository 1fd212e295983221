"""Reading the store beside the loop: a few threads, each with a connection of its own.

``ask`` is awaited on the server's loop and its question runs on one of the threads. Invariant: the
loop never waits for SQLite, and no question runs longer than the limit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sessiontrace.store.sqlite import SqliteStore

__all__ = ["Reading"]

T = TypeVar("T")


class Reading:
    """Questions to the store at ``path``; each may take ``limit_s`` seconds."""

    def __init__(self, path: Path, *, threads: int = 3, limit_s: float = 2.0) -> None:
        self._path = path
        self._limit_s = limit_s
        self._threads = ThreadPoolExecutor(threads, "sessiontrace-reading")
        self._local = threading.local()
        self._stores: list[SqliteStore] = []
        self._watched: SqliteStore | None = None

    async def ask(self, question: Callable[[SqliteStore], T]) -> T:
        """The answer of ``question``, which is given a store to read; its ``StoreError``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, question)

    def _answer(self, question: Callable[[SqliteStore], T]) -> T:
        store: SqliteStore | None = getattr(self._local, "store", None)
        if store is None:
            store = SqliteStore(self._path, read_only=True, limit_s=self._limit_s)
            self._local.store = store
            self._stores.append(store)
        return question(store)

    async def version(self) -> int:
        """A number that changes with every commit of anybody's; always of one connection."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._version)

    def _version(self) -> int:
        if self._watched is None:
            self._watched = SqliteStore(self._path, read_only=True, limit_s=self._limit_s)
            self._stores.append(self._watched)
        return self._watched.version()

    def close(self) -> None:
        """Wait for the questions that run, and let go of the file."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for store in self._stores:
            store.close()
