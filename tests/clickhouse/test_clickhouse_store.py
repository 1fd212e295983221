"""The store in ClickHouse beside the common contract: its tables, its address, what merges late."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.records import T0, event, id_of, session_end, update
from support.session_strategies import histories
from support.subprocesses import environment

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.model.ids import new_id
from sessiontrace.model.record import Record
from sessiontrace.store.clickhouse import errors, schema
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.rollups.tables import ROLLUPS
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.clickhouse.url import PASSWORD, parse
from sessiontrace.store.models import EventQuery, SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.timeout(240)  # an engine and servers, on a machine that is busy


def shown(store: Store, session_ids: set[str]) -> Any:
    """All that a store shows of these sessions."""
    found = [one for one in store.sessions(SessionQuery(limit=500)).sessions
             if one.session_id in session_ids]  # fmt: skip
    whole = [store.session(one.session_id) for one in found]
    records = [store.events(EventQuery(session_id=one.session_id)) for one in found]
    return found, whole, records


def test_random_histories_show_the_same_in_both_stores(clickhouse: ClickHouseStore, tmp_path: Path):
    """In any order, cut into batches anywhere, some records twice: the rules of merging are one.

    ClickHouse gets another order than SQLite, through no transaction, as replicas would write it.
    """
    file = SqliteStore(tmp_path / "store.db")

    @settings(max_examples=2, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn=st.lists(histories(), min_size=3, max_size=6), seed=st.integers(0, 2**32))
    def compared(drawn: list[list[Record]], seed: int) -> None:
        order = random.Random(seed)
        history = [one for records in drawn for one in records]
        mixed = [*history, *order.sample(history, k=len(history) // 3)]
        order.shuffle(mixed)
        cut = order.randrange(len(mixed) + 1)
        assert file.write(history) == {}
        for batch in filter(None, (mixed[:cut], mixed[cut:])):
            assert clickhouse.write(batch) == {}
        ids = {orjson.loads(one.body)["session_id"] for one in history}
        assert shown(clickhouse, ids) == shown(file, ids)

    compared()
    file.close()


def test_merging_changes_nothing_that_is_shown(engine, clickhouse: ClickHouseStore):
    """The engine throws repetitions away when it merges, hours later: a reader must not notice."""
    sid = new_id()
    steps = [event(sid, T0 + n, event_type="model", metadata={"total_tokens": 2}) for n in range(9)]
    for n in range(4):
        clickhouse.write([*steps, session_end(sid, outputs={"n": 1})])
        clickhouse.write([update(id_of(steps[n]), sid, metadata={"total_tokens": 5})])
    before = shown(clickhouse, {sid})
    (summary,) = before[0]
    assert (summary.events, summary.tokens) == (9, 5 * 2 + 4 * 5)
    line: Connection = engine.line()
    for table in ("events", "tallies", "sessions", "session_hours", "patches", "vocabulary"):
        line.run(Query(f"OPTIMIZE TABLE {table} FINAL"))
    ((rows,),) = line.query(
        Query("SELECT count() FROM events WHERE session_id = {id:String}", {"id": sid})
    )
    line.close()
    assert rows == 10, "nine steps and the session"
    assert shown(clickhouse, {sid}) == before


def test_a_list_reads_no_events(engine, clickhouse: ClickHouseStore):
    """What a list shows is kept by the views: without the table of events it is the same."""
    ids = [new_id() for _ in range(3)]
    for n, sid in enumerate(ids):
        clickhouse.write([session_end(sid, T0 + n), event(sid, T0 + n, error="x")])
    before = clickhouse.sessions(SessionQuery())
    failed = clickhouse.sessions(SessionQuery(failed=True))
    line: Connection = engine.line()
    line.run(Query("RENAME TABLE events TO events_away"))
    try:
        assert clickhouse.sessions(SessionQuery()) == before
        assert clickhouse.sessions(SessionQuery(failed=True)) == failed
        assert [one.session_id for one in failed.sessions] == ids[::-1]
    finally:
        line.run(Query("RENAME TABLE events_away TO events"))
        line.close()


def test_a_beginning_of_more_words_than_are_asked_for_one_by_one_is_found(
    clickhouse: ClickHouseStore,
):
    """Ids in texts make a vocabulary without end, and somebody types the first two letters.

    The words of a beginning are looked up; where they are too many the texts themselves are read.
    """
    sid, other = new_id(), new_id()
    words = [f"zz{number:05x}" for number in range(21_000)]
    heard = [" ".join(words[at : at + 7_000]) for at in range(0, len(words), 7_000)]
    steps = [event(sid, T0 + at, inputs={"q": text}) for at, text in enumerate(heard)]
    clickhouse.write([*steps, event(other, T0, inputs={"q": "pizza"}), event(sid, event_name="y")])

    def found(text: str) -> list[str]:
        page = clickhouse.sessions(SessionQuery(text=text))
        return [one.session_id for one in page.sessions]

    for text in ("zz", "zz00", f"{words[9]} zz", words[20_999]):
        assert found(text) == [sid], text
    assert found(f"{words[0]} pizza") == []
    assert found(f"{words[0]} {words[20_999]}") == [], "they are not in one record"


def test_old_and_impossible_starts_do_not_make_a_partition_each(
    engine, clickhouse: ClickHouseStore
):
    """An import of ten years, and a clock that is wrong: days would make thousands of parts."""
    steps = [event(new_id(), start) for start in (0, 1, 10**12, 2**52, *range(T0, T0 + 9))]
    assert clickhouse.write(steps) == {}
    old = [event(new_id(), 1_500_000_000_000 + day * 86_400_000) for day in range(300)]
    assert clickhouse.write(old) == {}
    line: Connection = engine.line()
    ((days,),) = line.query(
        Query(
            "SELECT uniqExact(day) FROM events WHERE project = {project:String}",
            {"project": clickhouse.project},
        )
    )
    line.close()
    assert days < 16
    assert len(clickhouse.sessions(SessionQuery(limit=500)).sessions) == len(steps) + len(old)


def migrate(engine, database: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sessiontrace", "store", "migrate", "--store"]
    return subprocess.run(
        [*command, engine.url(database), *options],
        env=environment(Path.cwd()),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_migration_says_first_what_it_would_do_and_does_it_once(engine):
    """Whoever runs the database reads the statements before they run."""
    database = f"made_{new_id().replace('-', '')}"
    dry = migrate(engine, database, "--dry-run", "--keep-days", "7")
    assert dry.returncode == 0, dry.stderr
    assert "CREATE TABLE IF NOT EXISTS events" in dry.stdout
    assert "INTERVAL 7 DAY" in dry.stdout
    bare = engine.line(database)
    with pytest.raises(StoreError, match="sessiontrace store migrate"):
        schema.check(bare)
    done = migrate(engine, database, "--keep-days", "7")
    assert (done.returncode, done.stderr) == (0, "")
    assert "statements ran" in done.stdout
    schema.check(bare)
    assert schema.migrate(bare) == []
    bare.run(Query("INSERT INTO migrations (number) VALUES (99)"))
    with pytest.raises(StoreError, match="upgrade with"):
        schema.check(bare)
    bare.run(Query(f"DROP DATABASE {database}"))
    bare.close()


def test_a_migration_that_broke_off_goes_on_where_it_stopped(engine):
    """Without transactions in the database, every statement may run twice."""
    database = f"half_{new_id().replace('-', '')}"
    line: Connection = engine.line(database)
    for statement in schema.pending(line)[:6]:
        line.run(Query(statement, database=not statement.startswith("CREATE DATABASE")))
    schema.migrate(line)
    schema.check(line)
    line.run(Query(f"DROP DATABASE {database}"))
    line.close()


def test_a_migration_counts_the_calls_for_vectors_that_are_stored(engine, monkeypatch):
    """Before its fourth version the store counted them as steps only; merged or not, once each."""
    database = f"vectors_{new_id().replace('-', '')}"
    line = engine.line(database)
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
    schema.migrate(line)
    # What writes and reads now needs this column and these tables, which came later.
    line.run(Query("ALTER TABLE events ADD COLUMN model LowCardinality(String)"))
    for statement in ROLLUPS:
        line.run(Query(schema._filled(statement, line.address, 30)))
    store, sid = ClickHouseStore(line, "p"), new_id()
    store.write([event(sid, T0, event_type="embedding"), event(sid, T0, event_type="model")])
    assert store.sessions(SessionQuery()).sessions[0].models == 1
    monkeypatch.undo()
    schema.migrate(line)
    assert store.sessions(SessionQuery()).sessions[0].models == 2
    line.run(Query("OPTIMIZE TABLE tallies FINAL"))
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.events, one.models) == (2, 2)
    line.run(Query(f"DROP DATABASE {database}"))
    line.close()


def test_on_a_cluster_every_table_is_replicated_and_made_everywhere():
    """``?cluster=`` names it; a table that was forgotten would be on one machine only."""
    address = parse("clickhouse://h/d?cluster=prod")
    for statement in (*schema.MIGRATIONS[0], *ROLLUPS):
        filled = schema._filled(statement, address, 30)
        assert " ON CLUSTER prod" in filled
        if "MATERIALIZED VIEW" not in filled:
            assert "ENGINE = Replicated" in filled
        assert not re.search(r"\{[a-z]+\}|\{Replicated\}", filled)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h/d", "begins with clickhouse://"),
        ("clickhouse://h", "database's name"),
        ("clickhouse://h/d;drop", "database's name"),
        ("clickhouse://h/a/b", "database's name"),
        ("clickhouse://h:99999/d", "port"),
        ("clickhouse://h/d?cluster=a'b", "cluster's name"),
        ("clickhouse://h/d?secure=1", "unknown option 'secure'"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_words(url: str, said: str):
    """Before anything is asked of any server."""
    with pytest.raises(StoreError, match=said):
        parse(url)


def test_a_password_is_told_to_nobody():
    """In a URL or in the environment: neither address nor error shows it."""
    address = parse("clickhouses://ada:s3cret%21@[::1]/d", {})
    assert (address.user, address.port, address.password.reveal()) == ("ada", 8443, "s3cret!")
    assert "s3cret" not in f"{address} {address!r}"
    assert str(address) == "clickhouses://[::1]:8443/d"
    assert parse("clickhouse://h/d", {PASSWORD: "hidden"}).password.reveal() == "hidden"


class CodeError(Exception):
    """An error as the client raises it."""

    def __init__(self, code: int | None) -> None:
        super().__init__("INSERT INTO events ... a prompt")
        self.code = code


@pytest.mark.parametrize(
    ("code", "kind"),
    [(159, StoreTimeoutError), (252, StoreBusyError), (241, StoreBusyError),
     (None, StoreBusyError), (60, StoreError), (516, StoreError), (62, StoreError)],
)  # fmt: skip
def test_what_passes_by_itself_is_told_apart_from_what_does_not(code: int | None, kind: type):
    """503 with Retry-After for the first: the sender's spool waits; the other wants a human."""
    error = errors.translate(CodeError(code), parse("clickhouse://h/d"))
    assert type(error) is kind


def test_a_question_that_takes_too_long_is_given_up(engine):
    """A reader's filter must not hold the engine for minutes."""
    line: Connection = engine.line(limit_s=0.2)
    with pytest.raises(StoreTimeoutError, match="too long"):
        line.query(Query("SELECT sum(cityHash64(number)) FROM numbers(100000000000)"))
    assert line.query(Query("SELECT 1")) == [(1,)]
    line.close()
