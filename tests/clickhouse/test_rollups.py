"""Roll-ups of settled sessions in ClickHouse: filters and figures are the same with and without."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.records import T0, event, id_of, session_end, session_start, update

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import Record
from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.dashboard.models import DIMENSIONS, Period
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import parse
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.timeout(240)  # an engine, on a machine that is busy

HOUR = 3_600_000
NOW = T0 + 24 * HOUR
DAY = Period.of(T0 + HOUR, NOW, NOW)
QUERIES = (
    "", "user:ada status:open", "-user:* model:mini tag:vip", "status:failed",
    "cost:>0.3 duration:>=2s", "score:>0.4 metadata.team:shop",
)  # fmt: skip
ORDERS = ("cost", "user", "score")
AGES_S = 1_000


@attrs.frozen
class Clock:
    """What was written in a project, and until when it has roll-ups, become older."""

    line: Connection
    project: str

    def forward(self) -> None:
        values = {"project": self.project, "ages": AGES_S}
        old = self.line.query(
            Query("SELECT max(until) FROM rollup_times WHERE project = {project:String}", values)
        )
        for statement in (
            "ALTER TABLE sessions UPDATE written = written - {ages:UInt32} "
            "WHERE project = {project:String} SETTINGS mutations_sync = 2",
            "DELETE FROM rollup_times WHERE project = {project:String}",
            "INSERT INTO rollup_times SELECT {project:String}, "
            "toDateTime({until:String}) - {ages:UInt32}",
        ):
            if "until" not in statement or not old[0][0].startswith("1970"):
                self.line.run(Query(statement, {**values, "until": old[0][0]}))


@pytest.fixture
def clock(engine: Any, clickhouse: ClickHouseStore) -> Iterator[Clock]:
    line = engine.line()
    yield Clock(line, clickhouse.project)
    line.close()


def rows_of(clock: Clock) -> int:
    rows = "SELECT count() FROM rollups WHERE project = {project:String}"
    return int(clock.line.query(Query(rows, {"project": clock.project}))[0][0])


def call(session_id: str, at: int, model: str, took: int, **more: Any) -> Record:
    fields: dict[str, Any] = {
        "event_type": "model", "config": {"model": model},
        "metadata": {"total_tokens": 100, "cost": 0.25, "team": "shop"},
    }  # fmt: skip
    return event(session_id, at, took, **(fields | more))


def day_of(draw: random.Random) -> list[list[Record]]:
    """Sessions of a day, each as what is recorded first, and what changes it later."""
    sessions = []
    for number in range(12):
        sid, at = new_id(), T0 + number * HOUR
        user = {"user_properties": {"user_id": "ada"}} if number % 3 else {}
        error = {"error": "KeyError: 1"} if number % 4 == 0 else {}
        tags = {"metadata": {"tags": ["vip"]}} if number % 2 else {}
        calls = [
            call(sid, at + n, ("gpt-5", "mini")[(n + number) % 2], draw.randrange(1, 90_000),
                 **({"metrics": {"time_to_first_chunk_ms": 40.5 + n}} if n else {}))
            for n in range(3)
        ]  # fmt: skip
        begin = session_start(sid, at, event_name="shop", **user)
        end = session_end(sid, at, 500 * number, event_name="shop", **user, **error, **tags)
        changes = [
            [update(id_of(calls[0]), sid, metadata={"cost": 0.5}, config={"model": "sonnet"})],
            [update(sid, sid, user_properties={"user_id": "grace"}, feedback={"good": 0.5})],
            [call(sid, at + HOUR, "mini", 70), end],
            [],
        ][number % 4]
        sessions.append([[begin, end][number != 7], event(sid, at, error="x"), *calls, *changes])
    return sessions


def everything(store: Store) -> Any:
    """What pages show of all filters and orders."""
    shown: dict[Any, Any] = {}
    for text in QUERIES:
        query = SessionQuery(terms=parse(text, NOW))
        shown[text] = store.sessions(query).sessions, store.dashboard(query, DAY)
    for by in DIMENSIONS:
        groups = store.breakdown(SessionQuery(), DAY, by).groups
        shown["by", by] = {group.value: group for group in groups}
    for order in ORDERS:
        pages = store.sessions(SessionQuery(order=order, limit=5))
        after = store.sessions(SessionQuery(order=order, limit=5, after=pages.next))
        shown["order", order] = sorted(
            summary.session_id for page in (pages, after) for summary in page.sessions
        )
    return shown


def test_two_replicas_any_order_and_changes_show_what_a_local_store_shows(
    clickhouse: ClickHouseStore, clock: Clock, tmp_path: Path
):
    """Two servers write records of one day as they come, some twice, updates before what they
    change, and fill roll-ups in between: sessions are rolled up, changed, and rolled up again.
    """
    draw = random.Random(1)
    local = SqliteStore(tmp_path / "store.db")
    replicas = [clickhouse, ClickHouseStore(clock.line, clock.project)]
    records = [(draw.random(), record) for session in day_of(draw) for record in session]
    records += [(draw.random(), record) for _, record in draw.sample(records, 9)]
    ordered = [record for _, record in sorted(records, key=lambda pair: pair[0])]
    for part in (ordered[:40], ordered[40:]):
        for record in part:
            local.write([record])
        for at, replica in enumerate(replicas):
            replica.write(part[at::2])
        clock.forward()
        draw.choice(replicas).fill()
    assert rows_of(clock) >= 12
    assert everything(replicas[1]) == everything(local)
    local.close()


def test_what_changes_after_a_roll_up_counts_at_once(clickhouse: ClickHouseStore, clock: Clock):
    """A session that has its roll-up gets a step, a late update and a deletion; no fill between."""
    sid, other = new_id(), new_id()
    step = call(sid, T0 + 2 * HOUR, "gpt-5", 10)
    clickhouse.write([session_end(sid, T0 + 2 * HOUR), step, call(other, T0 + 3 * HOUR, "mini", 5)])
    clock.forward()
    clickhouse.fill()
    assert rows_of(clock) == 2

    def cost(text: str = "") -> float:
        query = SessionQuery(terms=parse(text, NOW))
        return clickhouse.dashboard(query, DAY).total.cost_nano / 1e9

    def user(text: str) -> list[str]:
        page = clickhouse.sessions(SessionQuery(terms=parse(f"user:{text}", NOW)))
        return [summary.session_id for summary in page.sessions]

    assert (cost(), cost("model:mini"), user("ada")) == (0.5, 0.25, [])
    clickhouse.write([call(sid, T0 + 2 * HOUR, "mini", 10)])
    assert (cost(), cost("model:mini")) == (0.75, 0.75)
    clickhouse.write([update(sid, sid, user_properties={"user_id": "ada"})])
    assert user("ada") == [sid]
    assert (cost("score:>0.9"), cost("score:<0.9")) == (0, 0)
    clickhouse.write([update(sid, sid, feedback={"good": 1})])
    assert (cost("score:>0.9"), cost("score:<0.9")) == (0.5, 0)
    clickhouse.forget([id_of(step)])
    assert cost() == 0.5
    clickhouse.fill(settled_s=-2)
    assert (cost(), user("ada"), rows_of(clock) >= 2) == (0.5, [sid], True)


def test_moved_and_erased_sessions_leave_no_roll_up(clickhouse: ClickHouseStore, clock: Clock):
    """The row goes with the session, also one that a replica wrote while it was deleted."""
    old, new, erased = new_id(), new_id(), new_id()
    step = call(old, T0 + 2 * HOUR, "gpt-5", 10)
    secret = {"user_properties": {"user_id": "zanzibar"}}
    clickhouse.write(
        [step, call(new, T0 + 2 * HOUR, "mini", 10), session_end(erased, T0, **secret)]
    )
    clock.forward()
    clickhouse.fill()
    clickhouse.move(old, new, [id_of(step)])
    assert clickhouse.dashboard(SessionQuery(), DAY).total.sessions == 1
    clickhouse.erase([erased])
    late = (
        "INSERT INTO rollups (project, session_id, user) SELECT {project:String}, {id:String}, 'x'"
    )
    for ghost in (old, erased):
        clock.line.run(Query(late, {"project": clock.project, "id": ghost}))
    clickhouse.fill(settled_s=-2)
    rows = "SELECT DISTINCT session_id, user FROM rollups WHERE project = {project:String}"
    assert clock.line.query(Query(rows, {"project": clock.project})) == [(new, "")]


def test_a_store_of_before_is_filled_and_keeps_as_long_as_before(engine: Any, monkeypatch: Any):
    """Its sessions show before, while and after their roll-ups are made."""
    database = f"before_{new_id().replace('-', '')}"
    line = engine.line(database)
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:6])
    schema.migrate(line, days=7)
    store, sid = ClickHouseStore(line, "p"), new_id()
    store.write([session_end(sid, T0 + 2 * HOUR), call(sid, T0 + 2 * HOUR, "mini", 5)])
    monkeypatch.undo()
    assert schema.pending(line, 30)
    schema.migrate(line)
    assert "toIntervalDay(7)" in line.query(Query("SHOW CREATE TABLE rollups"))[0][0]
    before = store.dashboard(SessionQuery(), DAY), store.breakdown(SessionQuery(), DAY, "model")
    assert before[0].total.cost_nano == 250_000_000
    store.fill(settled_s=-2)
    assert line.query(Query("SELECT count() FROM rollups")) == [(1,)]
    assert store.dashboard(SessionQuery(), DAY) == before[0]
    assert store.breakdown(SessionQuery(), DAY, "model") == before[1]
    line.run(Query(f"DROP DATABASE {database}"))
    line.close()
