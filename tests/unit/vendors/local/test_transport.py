"""The local destination: records through the keeper's thread into the store, and its verdicts."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.patience import patience
from support.records import T0, event, make, record, session_end, session_start
from support.subprocesses import environment

from sessiontrace.export.protocol import Batch, Blocked, Delivered, Invalid, Reply, Retry
from sessiontrace.model.ids import new_id
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.worker import BackgroundWorker
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.vendors.local.exporter import BUSY, REFUSED, UNUSABLE, LocalExporter
from sessiontrace.vendors.local.transport import LocalTransport

EXPORTER = LocalExporter()


@pytest_asyncio.fixture
async def keeper() -> AsyncIterator[BackgroundWorker]:
    made = BackgroundWorker(tick=lambda: None, counters=Counters())
    made.start()
    yield made
    made.stop(5)


async def deliver(transport: LocalTransport, *records):
    """What a lane does with one batch: encode, send, judge."""
    ((request,),) = EXPORTER.encode(Batch(records))
    return EXPORTER.interpret(request, await transport.send(request, records))


def test_a_batch_is_one_request_that_names_all_its_records():
    """The store takes them in one transaction, so that they stand or fall together."""
    ((request,),) = EXPORTER.encode(Batch([event(new_id()) for _ in range(3)]))
    assert (request.method, request.records) == ("WRITE", (0, 1, 2))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(BUSY, Retry("why")), (UNUSABLE, Blocked("why")), (REFUSED, Invalid("why"))],
)
def test_each_status_has_its_verdict(status: int, verdict):
    """Busy passes by itself; a full disk has to be mended by somebody; the rest is bisected."""
    ((request,),) = EXPORTER.encode(Batch([event(new_id())]))
    assert EXPORTER.interpret(request, Reply(status, body=b"why")) == verdict


@pytest.mark.asyncio
async def test_records_reach_the_store_on_the_keepers_thread(
    tmp_path: Path, keeper: BackgroundWorker
):
    """SQLite blocks, and the sender's loop serves every other destination meanwhile."""
    threads: list[str] = []

    def submit(job, done) -> None:
        keeper.submit(lambda: (threads.append(threading.current_thread().name), job())[1], done)

    path = tmp_path / "store.db"
    transport = LocalTransport(path, submit)
    sid = new_id()
    assert await deliver(transport, session_start(sid), event(sid)) == Delivered()
    assert await deliver(transport, session_end(sid)) == Delivered()
    await transport.close()
    assert set(threads) == {"sessiontrace-keeper"}
    reader = SqliteStore(path, read_only=True)
    assert [one.status for one in reader.sessions(SessionQuery()).sessions] == ["ended"]
    reader.close()


@pytest.mark.asyncio
async def test_what_is_no_record_is_rejected_by_its_index(tmp_path: Path, keeper: BackgroundWorker):
    """The lane counts it and writes it to the dead letters; the others are delivered."""
    transport = LocalTransport(tmp_path / "store.db", keeper.submit)
    sid = new_id()
    verdict = await deliver(transport, event(sid), record(b"event", event_id="x"), event(sid))
    assert verdict == Delivered({1: "no session_id"})
    await transport.close()


@pytest.mark.asyncio
async def test_another_writer_means_retry(tmp_path: Path, keeper: BackgroundWorker):
    """Nothing is lost and nobody is told: the next attempt finds the store free."""
    path = tmp_path / "store.db"
    make(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    transport = LocalTransport(path, keeper.submit)
    verdict = await deliver(transport, event(new_id()))
    assert isinstance(verdict, Retry)
    other.execute("ROLLBACK")
    other.close()
    assert await deliver(transport, event(new_id())) == Delivered()
    await transport.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", ["newer", "no database", "directory"])
async def test_an_unusable_store_blocks_and_says_why(
    tmp_path: Path, keeper: BackgroundWorker, wrong: str
):
    """The records stay in the spool until somebody mends it; then they are delivered."""
    path = tmp_path / "store.db"
    if wrong == "newer":
        make(path)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    elif wrong == "directory":
        path.mkdir()
    else:
        path.write_bytes(b"only text" * 500)
    transport = LocalTransport(path, keeper.submit)
    verdict = await deliver(transport, event(new_id(), T0))
    assert isinstance(verdict, Blocked)
    assert str(path) in verdict.reason
    path.rmdir() if wrong == "directory" else path.unlink()
    for name in ("store.db-wal", "store.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert await deliver(transport, event(new_id(), T0)) == Delivered()
    await transport.close()


@pytest.mark.asyncio
async def test_a_cancelled_send_leaves_the_keeper_at_peace(
    tmp_path: Path, keeper: BackgroundWorker
):
    """At exit the lane's budget may end while the keeper still writes."""
    transport = LocalTransport(tmp_path / "store.db", keeper.submit)
    release = threading.Event()
    keeper.submit(lambda: release.wait(patience(5)), lambda _: None)
    ((request,),) = EXPORTER.encode(Batch([event(new_id())]))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(transport.send(request, [event(new_id())]), 0.02)
    release.set()
    assert await deliver(transport, event(new_id())) == Delivered()
    await transport.close()


@pytest.mark.asyncio
async def test_a_keeper_that_has_stopped_means_retry(tmp_path: Path):
    """At exit the keeper may go first: that says nothing against the records."""
    keeper = BackgroundWorker(tick=lambda: None, counters=Counters())
    keeper.start()
    assert keeper.stop(5)
    transport = LocalTransport(tmp_path / "store.db", keeper.submit)
    assert isinstance(await deliver(transport, event(new_id())), Retry)
    await transport.close()


@pytest.mark.asyncio
async def test_a_record_that_breaks_a_rule_unforeseen_is_left_to_bisection(
    tmp_path: Path, keeper: BackgroundWorker, monkeypatch: pytest.MonkeyPatch
):
    """One record that makes us fail must not stop the lane for good, nor cost the others."""

    def fail(self: SqliteStore, records: object) -> None:
        raise OverflowError("int too large")

    transport = LocalTransport(tmp_path / "store.db", keeper.submit)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "write", fail)
        verdict = await deliver(transport, event(new_id()))
    assert verdict == Invalid("OverflowError: int too large")
    await transport.close()


def test_neither_the_package_nor_this_destination_loads_sqlite_before_it_writes(tmp_path: Path):
    """An import must cost nothing that the program may never use."""
    program = (
        "import sys, sessiontrace, sessiontrace.vendors.local.transport as t;"
        "t.LocalTransport(None, None);"
        "print([name for name in ('sqlite3', 'aiohttp', 'platformdirs') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path), capture_output=True, text=True, timeout=patience(20),
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
