"""Events that move to another session, in both stores: nothing of them stays behind."""

from __future__ import annotations

from typing import Any

import pytest
from support.records import T0, event, id_of, update

from sessiontrace.model.ids import new_id
from sessiontrace.store.models import EventQuery, SessionQuery
from sessiontrace.store.protocol import Store

pytestmark = pytest.mark.timeout(240)


def everything(store: Store, sid: str) -> Any:
    return store.session(sid), store.events(EventQuery(session_id=sid))


@pytest.mark.parametrize("part", [False, True])
def test_a_moved_event_is_as_if_it_had_come_to_its_new_session(store: Store, part: bool):
    """With its late updates, scores and tokens; the old session shrinks or goes."""
    old, new, expected = new_id(), new_id(), new_id()
    fields = {"event_type": "model", "metadata": {"total_tokens": 5}, "error": "no"}
    steps = [event(old, T0 + n * 10, parent_id=old, **fields) for n in range(3)]
    moving = steps[part:]
    store.write([*steps, update(id_of(steps[2]), old, metrics={"good": 1})])
    store.write([update(id_of(steps[1]), old, gathered={"log 0 1 x": {"body": "note"}})])
    store.write([event(new, T0 + 500)])
    for _ in range(2):
        store.move(old, new, [id_of(step) for step in moving])
    moved, records = everything(store, new)
    assert moved is not None
    summary = moved.summary
    assert (summary.events, summary.tokens, summary.errors) == (len(moving) + 1, 5 * len(moving),
                                                                len(moving))  # fmt: skip
    assert (summary.start_time, summary.scores) == (T0 + 10 * part, {"good": 1.0})
    assert {step.parent_id for step in moved.events[:-1]} == {new}
    assert {record["session_id"] for record in records.events} == {new}
    (noted,) = (record for record in records.events if record["event_id"] == id_of(steps[1]))
    assert noted["metadata"]["logs"] == [{"body": "note"}]
    summaries = {line.session_id: line for line in store.sessions(SessionQuery()).sessions}
    left = store.session(old)
    if not part:
        assert left is None
        assert set(summaries) == {new}
        assert store.events(EventQuery(session_id=old)).events == []
    else:
        assert left is not None
        expected = (1, 5, T0)
        assert (left.summary.events, left.summary.tokens, left.summary.start_time) == expected
        assert summaries[old] == left.summary
    assert summaries[new] == summary
