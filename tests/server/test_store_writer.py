"""The server's one writer, over a real store: what it does beside writing, and how often."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from support.records import event, eventually, session_end

from sessiontrace.model.errors import StoreBusyError
from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.pricing.prices import Prices
from sessiontrace.server.apis.otlp.intake import Intake
from sessiontrace.server.intake_counts import IntakeCounts
from sessiontrace.server.store_writer import Change, Retention, StoreWriter
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore, SqliteStores
from sessiontrace.wire.received_span import ReceivedSpan


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


@pytest.mark.asyncio
async def test_spans_that_wait_are_bounded_as_all_other_records(tmp_path: Path, monkeypatch):
    """The disk hangs and exporters go on: past the bound they are refused, to try again."""
    monkeypatch.setattr("sessiontrace.server.store_writer._WAITING_BYTES", 1_000)
    writer, disk = store_writer(tmp_path), threading.Event()
    intake = Intake(writer, IntakeCounts())

    def hang(store: Store) -> tuple[Change, None]:
        disk.wait(5.0)
        return Change(), None

    try:
        hanging = asyncio.ensure_future(writer.transact(frozenset(), hang))
        await asyncio.sleep(0.05)  # the writer has taken it
        waiting = [asyncio.ensure_future(intake.write_spans(a_span("x" * 800))) for _ in range(3)]
        done, pending = await asyncio.wait(waiting, timeout=0.2)
        assert [type(refused.exception()) for refused in done] == [StoreBusyError] * 2
        disk.set()
        stored = await asyncio.gather(hanging, *pending)
        assert len(stored[1].event_ids) == 1
    finally:
        disk.set()
        writer.close()


def a_span(text: str) -> list[ReceivedSpan]:
    start = now_ns()
    attributes = {"text": text}
    return [
        ReceivedSpan(
            "1" * 32, "2" * 16, None, "step", start, start + 1, attributes, {}, "", False, "", []
        )
    ]


@pytest.mark.asyncio
async def test_a_transaction_takes_so_many_records_whoever_brings_them(tmp_path: Path, monkeypatch):
    """A plan that brings many records fills a transaction as a list of them does."""
    monkeypatch.setattr("sessiontrace.server.store_writer._GROUP_RECORDS", 10)
    writer, disk = store_writer(tmp_path), threading.Event()
    seen: list[int] = []

    def hang(store: Store) -> tuple[Change, None]:
        disk.wait(5.0)
        return Change(), None

    def count(store: Store) -> tuple[Change, None]:
        seen.append(len(store.sessions(SessionQuery()).sessions))
        return Change([session_end(new_id())]), None

    try:
        hanging = asyncio.ensure_future(writer.transact(frozenset(), hang))
        await asyncio.sleep(0.05)
        jobs = [writer.transact(frozenset(), count, count=5) for _ in range(4)]
        waiting = [asyncio.ensure_future(job) for job in jobs]
        await asyncio.sleep(0)
        disk.set()
        await asyncio.gather(hanging, *waiting)
    finally:
        disk.set()
        writer.close()
    assert seen == [0, 0, 2, 2], "two transactions of two plans each"
