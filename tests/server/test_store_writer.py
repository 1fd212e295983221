"""The server's one writer, over a real store: what it does beside writing, and how often."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from support.otlp_requests import request, span
from support.records import event, eventually, session_end

from sessiontrace.model.errors import StoreBusyError
from sessiontrace.model.ids import new_id
from sessiontrace.pricing.prices import Prices
from sessiontrace.server.apis.otlp.intake import Intake
from sessiontrace.server.http import RequestRejected
from sessiontrace.server.intake_counts import IntakeCounts
from sessiontrace.server.store_changes import Change, Reading
from sessiontrace.server.store_writer import Retention, StoreWriter
from sessiontrace.store.models import SessionQuery
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
async def test_search_keeps_up_with_small_requests(tmp_path: Path, monkeypatch):
    """They come more often than the pause before indexing lasts, but leave time to spare."""
    monkeypatch.setattr("sessiontrace.server.store_writer._PAUSE_S", 60.0)
    monkeypatch.setattr("sessiontrace.server.store_writer._MAINTAIN_WITHIN_S", 60.0)
    writer = store_writer(tmp_path)
    sid = new_id()
    try:
        for _ in range(40):
            begun = time.monotonic()
            await writer.write([event(sid)])
            await asyncio.sleep(max(0.01, 2 * (time.monotonic() - begun)))
        assert await writer.transact(frozenset(), unindexed) < 20
    finally:
        writer.close()


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
        waiting = [asyncio.ensure_future(intake.traces(a_span("x" * 800), False)) for _ in range(3)]
        done, pending = await asyncio.wait(waiting, timeout=0.2)
        assert [type(refused.exception()) for refused in done] == [StoreBusyError] * 2
        disk.set()
        stored = await asyncio.gather(hanging, *pending)
        assert len(stored[1].event_ids) == 1
    finally:
        disk.set()
        writer.close()


def a_span(text: str) -> bytes:
    """A request of 800 bytes and more, but no two of them below 1,000."""
    return orjson.dumps(request(span("step", "1" * 32, None, attributes={"text": text})))


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


@pytest.mark.asyncio
async def test_a_request_that_cannot_be_read_costs_no_other_request(tmp_path: Path):
    """The writer thread reads what senders bring; one of three brings nonsense."""
    writer, disk = store_writer(tmp_path), threading.Event()

    def hang(store: Store) -> tuple[Change, None]:
        disk.wait(5.0)
        return Change(), None

    def readable() -> Reading[str]:
        return Reading(lambda store: (Change([session_end(new_id())]), "stored"), count=1)

    def unreadable() -> Reading[str]:
        raise RequestRejected(400, "not a request")

    try:
        hanging = asyncio.ensure_future(writer.transact(frozenset(), hang))
        await asyncio.sleep(0.05)
        waiting = [
            asyncio.ensure_future(writer.take(read, 1)) for read in (readable, unreadable, readable)
        ]
        await asyncio.sleep(0)
        disk.set()
        await hanging
        first, refused, last = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        disk.set()
        writer.close()
    assert (first, last) == ("stored", "stored")
    assert isinstance(refused, RequestRejected)


@pytest.mark.asyncio
async def test_a_request_is_answered_once_it_has_settled(tmp_path: Path):
    """Two requests have parts of one trace. Each settles until nothing is left to do, before the
    other one looks at the store, and no request settles for ever.
    """
    writer = store_writer(tmp_path)
    steps: list[str] = []

    def reading(name: str, rounds: int) -> Callable[[], Reading[str]]:
        left = iter(range(rounds, 0, -1))

        def plan(store: Store) -> tuple[Change, str]:
            steps.append(f"{name} plans")
            return Change([session_end(new_id())]), f"{name} is done"

        def settle(store: Store) -> tuple[Change, bool]:
            steps.append(f"{name} settles, {len(store.sessions(SessionQuery()).sessions)} stored")
            return Change([session_end(new_id())]), next(left) > 1

        return lambda: Reading(plan, frozenset({"a trace"}), 1, settle)

    try:
        answers = await asyncio.gather(
            writer.take(reading("first", 2), 1), writer.take(reading("second", 1000), 1)
        )
    finally:
        writer.close()
    assert answers == ["first is done", "second is done"]
    assert steps[:5] == [
        "first plans", "first settles, 1 stored", "first settles, 2 stored",
        "second plans", "second settles, 4 stored",
    ]  # fmt: skip
    assert len(steps) == 4 + 20, "it is answered although something is left to do"


@pytest.mark.asyncio
async def test_the_writer_thread_frees_what_a_request_held(tmp_path: Path):
    """A request holds thousands of objects, which would keep the loop busy for milliseconds."""
    writer = store_writer(tmp_path)
    freed_on: list[str] = []

    class Held:
        def __del__(self) -> None:
            freed_on.append(threading.current_thread().name)

    def read(held: Held) -> Reading[None]:
        def plan(store: Store, held: Held = held) -> tuple[Change, None]:
            return Change([session_end(new_id())]), None

        return Reading(plan, count=1)

    try:
        await writer.take(lambda: read(Held()), 1)
        await writer.transact(frozenset(), unindexed)
    finally:
        writer.close()
    assert freed_on == ["sessiontrace-writing"]
