"""Conditions and orders in SQLite: which of them an index serves, and in which time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import T0, event, session_end

from sessiontrace.model.ids import new_id
from sessiontrace.store.models import ORDERS, SessionQuery
from sessiontrace.store.query.parser import parse
from sessiontrace.store.sqlite import queries, schema
from sessiontrace.store.sqlite.store import SqliteStore

FILTERS = (
    "", "user:ada", "tag:vip", "-status:failed", "cost:>1 duration:>10s", "score.x:>0.5",
    "name:größe", "metadata.plan:ent*prise", "since:2h", "id:conv-7",
)  # fmt: skip


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("plans") / "store.db"
    store = SqliteStore(path)
    store.write([session_end(new_id(), T0 + n) for n in range(200)])
    store.close()
    opened = schema.connect(path, busy_s=1, read_only=True)
    yield opened
    opened.close()


def plan_of(connection: sqlite3.Connection, query: SessionQuery) -> list[str]:
    """The steps of the plan of a list."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    try:
        queries.sessions(connection, query)
    finally:
        connection.set_trace_callback(None)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
    return [row[3] for row in plan]


def test_the_list_reads_one_page_of_an_index_and_sorts_nothing(connection: sqlite3.Connection):
    """Five milliseconds at a million events: a page costs what a page holds."""
    for query in (SessionQuery(), SessionQuery(ascending=True), SessionQuery(after=(T0 + 50, "x"))):
        steps = plan_of(connection, query)
        inner = [step for step in steps if "sessions_by_activity" in step]
        assert len(inner) == 1
        assert "COVERING INDEX sessions_by_activity (last_active" in inner[0]
        assert sum("TEMP B-TREE" in step for step in steps) == 1, "of the rows of one page"


@pytest.mark.parametrize("text", FILTERS)
def test_no_filter_reads_rows_that_it_does_not_return(connection: sqlite3.Connection, text: str):
    """A row holds a session's whole state; the index holds what filters look at."""
    query = SessionQuery(terms=parse(text, T0))
    steps = plan_of(connection, query)
    assert any("COVERING INDEX sessions_by_activity" in step for step in steps), steps
    assert not any(step.startswith("SCAN sessions") and "COVERING" not in step for step in steps)


@pytest.mark.parametrize("order", ORDERS)
def test_no_order_reads_rows_that_it_does_not_return(connection: sqlite3.Connection, order: str):
    """The dearest session of a million is found without reading the others."""
    steps = plan_of(connection, SessionQuery(order=order))
    assert not any(step.startswith("SCAN sessions") and "INDEX" not in step for step in steps)


def test_a_file_of_an_earlier_version_gets_its_facets_from_the_index_pass(tmp_path: Path):
    """Sessions that were stored before filters are found when the server has read them again."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    sid, other = new_id(), new_id()
    late = event(sid, event_type="model", config={"model": "gpt-5"})
    store.write([session_end(sid, metadata={"tags": ["vip"]}), late, session_end(other)])
    store.close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE sessions SET facets = ''")
    raw.execute("INSERT INTO facet_queue SELECT session_id FROM sessions")
    raw.commit()
    raw.close()
    vip = SessionQuery(terms=parse("tag:vip model:gpt-5", T0))
    assert store.sessions(vip).sessions == []
    while store.index():
        pass
    assert [one.session_id for one in store.sessions(vip).sessions] == [sid]
    store.forget([store.session(sid).events[0].event_id])  # type: ignore[union-attr]
    assert store.sessions(vip).sessions == [], "what only the deleted step had is gone"
    store.close()
