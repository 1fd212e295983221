"""The local destination beside its records: losses are told in the store, and what is old goes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.records import event, eventually, session_end, write

import sessiontrace as st
from sessiontrace.export.protocol import Batch
from sessiontrace.export.stats import DeliveryStats
from sessiontrace.model.ids import new_id
from sessiontrace.report import Stats
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.worker import BackgroundWorker
from sessiontrace.store import loss_reports
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.retention import Retention, agree, agreed
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.vendors.local.exporter import LocalExporter
from sessiontrace.vendors.local.transport import LocalTransport

DAY_MS = 86_400_000


@pytest_asyncio.fixture
async def keeper() -> AsyncIterator[BackgroundWorker]:
    made = BackgroundWorker(tick=lambda: None, counters=Counters())
    made.start()
    yield made
    made.stop(5)


async def deliver(transport: LocalTransport, *records: Any) -> None:
    """What a lane does with a batch that the store takes."""
    exporter = LocalExporter()
    ((request,),) = exporter.encode(Batch(records))
    exporter.interpret(request, await transport.send(request, records))


def told(path: Path) -> list[loss_reports.Loss]:
    store = SqliteStore(path, read_only=True)
    try:
        return loss_reports.recent(store)
    finally:
        store.close()


def names(path: Path) -> list[str | None]:
    store = SqliteStore(path, read_only=True)
    try:
        return sorted(str(one.name) for one in store.sessions(SessionQuery()).sessions)
    finally:
        store.close()


def aged(path: Path, days: float) -> None:
    """Everything in the store was last written to so long ago."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE sessions SET written = written - ?", (round(days * DAY_MS),))
    connection.commit()
    connection.close()


def test_losses_are_what_no_destination_will_ever_get():
    """What sampling left out was not wanted, and what is pending is still to come."""
    stats = Stats(
        dropped={"sampled": 5, "too_large": 2},
        destinations={
            "honeyhive": DeliveryStats(acked=3, rejected=4, pending=2),
            "local": DeliveryStats(acked=9),
        },
    )
    assert stats.lost == {"too_large": 2, "honeyhive rejected": 4}
    assert Stats().lost == {}


@pytest.mark.asyncio
async def test_a_process_tells_its_losses_with_its_records(
    tmp_path: Path, keeper: BackgroundWorker
):
    """One note a process: it grows, and is told again only when it has."""
    path, counts = tmp_path / "store.db", dict[str, int]()
    transport = LocalTransport(
        path,
        keeper.submit,
        lambda: loss_reports.report("p1", "shop", 4711, counts) if counts else None,
    )
    await deliver(transport, session_end(new_id()))
    assert told(path) == []
    counts["too_large"] = 2
    await deliver(transport, session_end(new_id()))
    (one,) = told(path)
    assert (one.service, one.pid, one.counts) == ("shop", 4711, {"too_large": 2})
    store = SqliteStore(path)
    store.write((), [loss_reports.forgotten("p1")])  # somebody has read it
    store.close()
    await deliver(transport, session_end(new_id()))
    assert told(path) == []
    counts["honeyhive rejected"] = 1
    await transport.close()
    assert [dict(one.counts) for one in told(path)] == [{"too_large": 2, "honeyhive rejected": 1}]


def test_a_real_program_that_lost_something_is_told_of(tmp_path: Path):
    """Offered after shutdown of one tracer, told through the store of the next batch."""
    path = tmp_path / "store.db"
    tracer = st.Tracer()
    tracer.init(st.Local(path=path), spool=str(tmp_path / "spool"), service="shop", redact=False)
    with tracer.session("first", to=["local", "nowhere"]):
        pass
    with tracer.session("lost", to=["nowhere"]):
        pass
    with tracer.session("second"):
        pass
    report = tracer.shutdown()
    assert report.stats.lost
    (one,) = told(path)
    assert one.service == "shop"
    assert dict(one.counts) == dict(report.stats.lost)


@pytest.mark.asyncio
async def test_what_is_older_than_the_rule_goes_without_a_server(
    tmp_path: Path, keeper: BackgroundWorker
):
    """A store that no server ever opened must not grow for ever."""
    path = tmp_path / "store.db"
    write(path, *[session_end(new_id(), event_name=f"old {n}") for n in range(12)])
    aged(path, 31)
    write(path, session_end(new_id(), event_name="new"))
    transport = LocalTransport(path, keeper.submit)
    for _ in range(4):  # a small step after each batch
        await deliver(transport, event(new_id(), event_name="now"))
        await transport._on_worker(lambda: None)
    await transport.close()
    assert "new" in names(path)
    assert not [name for name in names(path) if str(name).startswith("old")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rule", "kept"),
    [(Retention(None, None), 3), (Retention(90.0, None), 3), (Retention(7.0, None), 0)],
)
async def test_a_program_keeps_to_the_rule_of_the_server(
    tmp_path: Path, keeper: BackgroundWorker, rule: Retention, kept: int
):
    """`sessiontrace serve --keep-days 0` means for ever, whoever writes."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    agree(store, rule)
    assert agreed(store) == rule
    store.close()
    write(path, *[session_end(new_id(), event_name="old") for _ in range(3)])
    aged(path, 31)
    transport = LocalTransport(path, keeper.submit)
    await deliver(transport, session_end(new_id(), event_name="new"))
    await transport._on_worker(lambda: None)
    await transport.close()
    eventually(lambda: names(path) == ["new"] + ["old"] * kept)


def test_a_rule_that_nobody_can_read_is_none(tmp_path: Path):
    """Nothing is deleted by a rule made of garbage."""
    store = SqliteStore(tmp_path / "store.db")
    agree(store, Retention("much", -5))  # type: ignore[arg-type]
    assert agreed(store) == Retention()
    store.close()


def test_losses_of_long_ago_are_shown_no_more(tmp_path: Path):
    """A day on the page, a month in the store."""
    store = SqliteStore(tmp_path / "store.db")
    old = loss_reports.report("p1", "shop", 1, {"closed": 1})
    assert old.body is not None
    at = old.at
    store.write((), [old])
    assert [one.id for one in loss_reports.recent(store)] == ["p1"]
    assert loss_reports.recent(store, at + 2 * DAY_MS) == []
    assert loss_reports.stale(store) == []
    store.write((), [type(old)(old.kind, "p2", 0, {**old.body, "at": at - 31 * DAY_MS})])
    assert [one.id for one in loss_reports.stale(store)] == ["p2"]
    store.close()
