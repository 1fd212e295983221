"""Files of older versions become files of the current version, with what they hold."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import orjson
import pytest
from support.records import T0, event, id_of, session_end, update

from sessiontrace.model.ids import new_id
from sessiontrace.store.dashboard.models import Period
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite import files, schema
from sessiontrace.store.sqlite.store import SqliteStore


def found(store: SqliteStore, text: str) -> set[str]:
    while store.index():
        pass
    return {session.session_id for session in store.sessions(SessionQuery(text=text)).sessions}


def documents(store: SqliteStore) -> int:
    connection = sqlite3.connect(store.path)
    count: int = connection.execute("SELECT count(*) FROM search_documents").fetchone()[0]
    connection.close()
    return count


def test_a_store_of_the_first_version_is_migrated_with_its_sessions(tmp_path: Path):
    """What the last release wrote is all there, and is found by search."""
    path = tmp_path / "old.db"
    files.create(path)
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


def test_a_file_of_version_two_is_brought_up_to_date(tmp_path: Path):
    """Its queue may name rows that were deleted; the next rows get their numbers."""
    path = tmp_path / "store.db"
    files.create(path)
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
    files.create(path)
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
    assert store.unindexed() == 3, "both steps are read again, and the facets of their session"
    store.write([event(sid, outputs={"text": "new"})])
    assert store.unindexed() == 3, "the write gathered the facets"
    for text in ("read", "unread", "new"):
        assert found(store, text) == {sid}
    assert documents(store) == 3
    assert store.sessions(SessionQuery()).sessions[0].events == 3
    store.close()


def test_calls_of_version_four_without_a_cost_are_unpriced(tmp_path: Path):
    """Their rows are not rewritten: what they lack follows from their other columns, also when a
    cost arrives later.
    """
    path = tmp_path / "store.db"
    files.create(path)
    connection = schema.connect(path, busy_s=1)
    schema.migrate(connection, path, schema.MIGRATIONS[:4])
    connection.execute(
        "INSERT INTO sessions (id, session_id, start_time, status, events, errors, models, tokens,"
        " cost_nano, failed, folded, state) VALUES (7, ?, ?, 'ended', 3, 0, 2, 24, 1000, 0, '', ?)",
        (sid := new_id(), T0, "[0, {}, null, null, null, null, null, 0]"),
    )
    calls = [
        event(sid, event_type="model", metadata={"total_tokens": 12}),
        event(sid, event_type="model", metadata={"total_tokens": 12, "cost": 1e-6}),
        event(sid, metadata={"total_tokens": 12}),
    ]
    for one, kind, cost in zip(calls, ("model", "model", "tool"), (0, 1000, 0), strict=True):
        connection.execute(
            "INSERT INTO events (event_id, session_id, type, name, start_time, status, turn,"
            " tokens, cost_nano, rank, body) VALUES (?, ?, ?, 'look', ?, 'ended', 0, 12, ?, 3, ?)",
            (id_of(one), sid, kind, T0, cost, one.body.decode()),
        )
    connection.close()
    store = SqliteStore(path)
    stored = store.session(sid)
    assert stored is not None
    assert stored.summary.unpriced == 1
    assert [step.event_id for step in stored.events if step.unpriced] == [id_of(calls[0])]
    store.write([update(id_of(calls[0]), sid, metadata={"cost": 1e-6})])
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.unpriced, one.cost) == (0, 2e-6)
    store.close()


def test_the_measures_of_version_ten_are_moved_and_its_hours_summed_up(tmp_path: Path):
    """Calls by model were in the order of time; no hour has sums yet, and each gets them."""
    path = tmp_path / "store.db"
    files.create(path)
    connection = schema.connect(path, busy_s=1)
    schema.migrate(connection, path, schema.MIGRATIONS[:10])
    connection.execute(
        "INSERT INTO sessions (id, session_id, name, start_time, end_time, last_active, duration,"
        " status, events, errors, models, tokens, cost_nano, failed, folded, state)"
        " VALUES (7, ?, 'old', ?, ?, ?, 250.0, 'ended', 2, 0, 2, 24, 1000, 0, 'old', ?)",
        (sid := new_id(), T0, T0 + 250, T0 + 250, "[3, {}, null, null, null, null, null, 0]"),
    )
    connection.executemany(
        "INSERT INTO session_models VALUES (?, ?, 7, 1, 0, 12, 500, 0, ?, '')",
        [("gpt", T0 + 250, "90000"), ("mini", T0 + 250, "40000")],
    )
    connection.close()
    store = SqliteStore(path)
    period = Period.of(T0 - 86_400_000, T0 + 2 * 86_400_000, T0 + 2 * 86_400_000)
    for _ in ("counted one by one", "summed up"):
        total = store.dashboard(SessionQuery(), period).total
        assert (total.sessions, total.calls, total.latency) == (1, 2, (250, 250, 250))
        models = store.breakdown(SessionQuery(), period, "model").groups
        assert {group.value: group.figures.latency for group in models} == {
            "gpt": (90, 90, 90), "mini": (40, 40, 40),
        }  # fmt: skip
        while store.index():
            pass
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT count(*) FROM unsummed").fetchone() == (0,)
    reader.close()
    assert store.session(sid) is not None
    store.close()
