"""The SQLite store's other half: search, notes, removal, retention, charts, migration."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from stored import T0, event, id_of, session_end, session_start, update

from sessiontrace.ids import new_id
from sessiontrace.store import schema
from sessiontrace.store.base import EventQuery, Note, SessionQuery
from sessiontrace.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.db")
    yield made
    made.close()


def found(store: SqliteStore, text: str) -> set[str]:
    while store.index():
        pass
    return {one.session_id for one in store.sessions(SessionQuery(text=text)).sessions}


def test_search_finds_names_inputs_outputs_and_errors(store: SqliteStore):
    """By whole words, whatever their case, the last one by its beginning; all must be there."""
    sid, other = new_id(), new_id()
    step = event(
        sid, event_name="fetch_order", inputs={"deep": [{"q": "Blaue Füße"}]},
        outputs={"n": 4711}, error="TimeoutError: gateway",
    )  # fmt: skip
    store.write([session_end(sid, inputs={"topic": "refund"}), step, session_end(other)])
    for text in (
        "order", "BLAUE", "füße", "4711", "gateway", "timeouterror", "refund", "blaue füß",
        "gateway blaue", "fetch", "q\"--';",
    ):  # fmt: skip
        expected = {sid} if text != "q\"--';" else set()
        assert found(store, text) == expected, text
    assert found(store, "blaue absent") == set()
    assert found(store, "deep") == set(), "keys are not searched"


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
    monkeypatch.setattr("sessiontrace.store.search._SPARE_DOCUMENTS", 10)
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


def test_steps_of_a_session_are_found_by_a_piece_of_text(store: SqliteStore):
    """Inside one session: any piece, not words only, in any field."""
    sid = new_id()
    one = event(sid, T0, inputs={"q": 'say "Hi"'})
    two = event(sid, T0 + 1, metadata={"k": "xhix"})
    store.write([session_end(sid), one, two])
    assert store.containing(sid, "HI") == [id_of(one), id_of(two)]
    assert store.containing(sid, '"Hi"') == [id_of(one)]
    assert store.containing(sid, "absent") == []


def test_notes_are_kept_listed_and_taken_away(store: SqliteStore):
    """In the transaction of the records they belong to."""
    sid = new_id()
    notes = [Note("k", str(n), n, {"n": n}) for n in range(5)]
    store.write([session_end(sid)], notes)
    page, count = store.notes("k", 1, 2)
    assert ([one.id for one in page], count) == (["3", "2"], 5)
    page, _ = store.notes("k", oldest_first=True)
    assert [one.at for one in page] == [0, 1, 2, 3, 4]
    store.write([], [Note("k", "1", 9, {"n": 10}), Note("k", "2", 0, None)])
    assert store.note("k", "1") == {"n": 10}
    assert store.note("k", "2") is None
    assert store.notes("other") == ([], 0)


def test_a_forgotten_event_leaves_no_trace_in_the_sums(store: SqliteStore):
    """Tokens, errors and steps are those of what is left."""
    sid = new_id()
    model = {"event_type": "model", "metadata": {"total_tokens": 5}}
    steps = [event(sid, **model), event(sid, **model, error="x")]
    store.write([session_end(sid), *steps])
    assert store.forget([id_of(steps[1]), "none"]) == 1
    summary = store.sessions(SessionQuery()).sessions[0]
    assert (summary.events, summary.tokens, summary.errors) == (1, 5, 0)
    store.write([steps[1]])
    assert store.sessions(SessionQuery()).sessions[0].tokens == 10


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


def test_whole_records_are_paged_across_sessions(store: SqliteStore):
    """Sessions and events by their start, latest first; narrowed by time, session and a test."""
    ids = [new_id() for _ in range(3)]
    for n, sid in enumerate(ids):
        store.write([session_end(sid, T0 + 10 * n), event(sid, T0 + 10 * n + 5)])
    page = store.events(EventQuery(limit=4))
    assert [one["start_time"] - T0 for one in page.events] == [25, 20, 15, 10]
    assert page.count == 6
    page = store.events(EventQuery(skip=4, limit=4))
    assert [one["start_time"] - T0 for one in page.events] == [5, 0]
    assert store.events(EventQuery(session_id=ids[1])).count == 2
    assert store.events(EventQuery(event_id=ids[1])).count == 1
    assert store.events(EventQuery(since=T0 + 10, until=T0 + 20)).count == 2
    tools = store.events(EventQuery(fits=lambda one: one["event_type"] == "tool", limit=1))
    assert (tools.count, len(tools.events)) == (3, 1)


def test_charts_hold_every_session_that_fits(store: SqliteStore):
    """Over time in round steps, over durations by powers; the same filters as the list."""
    assert store.histogram(SessionQuery()) is None
    for n in range(50):
        error = {"error": "no"} if n % 5 == 0 else {}
        store.write([session_end(new_id(), T0 + n * 60_000, took=3 ** (n % 10), **error)])
    chart = store.histogram(SessionQuery())
    assert chart is not None
    assert sum(chart.sessions) == sum(chart.durations) == 50
    assert sum(chart.failed) == 10
    assert len(chart.sessions) <= 60
    assert chart.start % chart.width == 0
    assert chart.durations[:3] == [15, 5, 5]
    failed = store.histogram(SessionQuery(failed=True, since=T0, until=T0 + 30 * 60_000))
    assert failed is not None
    assert sum(failed.sessions) == 6


def test_texts_of_sessions_are_counted(store: SqliteStore):
    """Each session once; entries come from the user properties."""
    for n in range(4):
        properties = {"user_id": "ada", "$entry_page": f"/{n % 2}", "other": "x"}
        store.write([session_end(new_id(), user_properties=properties, error="E: x")])
    texts = store.texts_of_sessions(100)
    assert texts.count == 4
    assert texts["user"] == {"ada": 4}
    assert texts["$entry_page"] == {"/0": 2, "/1": 2}
    assert texts["error_type"] == {"E": 4}
    assert "other" not in texts


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


def test_an_open_session_stays_open_beside_its_events(store: SqliteStore):
    """Only sessions that nobody ever opened count as ended by themselves."""
    opened, loose = new_id(), new_id()
    store.write([session_start(opened), event(opened), event(loose)])
    status = {one.session_id: one.status for one in store.sessions(SessionQuery()).sessions}
    assert status == {opened: "open", loose: "ended"}
