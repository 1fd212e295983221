"""The SQLite store's other half: search, notes, removal, retention, charts, migration."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from support.records import T0, event, id_of, session_end, update

from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite import schema
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.db")
    yield made
    made.close()


def found(store: SqliteStore, text: str) -> set[str]:
    while store.index():
        pass
    return {one.session_id for one in store.sessions(SessionQuery(text=text)).sessions}


def test_search_follows_changes_and_removals(store: SqliteStore):
    """A late output is found; what was deleted is not; what is not indexed yet is counted."""
    sid = new_id()
    step = event(sid, outputs={"a": "early"})
    store.write([session_end(sid), step])
    assert store.unindexed() == 2
    assert found(store, "early") == {sid}
    assert store.unindexed() == 0
    store.write([update(id_of(step), sid, outputs={"a": "late"})])
    assert found(store, "late") == {sid}
    store.write([step])
    assert store.unindexed() == 0, "the same again is nothing new"
    store.trim(int(time.time() * 1000) + 60_000, None)
    assert found(store, "late") == set()


def test_an_index_of_deleted_events_is_started_anew(store: SqliteStore, monkeypatch):
    """FTS without content cannot forget: what is left of it must not grow for ever."""
    monkeypatch.setattr("sessiontrace.store.sqlite.search._SPARE_DOCUMENTS", 10)
    kept = new_id()
    for _ in range(30):
        store.write([session_end(new_id(), event_name="gone")])
    store.write([session_end(kept, event_name="kept", inputs={"word": "needle"})])
    assert len(found(store, "gone")) == 30
    gone = [one.session_id for one in store.sessions(SessionQuery(text="gone")).sessions]
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executemany("DELETE FROM sessions WHERE session_id = ?", [(one,) for one in gone])
    connection.commit()
    store.write([event(kept, event_name="fresh")])
    assert found(store, "needle") == {kept}
    last = connection.execute("SELECT max(document) FROM search_documents").fetchone()[0]
    connection.close()
    assert last <= 4
    assert found(store, "fresh") == {kept}


def test_age_is_counted_from_the_last_write(store: SqliteStore):
    """A session of last year that was imported today is new; it goes whole when it goes."""
    sid = new_id()
    step = event(sid, 1_000)
    store.write([session_end(sid, 1_000), step])
    now = int(time.time() * 1000)
    assert store.trim(now - 60_000, None) == 0
    assert store.trim(now + 60_000, None) == 1
    assert store.event(id_of(step)) is None
    assert store.record(sid) is None


def test_a_file_too_large_loses_its_oldest_sessions(store: SqliteStore):
    """Until it fits; the latest stay."""
    ids = [new_id() for _ in range(40)]
    for sid in ids:
        store.write([session_end(sid), event(sid, inputs={"text": "x" * 50_000})])
        time.sleep(0.001)
    limit = 1_000_000
    while store.trim(None, limit):
        pass
    left = {one.session_id for one in store.sessions(SessionQuery()).sessions}
    assert 5 < len(left) < 25
    assert left == set(ids[-len(left) :])
    assert store.trim(None, limit) == 0
    store.close()
    assert store.path.stat().st_size < 1_500_000, "the space is given back"


def test_a_store_of_the_first_version_is_migrated_with_its_sessions(tmp_path: Path):
    """What the last release wrote is all there, and is found by search."""
    path = tmp_path / "old.db"
    schema.create(path)
    old = schema.connect(path, busy_s=1)
    schema.migrate(old, path, schema.MIGRATIONS[:1])
    sid = new_id()
    body = orjson.dumps({"event_id": sid, "session_id": sid, "start_time": T0,
                         "inputs": {"q": "needle"}}).decode()  # fmt: skip
    state = orjson.dumps([3, {}, None, None, None, None, None, 0]).decode()
    old.execute(
        "INSERT INTO sessions VALUES (1, ?, 'old', NULL, NULL, ?, ?, 1.0, 'ended', NULL, 0, 0, 0,"
        " 0, 0, 0, 'old', ?)",
        (sid, T0, T0 + 1, state),
    )
    old.execute("INSERT INTO session_records VALUES (?, ?, NULL)", (sid, body))
    old.commit()
    old.close()
    store = SqliteStore(path)
    assert found(store, "needle") == {sid}
    store.write([event(sid)])
    assert store.sessions(SessionQuery()).sessions[0].events == 1
    assert store.trim(int(time.time() * 1000) - 60_000, None) == 0, "migrated is not old"
    store.close()


def test_a_row_that_was_deleted_before_it_was_indexed_does_not_block_the_next(tmp_path: Path):
    """SQLite gives the number of the last row that was deleted to the next one."""
    store = SqliteStore(tmp_path / "store.db")
    sid = new_id()
    store.write([session_end(sid)])
    for _ in range(3):
        one = event(sid, outputs={"text": "needle"})
        store.write([one])
        assert store.forget([id_of(one)]) == 1
    last = event(sid, outputs={"text": "pin"})
    store.write([last])
    assert store.index() == 0
    for text, count in (("needle", 0), ("pin", 1)):
        assert len(store.sessions(SessionQuery(text=text)).sessions) == count
    store.trim(now_ns() // 1_000_000 + 10_000, None)
    assert store.unindexed() == 0
    store.write([session_end(new_id())])
    store.close()


def test_a_file_of_version_two_is_brought_up_to_date(tmp_path: Path):
    """Its queue may name rows that were deleted; the next rows get their numbers."""
    path = tmp_path / "store.db"
    schema.create(path)
    connection = schema.connect(path, busy_s=1)
    schema.migrate(connection, path, schema.MIGRATIONS[:2])
    connection.execute("INSERT INTO search_queue VALUES (1), (2), (-1)")
    connection.close()
    store = SqliteStore(path)
    sid = new_id()
    assert store.write([session_end(sid), event(sid), event(sid)]) == {}
    assert store.unindexed() == 3
    assert store.index() == 0
    store.close()


@pytest.mark.parametrize("early", [False, True])
def test_a_file_of_version_three_is_brought_up_to_date(tmp_path: Path, early: bool):
    """It queues every event for the index; some of it was read already, and is not read again."""
    path = tmp_path / "store.db"
    schema.create(path)
    connection = schema.connect(path, busy_s=1)
    schema.migrate(connection, path, schema.MIGRATIONS[:3])
    if early:  # before a deletion took its number out of the queue
        connection.execute("DROP TRIGGER events_deleted")
    connection.execute(
        "INSERT INTO sessions (id, session_id, start_time, status, events, errors, models, tokens,"
        " cost_nano, failed, folded, state) VALUES (7, ?, ?, 'ended', 2, 0, 0, 0, 0, 0, '', ?)",
        (sid := new_id(), T0, "[0, {}, null, null, null, null, null, 0]"),
    )
    steps = [event(sid, outputs={"text": text}) for text in ("read", "unread")]
    connection.executemany(
        "INSERT INTO events (event_id, session_id, type, name, start_time, status, turn, tokens,"
        " cost_nano, rank, body) VALUES (?, ?, 'tool', 'look', ?, 'ended', 0, 0, 0, 3, ?)",
        [(id_of(one), sid, T0, one.body.decode()) for one in steps],
    )
    connection.execute("DELETE FROM search_queue WHERE id = 1")
    connection.execute("INSERT INTO search_documents VALUES (1, 7)")
    connection.execute("INSERT INTO search (rowid, text) VALUES (1, 'look read')")
    connection.close()
    store = SqliteStore(path)
    assert store.unindexed() == 1
    store.write([event(sid, outputs={"text": "new"})])
    assert store.unindexed() == 2
    for text in ("read", "unread", "new"):
        assert found(store, text) == {sid}
    assert documents(store) == 3
    assert store.sessions(SessionQuery()).sessions[0].events == 3
    store.close()


def documents(store: SqliteStore) -> int:
    connection = sqlite3.connect(store.path)
    count: int = connection.execute("SELECT count(*) FROM search_documents").fetchone()[0]
    connection.close()
    return count


def test_an_event_that_changed_before_it_was_read_is_read_once(store: SqliteStore):
    """Its new state is all that search needs; behind a busy server that is the usual case."""
    sid = new_id()
    step = event(sid, outputs={"text": "early"})
    store.write([step])
    store.write([update(id_of(step), sid, outputs={"text": "late"})])
    assert store.unindexed() == 1
    assert found(store, "late") == {sid}
    assert found(store, "early") == set()
    assert documents(store) == 1


def test_a_row_that_takes_the_number_of_a_deleted_one_is_read_too(store: SqliteStore):
    """SQLite gives the last rows' numbers again, and search goes on behind the last it has read."""
    sid = new_id()
    gone = [event(sid, outputs={"text": "gone"}) for _ in range(3)]
    store.write([session_end(sid), event(sid), *gone])
    assert store.index() == 0
    assert store.forget([id_of(one) for one in gone]) == 3
    assert store.unindexed() == 0
    store.write([event(sid, outputs={"text": "needle"})])
    assert store.unindexed() == 1
    assert found(store, "needle") == {sid}


def test_holes_among_new_rows_do_not_keep_search_from_the_rest(store: SqliteStore):
    """Deleted before they were read, they are not counted for ever."""
    sid = new_id()
    gone = [event(sid) for _ in range(50)]
    store.write([event(sid), *gone, event(sid, outputs={"text": "needle"})])
    store.forget([id_of(one) for one in gone])
    assert store.index(10) == 0
    assert store.unindexed() == 0
    assert found(store, "needle") == {sid}


@pytest.mark.parametrize("error", ["", "0", "it broke"])
def test_an_error_is_one_whatever_its_text(store: SqliteStore, error: str):
    """Also when it says nothing, and when its session is read back and written again."""
    sid = new_id()
    store.write([event(sid, error=error)])
    store.write([event(sid)])
    found = store.session(sid)
    assert found is not None
    assert [one.error for one in found.events] == [error, None]
    assert (found.summary.events, found.summary.errors) == (2, 1)
    step = found.events[0]
    store.forget([step.event_id])
    assert store.sessions(SessionQuery()).sessions[0].errors == 0


def test_a_file_keeps_the_size_of_its_pages(tmp_path: Path):
    """A new one has pages that events of a kilobyte fill; an older one works as it is."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    made = sqlite3.connect(old)
    made.execute("PRAGMA page_size = 4096")
    made.execute("PRAGMA auto_vacuum = INCREMENTAL")
    schema.migrate(made, old, schema.MIGRATIONS[:1])
    made.close()
    for path, size in ((old, 4096), (new, 8192)):
        store = SqliteStore(path)
        store.write([event(new_id())])
        store.close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA page_size").fetchone() == (size,)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        connection.close()
