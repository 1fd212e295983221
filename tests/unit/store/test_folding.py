"""What sessions were judged with, as their list shows it: by hand, by a program, by a vendor."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import event, id_of, session_end, update

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import Record
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.db")
    yield made
    made.close()


def scores(store: SqliteStore, *records: Record) -> dict[str, float]:
    """The scores of the one session, after more of it was written."""
    assert store.write(records) == {}
    (one,) = store.sessions(SessionQuery()).sessions
    return dict(one.scores)


def test_a_sessions_own_scores_are_listed_and_its_measures_are_not(store: SqliteStore):
    """How long it took and what it cost have columns of their own."""
    sid = new_id()
    measured = {"helpful": 0.9, "safe": True, "latency_ms": 12, "cost": 0.1, "total_tokens": 5}
    end = session_end(sid, metrics=measured, feedback={"rating": "good", "comment": "fine"})
    assert scores(store, end) == {"helpful": 0.9, "rating": 1.0, "safe": 1.0}


def test_steps_count_with_their_mean_unless_the_session_was_judged_itself(store: SqliteStore):
    """A thumb on a step is found in the list; one on the whole session counts more."""
    sid = new_id()
    good, bad = event(sid, feedback={"rating": 1}), event(sid)
    assert scores(store, session_end(sid), good, bad) == {"rating": 1.0}
    assert scores(store, update(id_of(bad), sid, feedback={"rating": 0})) == {"rating": 0.5}
    assert scores(store, update(id_of(good), sid, feedback={"rating": 0})) == {"rating": 0.0}
    assert scores(store, update(sid, sid, feedback={"rating": 1})) == {"rating": 1.0}


def test_a_score_taken_back_and_a_step_deleted_count_no_more(store: SqliteStore):
    """Null takes a score back, as the page does it."""
    sid = new_id()
    one, two = (event(sid, metrics={"helpful": value}) for value in (0.25, 0.75))
    assert scores(store, session_end(sid), one, two) == {"helpful": 0.5}
    assert scores(store, update(id_of(one), sid, metrics={"helpful": None})) == {"helpful": 0.75}
    store.forget([id_of(two)])
    assert scores(store) == {}


@pytest.mark.parametrize("odd", ["many", 7, ["x"], None, {"": "text", "n": {"a": 1}, "big": 1e300}])
def test_what_is_no_score_is_none(store: SqliteStore, odd: object):
    """Whatever a client puts there."""
    sid = new_id()
    assert scores(store, session_end(sid, metrics=odd), event(sid, feedback=odd)) == {}


def test_the_number_of_names_is_bounded(store: SqliteStore):
    """A program that makes up a name for each score must not make a line of the list endless."""
    sid = new_id()
    steps = [event(sid, metrics={f"name {n:03}": n}) for n in range(80)]
    found = scores(store, session_end(sid), *steps)
    assert list(found) == [f"name {n:03}" for n in range(50)]


def test_a_file_of_an_older_version_learns_the_scores_with_the_next_write(store: SqliteStore):
    """Version 2 kept none of them; what was judged then is counted once, and only once."""
    sid = new_id()
    old = event(sid, feedback={"rating": 1})
    scores(store, session_end(sid), old)
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE sessions SET scores = '{}', scored = NULL")  # as it is migrated
    connection.commit()
    connection.close()
    assert scores(store) == {}
    assert scores(store, old, event(sid, feedback={"rating": 0})) == {"rating": 0.5}
