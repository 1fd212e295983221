"""Judgements in every store: the history, what filters find, and what deletion leaves."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.records import T0, event, id_of, record, session_end, update

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import UPDATE, Record
from sessiontrace.store.judging.history import Judgement
from sessiontrace.store.models import SessionQuery, SessionSummary
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import parse

pytestmark = pytest.mark.timeout(240)  # an engine, on a machine that is busy


def judge(event_id: str, session_id: str, at: int, **entry: Any) -> Record:
    """A judgement by hand, ``at`` ms after T0, as the server writes it."""
    entry = {"kind": "score", "name": "quality", "at": T0 + at, **entry}
    key = f"{T0 + at:015d} {new_id()}"
    return record(UPDATE, event_id=event_id, session_id=session_id, judgements={key: entry})


def ids_of(store: Store, query: str) -> set[str]:
    page = store.sessions(SessionQuery(terms=parse(query, T0)))
    return {summary.session_id for summary in page.sessions}


def summary_of(store: Store, session_id: str) -> SessionSummary:
    stored = store.session(session_id)
    assert stored is not None
    return stored.summary


def of_score(judgements: list[Judgement]) -> list[tuple[Any, str, str | None]]:
    return [(each.value, each.source, each.author) for each in judgements if each.kind == "score"]


def test_a_changed_score_keeps_its_predecessors(store: Store):
    """Recorded, updated by the SDK, changed by hand, taken back: the last one counts."""
    sid = new_id()
    store.write([session_end(sid, took=10, metrics={"quality": 0.9, "latency": 3})])
    store.write([update(sid, sid, metrics={"quality": 0.5}, feedback={"quality_comment": "meh"})])
    assert summary_of(store, sid).scores == {"quality": 0.5}
    now = 10**15
    store.write([judge(sid, sid, now, value=0.25, author="ada", comment="worse")])
    assert summary_of(store, sid).scores == {"quality": 0.25}
    judgements = list(store.judgements(sid))
    assert of_score(judgements) == [
        (0.9, "recorded", None), (0.5, "update", None), (0.25, "hand", "ada"),
    ]  # fmt: skip
    assert [each.comment for each in judgements] == [None, "meh", "worse"]
    store.write([judge(sid, sid, now + 1, value=None, author="bob")])
    assert summary_of(store, sid).scores == {}
    assert len(store.judgements(sid)) == 4
    whole = store.record(sid)
    assert whole is not None
    assert "judgements" not in whole
    assert "quality" not in whole.get("metrics", {})
    assert whole["metrics"] == {"latency": 3}


def test_a_repeated_update_is_one_judgement(store: Store):
    """A spool delivers at least once."""
    sid = new_id()
    again = update(sid, sid, metrics={"quality": 0.5}, metadata={"evaluation.quality": {
        "explanation": "because", "source": "ANNOTATION"}})  # fmt: skip
    store.write([session_end(sid, took=10)])
    store.write([again])
    store.write([again])
    (judgement,) = store.judgements(sid)
    assert (judgement.value, judgement.comment, judgement.author) == (0.5, "because", "ANNOTATION")


def test_a_score_of_a_step_counts_in_its_session(store: Store):
    """By hand as from the SDK; the step's own record has the last one."""
    sid = new_id()
    step = event(sid, T0, metrics={"quality": 1.0})
    other = event(sid, T0 + 5)
    store.write([session_end(sid), step, other])
    store.write([judge(id_of(step), sid, 5, value=0.0), judge(id_of(other), sid, 5, value=0.5)])
    assert summary_of(store, sid).scores == {"quality": 0.25}
    assert ids_of(store, "score.quality:<0.3") == {sid}
    whole = store.event(id_of(step))
    assert whole is not None
    assert (whole["metrics"], whole["feedback"]) == ({}, {"quality": 0.0})
    assert [each.event_id for each in store.judgements(sid)] == [id_of(step)] * 2 + [id_of(other)]


def test_reviewed_and_labels_are_filters_that_can_be_taken_back(store: Store):
    """The queue of unreviewed sessions is right after a mark is taken back."""
    one, two = new_id(), new_id()
    step = event(one, T0 + 5)
    store.write([session_end(one, error="E: x"), step, session_end(two, error="E: x")])
    assert ids_of(store, "reviewed:no status:failed") == {one, two}
    store.write(
        [
            judge(one, one, 1, kind="review", name="reviewed", value=True, author="Ada"),
            judge(id_of(step), one, 2, kind="label", name="Wrong answer", value=True),
            judge(one, one, 2, kind="label", name="seen", value=True),
        ]
    )
    marks = summary_of(store, one)
    assert (list(marks.labels), marks.reviewed) == (["Wrong answer", "seen"], "Ada")
    assert ids_of(store, "reviewed:no status:failed") == {two}
    for query in (
        "reviewed:yes",
        "reviewed:ada",
        "label:seen",
        'label:"wrong answer"',
        "label:wr*",
    ):
        assert ids_of(store, query) == {one}, query
    assert ids_of(store, "-label:seen") == {two}
    assert ids_of(store, "-reviewed:no") == {one}
    store.write(
        [
            judge(one, one, 3, kind="review", name="reviewed", value=None, author="Ada"),
            judge(id_of(step), one, 3, kind="label", name="Wrong answer", value=None),
        ]
    )
    marks = summary_of(store, one)
    assert (list(marks.labels), marks.reviewed) == (["seen"], None)
    assert ids_of(store, "reviewed:no") == {one, two}
    assert ids_of(store, "reviewed:yes") == set()
    assert ids_of(store, 'label:"wrong answer"') == set()
    assert ids_of(store, '-label:"wrong answer"') == {one, two}
    listed = {summary.session_id: summary for summary in store.sessions(SessionQuery()).sessions}
    assert list(listed[one].labels) == ["seen"]


def test_judgements_leave_with_their_session(store: Store):
    """Deletion and retention know no other place."""
    sid = new_id()
    store.write([session_end(sid)])
    store.write([judge(sid, sid, 1, kind="label", name="wrong", value=True)])
    store.erase([sid])
    assert list(store.judgements(sid)) == []
    assert ids_of(store, "label:wrong") == set()
    store.write([session_end(sid)])
    assert ids_of(store, "label:wrong") == set()


def test_a_deleted_step_takes_its_labels_along(store: Store):
    sid = new_id()
    step = event(sid, T0 + 5)
    store.write([session_end(sid), step])
    store.write([judge(id_of(step), sid, 1, kind="label", name="wrong", value=True)])
    assert ids_of(store, "label:wrong") == {sid}
    store.forget([id_of(step)])
    assert ids_of(store, "label:wrong") == set()


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["score", "label", "review", "update"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, True, 0.5]),
    ),
    max_size=8,
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ENTRIES, st.booleans())
def test_whatever_order_judgements_come_in_the_latest_counts(
    store: Store, entries: list[tuple[str, str, Any]], backwards: bool
):
    """A model in one line: a dictionary that each entry overwrites."""
    sid = new_id()
    labels: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    reviewed: Any = None
    records: list[Record] = []
    for at, (kind, name, value) in enumerate(entries):
        if kind == "update":
            continue
        if kind == "review":
            reviewed = value
        (labels if kind == "label" else scores if kind == "score" else {})[name] = value
        title = "reviewed" if kind == "review" else name
        records.append(judge(sid, sid, at, kind=kind, name=title, value=value))
    store.write([session_end(sid)])
    for each in reversed(records) if backwards else records:
        store.write([each])
    summary = summary_of(store, sid)
    assert set(summary.labels) == {name for name, value in labels.items() if value}
    assert (summary.reviewed is not None) == bool(reviewed)
    assert summary.scores == {
        name: float(value) for name, value in sorted(scores.items()) if value is not None
    }
    assert len(store.judgements(sid)) == len(records)
    assert (sid in ids_of(store, "reviewed:no")) == (not reviewed)
    assert all(attrs.asdict(each)["source"] == "hand" for each in store.judgements(sid))


def test_search_finds_what_reviewers_wrote(store: Store):
    """A comment on a step, the reason of a score and a label, beside the words of the record."""
    sid, step = new_id(), event(other := new_id(), inputs={"q": "parcel"})
    store.write([
        session_end(sid, took=10), session_end(other, took=10), step,
        judge(sid, sid, 1, kind="comment", name="c1", value="Invents a tracking number"),
        judge(id_of(step), other, 2, value=0.5, comment="too verbose"),
        judge(id_of(step), other, 3, kind="label", name="escalate", value=True),
    ])  # fmt: skip
    while store.index():
        pass
    for text, session_id in (
        ("tracking number", sid), ("verbose", other), ("escalate", other), ("parcel", other),
    ):  # fmt: skip
        page = store.sessions(SessionQuery(text=text))
        assert [summary.session_id for summary in page.sessions] == [session_id], text
