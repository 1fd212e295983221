"""Shares of live streams between many projects, without a socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from support.records import make

from sessiontrace.server import change_stream
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.sqlite.store import SqliteStores


@pytest.mark.asyncio
async def test_a_new_project_takes_a_stream_of_the_one_with_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The limit of all streams is shared: the oldest of the greediest project gives way."""
    make(tmp_path / "store.db")
    monkeypatch.setattr(change_stream, "_STREAMS_MAX", 4)
    readers = StoreReaders(SqliteStores(tmp_path / "store.db"))
    live = change_stream.ChangeStream(readers, TokenAuth(None, 1))

    async def open_stream(project: str) -> asyncio.Task[web.StreamResponse]:
        PROJECT.set(project)
        task = asyncio.create_task(live.stream(make_mocked_request("GET", "/api/live")))
        await asyncio.sleep(0.05)
        return task

    async def nothing(self: web.StreamResponse, data: bytes) -> None:
        pass

    monkeypatch.setattr(web.StreamResponse, "write", nothing)
    greedy = [await open_stream("greedy") for _ in range(4)]
    modest = await open_stream("modest")
    await asyncio.wait([greedy[0]], timeout=5)
    assert [task.done() for task in (*greedy, modest)] == [True, False, False, False, False]
    refused = await open_stream("greedy")
    with pytest.raises(web.HTTPServiceUnavailable):
        await refused
    await live.stop()
    await asyncio.gather(*greedy, modest)
    readers.close()
