"""The server's one writer, over a real store: what it does beside writing, and how often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.records import event, eventually, session_end

from sessiontrace.model.ids import new_id
from sessiontrace.pricing.prices import Prices
from sessiontrace.server.store_writer import Change, Retention, StoreWriter
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore, SqliteStores


def store_writer(folder: Path) -> StoreWriter:
    return StoreWriter(SqliteStores(folder / "store.db"), Retention(), Prices())


def unindexed(store: Store) -> tuple[Change, int]:
    return Change(), store.unindexed()


@pytest.mark.asyncio
async def test_search_goes_on_while_somebody_always_writes(tmp_path: Path, monkeypatch):
    """Clients that never pause are written first; but what they sent must be found one day,
    and a store that is too large must shrink, before they stop.
    """
    monkeypatch.setattr("sessiontrace.server.store_writer._GROUP_RECORDS", 1)
    monkeypatch.setattr("sessiontrace.server.store_writer._MAINTAIN_WITHIN_S", 0.0)
    writer = store_writer(tmp_path)
    sid = new_id()
    try:
        sent = [writer.write([event(sid)]) for _ in range(40)]
        *_, left = await asyncio.gather(*sent, writer.transact(frozenset(), unindexed))
    finally:
        writer.close()
    assert left < 40


@pytest.mark.asyncio
async def test_what_was_written_is_found_by_search_soon_after(tmp_path: Path):
    """Nobody asks for the index: the writer sees to it when it has nothing else to do."""
    writer = store_writer(tmp_path)
    try:
        assert await writer.write([session_end(new_id()), event(new_id())]) == {}
        store = SqliteStore(tmp_path / "store.db", read_only=True)
        await asyncio.to_thread(eventually, lambda: store.unindexed() == 0)
        store.close()
    finally:
        writer.close()
