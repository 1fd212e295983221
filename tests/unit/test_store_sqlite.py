"""The store: what records become, what a list of sessions tells, and which files it refuses."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from stored import (
    T0,
    event,
    id_of,
    make,
    record,
    session_abandoned,
    session_end,
    session_open,
    session_start,
    update,
)

from sessiontrace.errors import StoreError
from sessiontrace.ids import new_id
from sessiontrace.store import schema
from sessiontrace.store.base import SessionQuery, StoreBusyError, StoreTimeoutError
from sessiontrace.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path):
    made = SqliteStore(tmp_path / "of" / "store.db", busy_s=0.05)
    yield made
    made.close()


def test_a_session_is_summed_up_while_it_is_written(store: SqliteStore):
    """A list must never scan events, so the summary has to be right after each write."""
    sid = new_id()
    store.write([session_start(sid, user_properties={"user_id": "ada"})])
    store.write(
        [
            event(sid, T0 + 10, event_type="model", metadata={"total_tokens": 12, "cost": 0.1}),
            event(sid, T0 + 20, event_type="model", metrics={"prompt_tokens": 5, "cost": 0.2}),
        ]
    )
    store.write([event(sid, T0 + 30, error="ValueError: no"), session_end(sid, took=500)])
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.name, one.source, one.status, one.duration) == ("chat", "tests", "ended", 500.0)
    assert (one.events, one.errors, one.models, one.tokens) == (3, 1, 2, 17)
    assert one.cost == pytest.approx(0.3, abs=1e-12)


def test_the_end_has_the_last_word_on_the_user(store: SqliteStore):
    """Who it was may come out only while the session runs."""
    sid = new_id()
    store.write([session_start(sid, user_properties={"user_id": "ada"})])
    assert store.sessions(SessionQuery()).sessions[0].user == "ada"
    store.write([session_end(sid, user_properties={"user_id": "grace"})])
    assert store.sessions(SessionQuery()).sessions[0].user == "grace"


def test_an_open_session_is_shown_as_open_up_to_its_last_sign_of_life(store: SqliteStore):
    """A session that runs for an hour is looked at while it runs."""
    sid = new_id()
    store.write([session_start(sid), event(sid, T0 + 700, took=50)])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.status, found.summary.end_time) == ("open", T0 + 750)


def test_a_late_start_does_not_reopen_an_ended_session(store: SqliteStore):
    """A lane may retry the batch with the start after the batch with the end went through."""
    sid = new_id()
    store.write([session_end(sid, outputs={"a": 1})])
    store.write([session_start(sid), session_open(sid)])
    found = store.session(sid)
    assert found is not None
    assert found.summary.status == "ended"
    assert found.record["outputs"] == {"a": 1}


def test_a_real_end_wins_over_an_abandoned_one_whichever_comes_first(store: SqliteStore):
    """An adopter that took a sleeping process for a dead one must not have the last word."""
    for order in (1, -1):
        sid = new_id()
        start = session_start(sid)
        gone = session_abandoned(start, T0 + 5)
        store.write([start, *[gone, session_end(sid)][::order]])
        found = store.session(sid)
        assert found is not None
        assert found.summary.status == "ended"


def test_an_adopted_session_is_shown_as_abandoned(store: SqliteStore):
    """A process was killed; its adopter ends its session with what is known."""
    sid = new_id()
    start = session_start(sid)
    store.write([start, session_abandoned(start, T0 + 5)])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.status, found.summary.end_time) == ("abandoned", T0 + 5)


def test_turns_of_a_conversation_are_chain_events_under_one_session(store: SqliteStore):
    """One chat, three requests, each opened with the caller's id: one session, three steps."""
    sid, turns = new_id(), [new_id() for _ in range(3)]
    for at, turn in enumerate(turns):
        begin = T0 + at * 10_000
        store.write([session_start(sid, begin, event_id=turn)])
        assert store.sessions(SessionQuery()).sessions[0].status == "open"
        store.write(
            [
                event(sid, begin + 5, parent_id=turn),
                session_end(sid, begin, 2000, event_id=turn, inputs={"n": at}),
            ]
        )
    found = store.session(sid)
    assert found is not None
    assert (found.summary.start_time, found.summary.end_time) == (T0, T0 + 22_000)
    assert (found.summary.status, found.summary.events, found.summary.name) == ("ended", 6, "chat")
    shown = [one for one in found.events if one.turn]
    assert [one.event_id for one in shown] == turns
    assert {(one.type, one.parent_id) for one in shown} == {("chain", sid)}
    assert store.event(turns[1])["inputs"] == {"n": 1}


def test_an_event_whose_session_never_started_makes_one(store: SqliteStore):
    """Another process may hold the session's own records, in a store we never see."""
    sid = new_id()
    store.write([event(sid, T0 + 40, took=60)])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.start_time, found.summary.end_time) == (T0 + 40, T0 + 100)
    assert found.summary.name is None


def test_updates_merge_into_objects_and_replace_outputs(store: SqliteStore):
    """A score that comes a day later, and one that comes before its event."""
    sid = new_id()
    step = event(sid, metadata={"a": 1, "b": 1}, outputs={"old": True})
    early = update(id_of(step), sid, metadata={"b": 2}, metrics={"helpful": 1})
    store.write([early])
    assert store.sessions(SessionQuery()).sessions == []
    store.write([step, update(id_of(step), sid, outputs={"new": True})])
    shown = store.event(id_of(step))
    assert shown is not None
    assert shown["metadata"] == {"a": 1, "b": 2}
    assert shown["metrics"] == {"helpful": 1}
    assert shown["outputs"] == {"new": True}


def test_an_update_of_a_session_is_in_its_record(store: SqliteStore):
    """``score`` names a session as often as an event."""
    sid = new_id()
    store.write([session_end(sid), update(sid, sid, feedback={"rating": 5})])
    found = store.session(sid)
    assert found is not None
    assert found.record["feedback"] == {"rating": 5}


def test_what_is_no_record_is_refused_by_index_and_the_rest_is_taken(store: SqliteStore):
    """One bad record in a batch must not cost the others, nor vanish uncounted."""
    sid = new_id()
    bad = [
        record(b"event", event_id="x", session_id=sid),
        record(b"event", session_id=sid, start_time=T0),
        record(b"what", event_id="x", session_id=sid, start_time=T0),
        session_start(sid)._replace(body=b"{"),
        session_start(sid)._replace(body=b"[1]"),
    ]
    refused = store.write([bad[0], session_start(sid), *bad[1:]])
    assert sorted(refused) == [0, 2, 3, 4, 5]
    assert store.session(sid) is not None


def test_values_no_column_can_hold_do_no_harm(store: SqliteStore):
    """SQLite has 64-bit integers; JSON has not."""
    sid = new_id()
    odd = {"total_tokens": 2**63, "cost": float("1e300")}
    store.write([event(sid, event_type="model", metadata=odd, duration=1e30, user_properties=[1])])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.events, found.summary.tokens, found.summary.cost) == (1, 0, 0.0)


@pytest.fixture
def filled(store: SqliteStore) -> tuple[SqliteStore, list[str]]:
    ids = [new_id() for _ in range(25)]
    for at, sid in enumerate(ids):
        name = "Größe" if at == 3 else f"chat {at}"
        records = [session_end(sid, T0 + at * 1000, event_name=name)]
        if at % 10 == 0:
            records.append(event(sid, T0 + at * 1000, error="boom"))
        store.write(records)
    return store, ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (SessionQuery(text="CHAT 7"), [7]),
        (SessionQuery(text="grösse"), [3]),
        (SessionQuery(text="GRÖSSE"), [3]),
        (SessionQuery(text="' OR 1=1 --"), []),
        (SessionQuery(failed=True), [20, 10, 0]),
        (SessionQuery(since=T0 + 22_000), [24, 23, 22]),
        (SessionQuery(until=T0 + 2_000), [1, 0]),
        (SessionQuery(since=T0 + 5_000, until=T0 + 6_000), [5]),
        (SessionQuery(limit=2), [24, 23]),
    ],
)
def test_a_list_takes_filters(filled, query: SessionQuery, expected: list[int]):
    """Each filter alone, with the answers counted by hand."""
    store, ids = filled
    assert [ids.index(one.session_id) for one in store.sessions(query).sessions] == expected


def test_pages_of_a_list_meet_without_gap_or_repetition(filled):
    """New sessions arrive while the reader pages: a page goes on from a place, not a number."""
    store, ids = filled
    seen: list[str] = []
    after = None
    while True:
        page = store.sessions(SessionQuery(limit=7, after=after))
        seen += [one.session_id for one in page.sessions]
        store.write([session_end(new_id(), T0 + 10**6)])
        if (after := page.next) is None:
            break
    assert seen == ids[::-1]


def test_sessions_are_found_by_the_beginning_of_their_id(filled):
    """Nobody types 36 characters."""
    store, ids = filled
    assert store.matching(ids[4]) == [ids[4]]
    assert set(store.matching(ids[4][:2], limit=100)) == set(ids)
    assert store.matching("zz") == []


def test_a_long_session_says_how_many_steps_it_leaves_out(store: SqliteStore):
    """A runaway loop makes a million steps; a page that shows all of them shows none."""
    sid = new_id()
    store.write([event(sid, T0 + at) for at in range(30)])
    found = store.session(sid, limit=10)
    assert found is not None
    assert (len(found.events), found.omitted) == (10, 20)


def test_the_file_and_its_directory_are_the_users_alone(store: SqliteStore):
    """Prompts are in it."""
    store.write([session_start(new_id())])
    assert stat.S_IMODE(os.stat(store.path.parent).st_mode) == 0o700
    for name in os.listdir(store.path.parent):
        assert stat.S_IMODE(os.stat(store.path.parent / name).st_mode) == 0o600, name


def test_every_connection_is_set_up_the_same(store: SqliteStore):
    """What the schema relies on must hold in each process that opens the file."""
    store.open()
    connection = store._connection
    assert connection is not None
    asked = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "foreign_keys", "trusted_schema", "synchronous")
    }
    assert asked == {
        "journal_mode": "wal", "foreign_keys": 1, "trusted_schema": 0, "synchronous": 2,
    }  # fmt: skip


def test_a_newer_schema_is_refused_and_left_alone(store: SqliteStore):
    """An old program beside a new one must not write what the new one cannot read."""
    store.write([session_start(new_id())])
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match=r"newer sessiontrace.*pip install -U"):
        store.write([session_start(new_id())])
    assert store.path.read_bytes() == before


def test_an_older_schema_is_migrated_and_keeps_its_rows(tmp_path: Path):
    """Version 1 with a session in it becomes version 3, each step once, in one transaction."""
    path = tmp_path / "store.db"
    sid = new_id()
    store = SqliteStore(path)
    store.write([session_end(sid)])
    store.close()
    later = [
        *schema.MIGRATIONS,
        ["ALTER TABLE sessions ADD COLUMN score REAL"],
        ["UPDATE sessions SET score = 0.5"],
    ]
    connection = schema.connect(path, busy_s=1)
    schema.migrate(connection, path, later)
    schema.migrate(connection, path, later)
    assert connection.execute("SELECT session_id, score FROM sessions").fetchall() == [(sid, 0.5)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path):
    """A disk that fills up in the middle must leave the old version, whole."""
    path = tmp_path / "store.db"
    make(path)
    connection = schema.connect(path, busy_s=1)
    later = [*schema.MIGRATIONS, ["CREATE TABLE extra (a)", "INSERT INTO nowhere VALUES (1)"]]
    with pytest.raises(sqlite3.Error):
        schema.migrate(connection, path, later)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert connection.execute("SELECT * FROM sqlite_master WHERE name='extra'").fetchall() == []
    connection.close()


def test_a_reader_does_not_make_a_file_and_says_that_there_is_none(tmp_path: Path):
    """``sessions list`` on a fresh machine."""
    with pytest.raises(StoreError, match="does not exist"):
        SqliteStore(tmp_path / "none.db", read_only=True).sessions(SessionQuery())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"no database at all, only text" * 40, b"SQLite format 3\0"])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes):
    """SESSIONTRACE_STORE=notes.txt"""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"no SQLite database|damaged"):
        SqliteStore(path).write([session_start(new_id())])
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path):
    """--db ~/.mozilla/cookies.sqlite"""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (a)")
    connection.close()
    with pytest.raises(StoreError, match="another program's"):
        SqliteStore(path).open()


def test_another_writer_makes_it_busy_and_nothing_is_half_written(store: SqliteStore):
    """Busy is the one error that goes away by itself, so it has a class of its own."""
    sid = new_id()
    store.write([session_start(sid)])
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        store.write([session_end(sid)])
    other.execute("ROLLBACK")
    other.close()
    store.write([session_end(sid)])
    assert store.sessions(SessionQuery()).sessions[0].status == "ended"


def test_a_full_disk_undoes_the_batch_and_says_so(store: SqliteStore):
    """SQLite's own limit of pages stands in for the disk: the error and its text are the same."""
    store.write([session_start(new_id())])
    connection = store._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    sid = new_id()
    with pytest.raises(StoreError, match="full") as caught:
        store.write([event(sid, inputs={"text": "x" * 20_000}) for _ in range(20)])
    assert not isinstance(caught.value, StoreBusyError)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.session(sid) is None


def test_a_read_that_takes_too_long_is_given_up(store: SqliteStore):
    """A filter over a huge store must not hold a reading thread for minutes."""
    store.write([event(new_id(), T0 + at) for at in range(2000)])
    hurried = SqliteStore(store.path, read_only=True, limit_s=0.0)
    with pytest.raises(StoreTimeoutError, match="too long"):
        hurried._read(
            lambda connection: connection.execute(
                "SELECT count(*) FROM events a, events b, events c"
            ).fetchone()
        )
    assert hurried.sessions(SessionQuery(limit=1)).sessions
    hurried.close()


def test_a_reader_cannot_write(store: SqliteStore):
    """The page reads with connections that could not change a row if they were told to."""
    store.open()
    reader = SqliteStore(store.path, read_only=True)
    with pytest.raises(StoreError):
        reader._run(lambda connection: connection.execute("DELETE FROM sessions"))
    reader.close()
