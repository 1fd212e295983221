"""Sets of sessions in numbers: the same in SQLite and in ClickHouse, late updates included."""

from __future__ import annotations

import pytest
from support.records import T0, event, id_of, session_end, update

from sessiontrace.model.ids import new_id
from sessiontrace.store.models import SessionQuery, StepGroup
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import parse
from sessiontrace.views.session_sets import compared_steps, percentile, read_set

pytestmark = pytest.mark.timeout(240)  # an engine, on a machine that is busy


def fill(store: Store, user: str, took: list[int], model: str) -> list[str]:
    """Sessions of a user, each with a call and a tool; the ids of the calls."""
    calls = []
    for at, ms in enumerate(took):
        sid = new_id()
        call = event(
            sid, T0 + 1, ms, event_type="model", event_name=f"chat {model}",
            metadata={"total_tokens": 100 * (at + 1), "cost": 0.25},
        )  # fmt: skip
        tool = event(sid, T0 + 2, 10, event_name="search")
        store.write([session_end(sid, T0 + at, ms, user_properties={"user_id": user}), call, tool])
        calls.append(id_of(call))
    return calls


def groups_of(store: Store, query: str) -> dict[tuple[str, str], StepGroup]:
    return dict(read_set(store, SessionQuery(terms=parse(query, T0))).groups)


def test_two_sets_have_totals_medians_and_the_steps_that_differ(store: Store):
    """A week of one model beside a week of another."""
    fill(store, "old", [100, 200, 300], "a")
    fill(store, "new", [50, 60, 500], "b")
    left, right = (read_set(store, SessionQuery(terms=parse(f"user:{user}", T0)))
                   for user in ("old", "new"))  # fmt: skip
    measures = left.as_json()["measures"]
    assert measures["duration"] == {"total": 600.0, "median": 200.0, "p95": 300.0}
    assert measures["tokens"] == {"total": 600.0, "median": 200, "p95": 300}
    assert measures["cost"]["total"] == pytest.approx(0.75)
    assert right.as_json()["measures"]["duration"]["median"] == 60.0
    rows = compared_steps(left, right)
    assert [(row["name"], row["left"] is None, row["right"] is None) for row in rows] == [
        ("chat b", True, False), ("chat a", False, True), ("search", False, False),
    ]  # fmt: skip
    assert (rows[2]["left"]["steps"], rows[2]["left"]["sessions"]) == (3, 3)
    assert (rows[1]["left"]["median"], rows[1]["left"]["p95"]) == (200.0, 300.0)
    none = read_set(store, SessionQuery(terms=parse("user:nobody", T0)))
    assert none.as_json()["sessions"] == 0
    assert len(compared_steps(none, right)) == 2


def test_late_updates_count_in_their_group(store: Store):
    """An error that a program reports later; a name that it corrects."""
    calls = fill(store, "late", [10, 20], "a")
    stored = store.event(calls[0])
    assert stored is not None
    store.write([update(calls[0], str(stored["session_id"]), error="E: late")])
    group = groups_of(store, "user:late")["model", "chat a"]
    assert (group.steps, group.sessions, group.failed, group.tokens) == (2, 2, 1, 300)
    assert sorted(group.durations) == [10.0, 20.0]


def test_a_percentile_is_a_value_that_was_measured():
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0, 0.5, 0.51, 0.95)] == [
        1.0, 2.0, 3.0, 4.0,
    ]  # fmt: skip
    assert percentile([], 0.5) == 0.0
