"""Retention in the SQLite store: which sessions are deleted, by age and by size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import event, id_of, session_end

from sessiontrace.model.ids import new_id
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    opened.close()


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
