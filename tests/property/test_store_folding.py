"""Whatever order records come in, and however often, a store shows the same sessions."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import event, id_of, update
from support.session_strategies import histories

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import Record
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore


def rows(records: list[Record], cuts: list[int]) -> Any:
    """All that a store shows after these records, written in batches that end at ``cuts``."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db")
        store.open()
        connection = store._connection
        assert connection is not None
        connection.execute("PRAGMA synchronous = OFF")
        begun = 0
        for cut in sorted({*cuts, len(records)}):
            assert store.write(records[begun:cut]) == {}
            begun = cut
        found = store.sessions(SessionQuery()).sessions
        shown = [store.session(one.session_id) for one in found]
        whole = [store.event(step.event_id) for one in shown if one for step in one.events]
        store.close()
    return found, shown, whole


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_order_with_repetitions_gives_the_same_rows(data: st.DataObject):
    """DeliveryStats is at least once and batches are retried, so records come twice and late."""
    history = data.draw(histories())
    again = data.draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    mixed = [*history, *again]
    random.Random(data.draw(st.integers(0, 2**32))).shuffle(mixed)
    cuts = data.draw(st.lists(st.integers(0, len(mixed)), max_size=4))
    assert rows(mixed, cuts) == rows(history, [])


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=6), back=st.integers(0, 6)
)
def test_redelivery_from_an_older_cursor_ends_with_the_latest_score(values: list[int], back: int):
    """Updates of one key are in order of arrival; a cursor that moved back repeats a whole tail."""
    sid = new_id()
    step = event(sid)
    scores = [update(id_of(step), sid, metrics={"helpful": value}) for value in values]
    _, _, (shown,) = rows([step, *scores, *scores[-back:]], [1])
    assert shown["metrics"] == {"helpful": values[-1]}
