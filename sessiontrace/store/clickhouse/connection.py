"""A connection to ClickHouse: its async client on a loop of its own, for callers that block.

Any thread may call; the requests run concurrently on the thread of the loop, over one pool of
connections. Invariant: values are parameters, never part of the text of a statement, and an
insert returns when the server has written it to its disk (``wait_for_async_insert``).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import orjson

from sessiontrace.model.errors import StoreError, StoreTimeoutError
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.store.clickhouse import errors
from sessiontrace.store.clickhouse.url import Address

__all__ = ["INSERT_SETTINGS", "Connection", "Query", "Row"]

T = TypeVar("T")
Row = tuple[Any, ...]

_CONNECT_S = 5.0
_ANSWER_S = 60.0
_SPARE_S = 3.0
_STOP_S = 5.0

INSERT_SETTINGS: Mapping[str, Any] = {
    "async_insert": 1,  # the server gathers the inserts of all replicas into few parts
    "wait_for_async_insert": 1,
    "async_insert_busy_timeout_max_ms": 200,
    # An import of old sessions touches many days at once.
    "max_partitions_per_insert_block": 0,
}
_READ_SETTINGS: Mapping[str, Any] = {
    "output_format_json_quote_64bit_integers": 0,
}


@attrs.frozen
class Query:
    """A statement with ``{name:Type}`` where values go, and the values.

    Without ``database`` it runs before the database exists.
    """

    text: str
    values: Mapping[str, Any] = attrs.field(factory=dict)
    database: bool = True


class Connection:
    """Requests to the server at ``address``; a read may take ``limit_s`` seconds."""

    def __init__(self, address: Address, *, limit_s: float | None = None) -> None:
        self.address = address
        self._limit_s = limit_s
        self._lock = ReentrantLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Any = None
        self._dialling: asyncio.Lock | None = None

    def query(self, query: Query) -> list[Row]:
        """The rows of a query's result."""
        return self.ask_all([query])[0]

    def ask_all(self, queries: Sequence[Query]) -> list[list[Row]]:
        """The rows of each query's result; the queries run concurrently."""
        return self._wait(self._gathered([self._read(query) for query in queries]))

    def insert(self, tables: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Insert columns into all tables concurrently; returns when all are on the disk."""
        self._wait(self._gathered([self._insert(*table) for table in tables.items()]))

    def run(self, statement: Query) -> None:
        """Run a statement without a result."""
        self._wait(self._command(statement))

    def close(self) -> None:
        """Close the pool. The next request opens it again."""
        with self._lock:
            loop, thread = self._loop, self._thread
            client, self._client = self._client, None
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        if client is not None:
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(client.close(), loop).result(_STOP_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_S)
        if not loop.is_running():
            loop.close()

    # -- on the caller's thread -------------------------------------------------------------

    def _wait(self, job: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._dialling = None
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="sessiontrace-clickhouse", daemon=True
                )
                self._thread.start()
            return self._loop

    # -- on the loop ------------------------------------------------------------------------

    async def _gathered(self, jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        # Await all of them, so that none still runs after the caller got an error.
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def _read(self, query: Query) -> list[Row]:
        settings = dict(_READ_SETTINGS)
        within = _ANSWER_S
        if self._limit_s is not None:
            settings["max_execution_time"] = self._limit_s
            within = self._limit_s + _SPARE_S

        async def send(client: Any) -> Any:
            return await client.raw_query(
                query.text,
                dict(query.values),
                settings=settings,
                fmt="JSONCompactColumns",
                use_database=query.database,
            )

        body = await self._translated(send, within)
        return list(zip(*orjson.loads(body), strict=True))

    async def _insert(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        body = orjson.dumps(columns)

        async def send(client: Any) -> Any:
            return await client.raw_insert(
                table, list(columns), body, settings=dict(INSERT_SETTINGS), fmt="JSONColumns"
            )

        await self._translated(send, _ANSWER_S)

    async def _command(self, statement: Query) -> None:
        async def send(client: Any) -> Any:
            return await client.command(
                statement.text, dict(statement.values) or None, use_database=statement.database
            )

        await self._translated(send, _ANSWER_S)

    async def _translated(self, send: Callable[[Any], Awaitable[T]], within: float) -> T:
        try:
            return await asyncio.wait_for(self._sent(send), within)
        except StoreError:
            raise
        except asyncio.TimeoutError:
            raise StoreTimeoutError(
                f"{self.address} did not answer within {within:.0f} s"
            ) from None
        except Exception as error:
            # Without the cause: the client's errors quote statements, and rows with them.
            raise errors.translate(error, self.address) from None

    async def _sent(self, send: Callable[[Any], Awaitable[T]]) -> T:
        return await send(await self._dialled())

    async def _dialled(self) -> Any:
        if self._dialling is None:
            self._dialling = asyncio.Lock()
        async with self._dialling:
            if self._client is None:
                self._client = await _dial(self.address)
            return self._client


async def _dial(address: Address) -> Any:
    try:
        from clickhouse_connect import create_async_client
    except ImportError as error:
        raise StoreError(
            "a store in ClickHouse needs the extra 'clickhouse': "
            "pip install 'sessiontrace[clickhouse]'"
        ) from error
    client = await create_async_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password.reveal(),
        interface="https" if address.secure else "http",
        connect_timeout=_CONNECT_S,
        send_receive_timeout=_ANSWER_S,
        compress=False,
        autogenerate_session_id=False,  # requests of one session wait for each other
        form_encode_query_params=True,  # lists of ids are longer than a URL may be
    )
    client.database = address.database  # not when connecting: the database may not exist yet
    return client
