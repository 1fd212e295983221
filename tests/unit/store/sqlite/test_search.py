"""Full-text search in the SQLite store: what it finds, and when."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import event, id_of, session_end, update

from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    opened.close()


def found(store: SqliteStore, text: str) -> set[str]:
    while store.index():
        pass
    return {session.session_id for session in store.sessions(SessionQuery(text=text)).sessions}


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


def test_a_comment_and_its_changes_are_found(store: SqliteStore):
    """Reviewers look for what they wrote; a label that was taken back is not indexed again."""
    sid = new_id()
    entry = {"kind": "comment", "name": "c1", "value": "invented number", "at": 1}
    store.write([session_end(sid), update(sid, sid, judgements={"1 a": entry})])
    assert found(store, "invented") == {sid}
    label = {"kind": "label", "name": "wrong", "value": None, "at": 3}
    changed = {"2 b": {**entry, "value": "right", "at": 2}, "3 c": label}
    store.write([update(sid, sid, judgements=changed)])
    assert found(store, "right") == {sid}
    assert found(store, "wrong") == set()
