"""What every store keeps to, whatever is under it: one suite, run over SQLite and ClickHouse."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.records import (
    T0,
    event,
    id_of,
    record,
    session_abandoned,
    session_end,
    session_open,
    session_start,
    update,
)

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import EVENT, Record
from sessiontrace.store import retention
from sessiontrace.store.models import Document, EventQuery, SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.retention import Retention

pytestmark = pytest.mark.timeout(240)  # an engine and servers, on a machine that is busy


def found(store: Store, text: str) -> set[str]:
    while store.index():
        pass
    return {one.session_id for one in store.sessions(SessionQuery(text=text)).sessions}


def test_a_session_is_summed_up_while_it_is_written(store: Store):
    """A list must never scan events, so the summary has to be right after each write."""
    sid = new_id()
    store.write([session_start(sid, user_properties={"user_id": "ada"})])
    store.write(
        [
            event(sid, T0 + 10, event_type="model", metadata={"total_tokens": 12, "cost": 0.1}),
            event(sid, T0 + 20, event_type="model", metrics={"prompt_tokens": 5, "cost": 0.2}),
        ]
    )
    store.write([event(sid, T0 + 30, error="ValueError: no"), session_end(sid, took=500)])
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.name, one.source, one.status, one.duration) == ("chat", "tests", "ended", 500.0)
    assert (one.events, one.errors, one.models, one.tokens) == (3, 1, 2, 17)
    assert one.cost == pytest.approx(0.3, abs=1e-12)


def test_calls_without_a_price_are_counted_until_a_cost_arrives(store: Store):
    """Unknown is not 0: a reported 0, a cost in parts, a cached answer and a tool are no gap."""
    sid = new_id()
    unknown = event(sid, T0 + 10, event_type="model", metadata={"total_tokens": 12})
    others: list[dict[str, Any]] = [
        {"metadata": {"total_tokens": 3, "cost": 0}},
        {"metadata": {"total_tokens": 3, "prompt_cost": 0.25, "completion_cost": 0.5}},
        {"metadata": {"total_tokens": 3, "cached": True}},
        {"metadata": {"cached": True}},
    ]
    store.write([unknown, *(event(sid, T0, event_type="model", **other) for other in others)])
    store.write([event(sid, metadata={"total_tokens": 9}), session_end(sid, took=500)])
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.unpriced, one.cost) == (1, 0.75)
    stored = store.session(sid)
    assert stored is not None
    assert [step.event_id for step in stored.events if step.unpriced] == [id_of(unknown)]
    store.write([update(id_of(unknown), sid, metadata={"cost": 0.5})])
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.unpriced, one.cost) == (0, 1.25)


def test_a_call_for_vectors_is_a_call_of_a_model(store: Store):
    """The session counts it beside the others, and its step shows the model."""
    sid = new_id()
    vectors = event(
        sid, T0 + 1, event_type="embedding", config={"model": "v"}, metadata={"total_tokens": 5}
    )
    store.write([vectors, event(sid, T0, event_type="model", config={"model": "m"})])
    store.write([event(sid, T0 + 2, event_type="retriever"), session_end(sid, took=500)])
    (one,) = store.sessions(SessionQuery()).sessions
    assert (one.events, one.models, one.tokens, one.unpriced) == (3, 2, 5, 1)
    stored = store.session(sid)
    assert stored is not None
    assert [step.model for step in stored.events] == ["m", "v", None]


def test_the_end_has_the_last_word_on_the_user(store: Store):
    """Who it was may come out only while the session runs."""
    sid = new_id()
    store.write([session_start(sid, user_properties={"user_id": "ada"})])
    assert store.sessions(SessionQuery()).sessions[0].user == "ada"
    store.write([session_end(sid, user_properties={"user_id": "grace"})])
    assert store.sessions(SessionQuery()).sessions[0].user == "grace"


def test_an_open_session_is_shown_as_open_up_to_its_last_sign_of_life(store: Store):
    """A session that runs for an hour is looked at while it runs."""
    sid = new_id()
    store.write([session_start(sid), event(sid, T0 + 700, took=50)])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.status, found.summary.end_time) == ("open", T0 + 750)


def test_a_late_start_does_not_reopen_an_ended_session(store: Store):
    """A lane may retry the batch with the start after the batch with the end went through."""
    sid = new_id()
    store.write([session_end(sid, outputs={"a": 1})])
    store.write([session_start(sid), session_open(sid)])
    found = store.session(sid)
    assert found is not None
    assert found.summary.status == "ended"
    assert found.record["outputs"] == {"a": 1}


def test_a_real_end_wins_over_an_abandoned_one_whichever_comes_first(store: Store):
    """An adopter that took a sleeping process for a dead one must not have the last word."""
    for order in (1, -1):
        sid = new_id()
        start = session_start(sid)
        gone = session_abandoned(start, T0 + 5)
        store.write([start, *[gone, session_end(sid)][::order]])
        found = store.session(sid)
        assert found is not None
        assert found.summary.status == "ended"


def test_an_adopted_session_is_shown_as_abandoned(store: Store):
    """A process was killed; its adopter ends its session with what is known."""
    sid = new_id()
    start = session_start(sid)
    store.write([start, session_abandoned(start, T0 + 5)])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.status, found.summary.end_time) == ("abandoned", T0 + 5)


def test_turns_of_a_conversation_are_chain_events_under_one_session(store: Store):
    """One chat, three requests, each opened with the caller's id: one session, three steps."""
    sid, turns = new_id(), [new_id() for _ in range(3)]
    for at, turn in enumerate(turns):
        begin = T0 + at * 10_000
        store.write([session_start(sid, begin, event_id=turn)])
        assert store.sessions(SessionQuery()).sessions[0].status == "open"
        store.write(
            [
                event(sid, begin + 5, parent_id=turn),
                session_end(sid, begin, 2000, event_id=turn, inputs={"n": at}),
            ]
        )
    found = store.session(sid)
    assert found is not None
    assert (found.summary.start_time, found.summary.end_time) == (T0, T0 + 22_000)
    assert (found.summary.status, found.summary.events, found.summary.name) == ("ended", 6, "chat")
    shown = [one for one in found.events if one.turn]
    assert [one.event_id for one in shown] == turns
    assert {(one.type, one.parent_id) for one in shown} == {("chain", sid)}
    assert store.event(turns[1])["inputs"] == {"n": 1}


def test_an_event_whose_session_never_started_makes_one(store: Store):
    """Another process may hold the session's own records, in a store we never see."""
    sid = new_id()
    store.write([event(sid, T0 + 40, took=60)])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.start_time, found.summary.end_time) == (T0 + 40, T0 + 100)
    assert found.summary.name is None


def test_updates_merge_into_objects_and_replace_outputs(store: Store):
    """A score that comes a day later, and one that comes before its event."""
    sid = new_id()
    step = event(sid, metadata={"a": 1, "b": 1}, outputs={"old": True})
    early = update(id_of(step), sid, metadata={"b": 2}, metrics={"helpful": 1})
    store.write([early])
    assert store.sessions(SessionQuery()).sessions == []
    store.write([step, update(id_of(step), sid, outputs={"new": True})])
    shown = store.event(id_of(step))
    assert shown is not None
    assert shown["metadata"] == {"a": 1, "b": 2}
    assert shown["metrics"] == {"helpful": 1}
    assert shown["outputs"] == {"new": True}


def test_an_update_of_a_session_is_in_its_record(store: Store):
    """``score`` names a session as often as an event."""
    sid = new_id()
    store.write([session_end(sid), update(sid, sid, feedback={"rating": 5})])
    found = store.session(sid)
    assert found is not None
    assert found.record["feedback"] == {"rating": 5}


def test_what_is_no_record_is_refused_by_index_and_the_rest_is_taken(store: Store):
    """One bad record in a batch must not cost the others, nor vanish uncounted."""
    sid = new_id()
    bad = [
        record(b"event", event_id="x", session_id=sid),
        record(b"event", session_id=sid, start_time=T0),
        record(b"what", event_id="x", session_id=sid, start_time=T0),
        session_start(sid)._replace(body=b"{"),
        session_start(sid)._replace(body=b"[1]"),
    ]
    refused = store.write([bad[0], session_start(sid), *bad[1:]])
    assert sorted(refused) == [0, 2, 3, 4, 5]
    assert store.session(sid) is not None


def test_values_no_column_can_hold_do_no_harm(store: Store):
    """SQLite has 64-bit integers; JSON has not."""
    sid = new_id()
    odd = {"total_tokens": 2**63, "cost": float("1e300")}
    store.write([event(sid, event_type="model", metadata=odd, duration=1e30, user_properties=[1])])
    found = store.session(sid)
    assert found is not None
    assert (found.summary.events, found.summary.tokens, found.summary.cost) == (1, 0, 0.0)


@pytest.fixture
def filled(store: Store) -> tuple[Store, list[str]]:
    ids = [new_id() for _ in range(25)]
    records: list[Record] = []
    for at, sid in enumerate(ids):
        name = "Größe" if at == 3 else f"chat {at}"
        records.append(session_end(sid, T0 + at * 1000, event_name=name))
        if at % 10 == 0:
            records.append(event(sid, T0 + at * 1000, error="boom"))
    store.write(records)
    return store, ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (SessionQuery(text="CHAT 7"), [7]),
        (SessionQuery(text="grösse"), [3]),
        (SessionQuery(text="GRÖSSE"), [3]),
        (SessionQuery(text="' OR 1=1 --"), []),
        (SessionQuery(failed=True), [20, 10, 0]),
        (SessionQuery(since=T0 + 23_000), [24, 23, 22]),
        (SessionQuery(until=T0 + 3_000), [1, 0]),
        (SessionQuery(since=T0 + 6_000, until=T0 + 7_000), [5]),
        (SessionQuery(limit=2), [24, 23]),
    ],
)
def test_a_list_takes_filters(filled, query: SessionQuery, expected: list[int]):
    """Each filter alone, with the answers counted by hand."""
    store, ids = filled
    assert [ids.index(one.session_id) for one in store.sessions(query).sessions] == expected


def test_pages_of_a_list_meet_without_gap_or_repetition(filled):
    """New sessions arrive while the reader pages: a page goes on from a place, not a number."""
    store, ids = filled
    seen: list[str] = []
    after = None
    while True:
        page = store.sessions(SessionQuery(limit=7, after=after))
        seen += [one.session_id for one in page.sessions]
        store.write([session_end(new_id(), T0 + 10**6)])
        if (after := page.next) is None:
            break
    assert seen == ids[::-1]


def test_sessions_are_found_by_the_beginning_of_their_id(filled):
    """Nobody types 36 characters."""
    store, ids = filled
    assert store.ids_with_prefix(ids[4]) == [ids[4]]
    assert set(store.ids_with_prefix(ids[4][:2], limit=100)) == set(ids)
    assert store.ids_with_prefix("zz") == []


def test_a_long_session_says_how_many_steps_it_leaves_out(store: Store):
    """A runaway loop makes a million steps; a page that shows all of them shows none."""
    sid = new_id()
    store.write([event(sid, T0 + at) for at in range(30)])
    found = store.session(sid, limit=10)
    assert found is not None
    assert (len(found.events), found.omitted) == (10, 20)


def test_search_finds_names_inputs_outputs_and_errors(store: Store):
    """By whole words, whatever their case, the last one by its beginning; all must be there."""
    sid, other = new_id(), new_id()
    step = event(
        sid, event_name="fetch_order", inputs={"deep": [{"q": "Blaue Füße"}]},
        outputs={"n": 4711}, error="TimeoutError: gateway",
    )  # fmt: skip
    store.write([session_end(sid, inputs={"topic": "refund"}), step, session_end(other)])
    for text in (
        "order", "BLAUE", "füße", "4711", "gateway", "timeouterror", "refund", "blaue füß",
        "gateway blaue", "fetch", "bl", "gateway f", "q\"--';",
    ):  # fmt: skip
        expected = {sid} if text != "q\"--';" else set()
        assert found(store, text) == expected, text
    assert found(store, "blaue absent") == set()
    assert found(store, "deep") == set(), "keys are not searched"
    store.write([update(id_of(step), sid, outputs={"n": "an afterthought"})])
    assert found(store, "aftert") == {sid}


def test_steps_of_a_session_are_found_by_a_piece_of_text(store: Store):
    """Inside one session: any piece, not words only, in any field."""
    sid = new_id()
    one = event(sid, T0, inputs={"q": 'say "Hi"'})
    two = event(sid, T0 + 1, metadata={"k": "xhix"})
    store.write([session_end(sid), one, two])
    assert store.find_steps(sid, "HI") == [id_of(one), id_of(two)]
    assert store.find_steps(sid, '"Hi"') == [id_of(one)]
    assert store.find_steps(sid, "absent") == []


def test_a_step_is_not_found_by_what_it_does_not_say(store: Store):
    """Names of fields, ids, times and types are in the record of every step."""
    sid = new_id()
    one = event(sid, T0, event_name="One", outputs={"answer": ["yes", 4711, True]})
    two = event(sid, T0 + 1, event_name="zwei", error="no way", config={"model": "m-7"})
    store.write([session_end(sid), one, two, update(id_of(two), sid, metadata={"late": "add-on"})])
    for text in ("event_id", "duration", "tool", "answer", str(T0), id_of(one), "late", "tests"):
        assert store.find_steps(sid, text) == [], text
    for text in ("one", "YES", "4711", "true"):
        assert store.find_steps(sid, text) == [id_of(one)], text
    for text in ("zwei", "No Way", "m-7", "add-ON"):
        assert store.find_steps(sid, text) == [id_of(two)], text


def test_a_step_has_its_model_and_the_nanoseconds_of_its_start(store: Store):
    """Wherever the record has them: near its head as we write it, or behind its inputs."""
    sid = new_id()
    first = {"session_id": sid, "parent_id": sid, "event_type": "model", "event_name": "call"}
    times = {"start_time": T0, "start_nanos": 250_000, "end_time": T0, "duration": 0.5}
    model = {"config": {"n": {"a": 1}, "model": 'a "b"'}}
    inputs = {"inputs": {"q": '"config":{"model":"no"' + "x" * 2_000}}
    near = record(EVENT, event_id=new_id(), **first, **times, **model, **inputs)
    far = record(EVENT, event_id=new_id(), **first, **times, **inputs, config={"model": "far"})
    none = event(sid, T0 + 2, event_type="model", inputs={"start_nanos": 5, "model": "no"})
    tool = event(sid, T0 + 3, config={"model": "no"})
    store.write([session_end(sid), near, far, none, tool])
    session = store.session(sid)
    assert session is not None
    assert [(step.model, step.start_nanos) for step in session.events] == [
        ('a "b"', 250_000), ("far", 250_000), (None, 0), (None, 0),
    ]  # fmt: skip


def test_notes_are_kept_listed_and_taken_away(store: Store):
    """In the transaction of the records they belong to."""
    sid = new_id()
    notes = [Document("k", str(n), n, {"n": n}) for n in range(5)]
    store.write([session_end(sid)], notes)
    page, count = store.documents("k", 1, 2)
    assert ([one.id for one in page], count) == (["3", "2"], 5)
    page, _ = store.documents("k", oldest_first=True)
    assert [one.at for one in page] == [0, 1, 2, 3, 4]
    store.write([], [Document("k", "1", 9, {"n": 10}), Document("k", "2", 0, None)])
    assert store.document("k", "1") == {"n": 10}
    assert store.document("k", "2") is None
    assert store.documents("other") == ([], 0)


def test_a_forgotten_event_leaves_no_trace_in_the_sums(store: Store):
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


def test_whole_records_are_paged_across_sessions(store: Store):
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


def test_charts_hold_every_session_that_fits(store: Store):
    """Over time in round steps, over durations by powers; the same filters as the list."""
    assert store.histogram(SessionQuery()) is None
    errors = [{"error": "no"} if n % 5 == 0 else {} for n in range(50)]
    store.write(
        [
            session_end(new_id(), T0 + n * 60_000, took=3 ** (n % 10), **error)
            for n, error in enumerate(errors)
        ]
    )
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


def test_texts_of_sessions_are_counted(store: Store):
    """Each session once; entries come from the user properties."""
    for n in range(4):
        properties = {"user_id": "ada", "$entry_page": f"/{n % 2}", "other": "x"}
        store.write([session_end(new_id(), user_properties=properties, error="E: x")])
    texts = store.count_properties(100)
    assert texts.count == 4
    assert texts["user"] == {"ada": 4}
    assert texts["$entry_page"] == {"/0": 2, "/1": 2}
    assert texts["error_type"] == {"E": 4}
    assert "other" not in texts


def test_an_open_session_stays_open_beside_its_events(store: Store):
    """Only sessions that nobody ever opened count as ended by themselves."""
    opened, loose = new_id(), new_id()
    store.write([session_start(opened), event(opened), event(loose)])
    status = {one.session_id: one.status for one in store.sessions(SessionQuery()).sessions}
    assert status == {opened: "open", loose: "ended"}


def test_A33_a_wrong_clock_of_the_writer_deletes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's clock jumps ahead by a year between two rounds of retention."""
    sid = new_id()
    store.write([session_end(sid)])
    assert retention.trim(store, Retention()) == 0
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 400 * 86_400 * 10**9)
    assert retention.trim(store, Retention()) == 0
    late = new_id()
    store.write([session_end(late)])
    assert retention.trim(store, Retention()) == 0
    assert {one.session_id for one in store.sessions(SessionQuery()).sessions} == {sid, late}


def test_A33_a_document_of_a_clock_that_was_ahead_can_be_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API key was stored while the clock was wrong. It can be revoked when that is right."""
    real = time.time_ns
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time_ns", lambda: real() + 400 * 86_400 * 10**9)
        store.write([], [Document("key", "a", 1, {"n": 1})])
    store.write([], [Document("key", "a", 2, {"n": 2})])
    assert store.document("key", "a") == {"n": 2}
    store.write([], [Document("key", "a", 3, None)])
    assert store.document("key", "a") is None
    store.write([], [Document("key", "a", 4, {"n": 4})])
    assert store.document("key", "a") == {"n": 4}


def test_an_erased_session_is_gone_from_list_search_and_records(store: Store):
    """Its own words cannot be searched any more; words that others have too find the others."""
    gone, left = new_id(), new_id()
    for sid, word in ((gone, "zebra"), (left, "walrus")):
        step = event(sid, inputs={"text": f"{word} harbour"}, metrics={"good": 1})
        store.write([session_end(sid), step, update(id_of(step), sid, metadata={"k": word})])
    assert found(store, "harbour") == {gone, left}
    erased = store.erase([gone, new_id()])
    assert (erased.sessions, erased.steps) == (1, 1)
    assert store.session(gone) is None
    assert store.record(gone) is None
    assert store.events(EventQuery(session_id=gone)).events == []
    assert found(store, "zebra") == set()
    assert found(store, "harbour") == found(store, "walrus") == {left}
    assert {line.session_id for line in store.sessions(SessionQuery()).sessions} == {left}
    assert store.erase([gone]).sessions == 0
    store.write([session_end(gone)])
    assert store.session(gone) is not None, "what is recorded afterwards is stored again"


def test_the_list_has_the_first_message_by_a_user(store: Store):
    """Of the first steps in their order; a session without one has none."""
    sid, other = new_id(), new_id()
    chats = [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
             for text in ("And  now?", "Wie geht's, Zoë?")]  # fmt: skip
    store.write([event(sid, T0 + 20, event_type="model", inputs={"chat_history": chats[0]})])
    store.write([event(sid, T0 + 10, event_type="model", inputs={"chat_history": chats[1]})])
    store.write([event(other, T0)])
    assert store.previews([sid, other, new_id()]) == {sid: "Wie geht's, Zoë?"}
    assert store.previews([]) == {}


def test_the_list_has_a_first_message_that_came_as_a_log_record(store: Store):
    """It is a late update of its call; a tool's argument is not a message by a user."""
    sid = new_id()
    call = event(sid, T0, event_type="model", inputs={})
    tool = event(sid, T0 + 5, event_type="tool", inputs={"city": "Oslo"})
    parts = {"message 00 0 0": {"role": "user", "content": "And now?"}}
    store.write([call, tool, update(id_of(call), sid, gathered=parts)])
    assert store.previews([sid]) == {sid: "And now?"}
