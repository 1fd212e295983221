"""Deletion in the SQLite store: by age and size, and whole sessions to the last byte."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import event, id_of, session_end, update

from sessiontrace.model.ids import new_id
from sessiontrace.store.models import Erased, SessionQuery
from sessiontrace.store.sqlite import deletion
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


def bytes_of(store: SqliteStore) -> bytes:
    """Every byte of the files of a store, with its log."""
    return b"".join(path.read_bytes() for path in sorted(store.path.parent.iterdir()))


@pytest.mark.parametrize("seed", range(3))
def test_an_erased_user_leaves_no_byte_in_the_files(store: SqliteStore, seed: int):
    """Sessions of three users were written in turns, changed, searched, and retention ran too.

    Their pages were split and merged meanwhile, which copies rows to places where they stay behind.
    """
    draws = random.Random(seed)
    users: dict[str, list[str]] = {"ada": [], "bob": [], "cyd": []}
    for number in range(90):
        user = draws.choice(list(users))
        sid = new_id()
        users[user].append(sid)
        secret = f"{user}secret{number}"
        size = draws.choice([5, 300, 9_000])
        steps = [
            event(sid, 1_000 + number, inputs={"text": f"{secret} " * size}, event_name=secret)
            for _ in range(draws.randrange(1, 5))
        ]
        end = session_end(sid, 1_000 + number, user_properties={"user_id": f"{user}secret"})
        store.write([*steps, end])
        if number % 7 == 0:
            store.write([update(id_of(steps[0]), sid, metadata={"note": f"{secret}changed"})])
        if number % 11 == 0:
            store.index()
    while store.index():
        pass
    others = {sid for user in ("bob", "cyd") for sid in users[user]}
    assert b"adasecret" in bytes_of(store)
    erased = store.erase(users["ada"])
    assert erased.complete
    assert erased.sessions == len(users["ada"])
    assert erased.steps >= erased.sessions
    assert b"adasecret" not in bytes_of(store)
    assert {line.session_id for line in store.sessions(SessionQuery(limit=500)).sessions} == others
    while store.index():
        pass
    assert b"adasecret" not in bytes_of(store)
    hits = store.sessions(SessionQuery(text="bobsecret", limit=500)).sessions
    assert {line.session_id for line in hits} == set(users["bob"])


def test_a_second_erasure_is_as_complete_as_the_first(store: SqliteStore):
    """What is written after the first one is changed and moved as well."""
    first = new_id()
    store.write([session_end(first)])
    assert store.erase([first]).complete
    users = {user: [new_id() for _ in range(20)] for user in ("ada", "bob")}
    for number in range(20):
        for user, ids in users.items():
            step = event(ids[number], inputs={"text": f"{user}secret " * 150})
            name = f"{user}secret{number}"
            store.write([step, session_end(ids[number], event_name=name)])
            store.write([update(id_of(step), ids[number], metadata={"note": name * 50})])
    assert store.erase(users["ada"]).complete
    assert b"adasecret" not in bytes_of(store)
    assert b"bobsecret" in bytes_of(store)


def test_an_erasure_says_that_a_reader_keeps_the_log(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    """Another program has a read transaction open: the rows are gone, their bytes are not yet."""
    monkeypatch.setattr(deletion, "_READERS_END_S", 0.1)
    sid = new_id()
    store.write([session_end(sid), event(sid, inputs={"text": "adasecret"})])
    reader = sqlite3.connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sessions").fetchone()
    erased = store.erase([sid])
    assert erased.sessions == 1
    assert "another program is reading" in erased.remains
    reader.close()
    assert store.erase([sid]) == Erased(), "it is gone already"


def test_nothing_is_erased_for_an_id_that_is_not_stored(store: SqliteStore):
    """And the search index stays as it is."""
    sid = new_id()
    store.write([session_end(sid), event(sid, inputs={"text": "word"})])
    while store.index():
        pass
    assert store.erase([new_id(), "x"]) == Erased()
    assert store.unindexed() == 0
