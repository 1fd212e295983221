"""The stream of changes and those who leave it: nobody waits for them, and nothing is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from support.records import make

from sessiontrace.server.change_stream import ChangeStream
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.sqlite.store import SqliteStores


@pytest.mark.asyncio
async def test_a_page_that_is_gone_before_its_stream_began_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A tab that was closed at once; it used to be told as an internal error."""
    make(tmp_path / "store.db")
    reading = StoreReaders(SqliteStores(tmp_path / "store.db"))
    live = ChangeStream(reading, TokenAuth(None, 1))

    async def gone(self: web.StreamResponse, request: web.BaseRequest) -> None:
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, "prepare", gone)
    answered = live.stream(make_mocked_request("GET", "/api/live"))
    assert isinstance(await asyncio.wait_for(answered, 20), web.StreamResponse)
    await live.stop()
    reading.close()
