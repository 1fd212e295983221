"""What a query finds and how a list is ordered: the same in SQLite and in ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.records import (
    T0,
    event,
    id_of,
    session_abandoned,
    session_end,
    session_start,
    update,
)

from sessiontrace.model.ids import new_id, session_uuid
from sessiontrace.store.models import ORDERS, SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import parse
from sessiontrace.store.query.terms import Pattern, Term
from sessiontrace.store.session_ids import exact_session, ids_for
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.timeout(240)  # an engine, on a machine that is busy

HOUR = 3_600_000
OWN_ID = "conv-Ada-7"


def fill(store: Store) -> dict[str, str]:
    """Six sessions, each with something that the others lack; their ids by name."""
    ids = {name: new_id() for name in ("shop", "Größe", "lost", "live", "rag")}
    ids["talk"] = session_uuid(OWN_ID)
    tags = {"tags": ["vip", "b, c"], "plan": "Enterprise", "nested": {"retries": 3}}
    shop = event(
        ids["shop"], T0 + 5, event_type="model", config={"model": "gpt-5-mini"},
        metadata={"total_tokens": 12_000, "cost": 0.25, "response_model": "gpt-5-mini-2026"},
        inputs={"question": "Where is my parcel?"},
    )  # fmt: skip
    lost = session_start(ids["lost"], T0 + 2 * HOUR, event_name="lost", source="staging")
    turn = {"event_id": new_id(), "metadata": {"session_id": OWN_ID}, "event_name": "talk"}
    again = {**turn, "event_id": new_id()}
    store.write(
        [
            session_end(
                ids["shop"], T0, 30_000, event_name="shop", metadata=tags, source="production",
                user_properties={"user_id": "ada", "team": "Red"}, error="TimeoutError: late",
            ),
            shop,
            session_end(ids["Größe"], T0 + HOUR, 50, event_name="Größe",
                        user_properties={"user_id": "ada lovelace"}),
            event(ids["Größe"], T0 + HOUR, error="KeyError: 'x'", event_name="fetch page"),
            lost,
            session_abandoned(lost, T0 + 2 * HOUR + 5),
            session_start(ids["live"], T0 + 3 * HOUR, event_name="live"),
            session_end(ids["rag"], T0 + 4 * HOUR, 2_000, event_name="rag",
                        feedback={"quality": 0.25, "comment": "dreadful"}),
            event(ids["rag"], T0 + 4 * HOUR, event_type="retriever", feedback={"helpful": True}),
            session_end(ids["talk"], T0 - 72 * HOUR, 1_000, **turn),
            session_end(ids["talk"], T0 + 5 * HOUR, 1_000, **again),
        ]
    )  # fmt: skip
    while store.index():
        pass
    return ids


def names(store: Store, query: str) -> list[str]:
    terms = parse(query, T0 + 6 * HOUR)
    return sorted(str(one.name) for one in store.sessions(SessionQuery(terms=terms)).sessions)


EVERYTHING = ["Größe", "lost", "live", "rag", "shop", "talk"]
FOUND: dict[str, Sequence[str]] = {
    "": EVERYTHING,
    "user:ada": ["shop"],
    "user:ADA*": ["shop", "Größe"],
    'user:"ada lovelace"': ["Größe"],
    "user:ada,nobody": ["shop"],
    "-user:*": ["lost", "live", "rag", "talk"],
    "user.team:red": ["shop"],
    "name:größe": ["Größe"],
    "name:GRÖ*": ["Größe"],
    "name:*o*": ["lost", "shop"],
    "source:production,staging": ["shop", "lost"],
    "tag:vip": ["shop"],
    'tag:"b, c"': ["shop"],
    "tag:b": [],
    "-tag:vip": ["Größe", "lost", "live", "rag", "talk"],
    "model:gpt-5": [],
    "model:gpt-5*": ["shop"],
    "model:*mini": ["shop"],
    "model:*-2026": ["shop"],
    "type:retriever": ["rag"],
    "type:turn": ["talk"],
    "type:model,tool": ["shop", "Größe"],
    "step:fetch*": ["Größe"],
    'step:"fetch page"': ["Größe"],
    "status:failed": ["shop"],
    "status:ended": ["Größe", "rag", "talk"],
    "status:open": ["live"],
    "status:abandoned,open": ["lost", "live"],
    "-status:failed": ["Größe", "lost", "live", "rag", "talk"],
    "error:TimeoutError,KeyError": ["shop", "Größe"],
    "errors:>0": ["Größe"],
    "score:*": ["rag"],
    "score.quality:<0.5": ["rag"],
    "score.quality:>0.5": [],
    "score:>0.5": ["rag"],
    "-score.helpful:true": ["Größe", "lost", "live", "shop", "talk"],
    "duration:>10s": ["shop", "talk"],
    "duration:1s..30s": ["rag", "shop"],
    "duration:<100ms": ["Größe", "live", "lost"],
    "tokens:>10k": ["shop"],
    "cost:>0.1": ["shop"],
    "cost:0.25": ["shop"],
    "-cost:>0.1": ["Größe", "lost", "live", "rag", "talk"],
    "steps:>=2": ["talk"],
    "metadata.plan:enterprise": ["shop"],
    "metadata.plan:ent*": ["shop"],
    "metadata.nested.retries:3": ["shop"],
    "-metadata.plan:*": ["Größe", "lost", "live", "rag", "talk"],
    "since:90min": ["talk"],
    "since:3h": ["live", "rag", "talk"],
    "before:290min": ["Größe", "shop"],
    "started:<=5h": ["Größe", "shop", "talk"],
    "parcel": ["shop"],
    '"where is" -status:ended': ["shop"],
    "-parcel since:3h": ["live", "rag", "talk"],
    "vip": ["shop"],
    "enterprise": ["shop"],
    "red": ["shop"],
    "dreadful": ["rag"],
    "quality": ["rag"],
    "gpt-5-mini": ["shop"],
    "conv-ada-7": ["talk"],
    "conv-ad": ["talk"],
    "id:conv-Ada-7": ["talk"],
    "id:conv-ada*": ["talk"],
    "id:other": [],
    "user:ada model:gpt-5* cost:>0.1 tag:vip -status:ended parcel": ["shop"],
    "user:ada tag:none": [],
    "name:%": [],
    "name:_ive": [],
    "name:l*v_": [],
}


# Several keys in one query each: an engine takes a while for every question.
TOGETHER: dict[str, Sequence[str]] = {
    "user:ADA* user.team:red tag:vip model:gpt-5*,x type:model step:look_up metadata.plan:ent*": [
        "shop"
    ],
    "source:production status:failed error:TimeoutError duration:10s..30s tokens:>10k cost:0.25": [
        "shop"
    ],
    'tag:"b, c" model:*mini metadata.nested.retries:3 steps:1 errors:0 started:<=5h parcel': [
        "shop"
    ],
    "-tag:vip -user:* -status:failed -cost:>0.1 -metadata.plan:*": ["lost", "live", "rag", "talk"],
    "score.quality:<0.5 score:* -score.helpful:false type:retriever dreadful": ["rag"],
    "name:GRÖ* errors:>0 -parcel before:290min": ["Größe"],
    "name:l*v*,los_ status:open,abandoned since:5h": ["live"],
    "type:turn since:3h until:0s conv-ad id:conv-ada*": ["talk"],
    "tag:b": [],
    "user:ada tag:none": [],
    "score.quality:>0.5": [],
}


def test_a_query_finds_the_sessions_that_it_describes(store: Store):
    """Every key, alone and with others: what a reader types must mean the same on every store."""
    ids = fill(store)
    queries = {**TOGETHER, **(FOUND if isinstance(store, SqliteStore) else {})}
    names_by_query = {query: names(store, query) for query in queries}
    assert names_by_query == {query: sorted(expected) for query, expected in queries.items()}
    for name, sid in list(ids.items())[:2]:
        assert names(store, sid) == [name], "by its id"
        assert names(store, f"id:{sid[:20].upper()}") == [name], "by the start of its id"
    among = Term("among", patterns=[Pattern(ids["shop"]), Pattern(ids["rag"]), Pattern("x")])
    both = store.sessions(SessionQuery(terms=(among,))).sessions
    assert {one.session_id for one in both} == {ids["shop"], ids["rag"]}


def test_a_conversation_that_goes_on_is_at_the_top(store: Store):
    """It began three days ago, and somebody wrote in it a moment ago."""
    fill(store)
    session_names = [session.name for session in store.sessions(SessionQuery()).sessions]
    assert session_names == ["talk", "rag", "live", "lost", "Größe", "shop"]
    recent = SessionQuery(since=T0 + 5 * HOUR)
    assert [one.name for one in store.sessions(recent).sessions] == ["talk"]
    chart = store.histogram(SessionQuery(since=T0))
    assert chart is not None
    assert sum(chart.sessions) == 6


def test_a_step_after_the_end_is_activity_too(store: Store):
    """A job goes on in the background when the request is over; its session moves up."""
    early, late = new_id(), new_id()
    store.write([session_end(early, T0), session_end(late, T0 + 5_000)])
    store.write([event(early, T0 + 2_000, took=3 * HOUR)])
    first = store.sessions(SessionQuery()).sessions[0]
    assert (first.session_id, first.last_active) == (early, T0 + 2_000 + 3 * HOUR)


@pytest.mark.parametrize("ascending", [False, True])
def test_pages_of_every_order_meet_without_gap_or_repetition(store: Store, ascending: bool):
    """Many sessions have no user, no cost and one duration: their ids order them."""
    fill(store)
    some = ("name", "cost", "score") if ascending else ("active", "status", "errors")
    for order in ORDERS if isinstance(store, SqliteStore) else some:
        whole = [
            one.session_id
            for one in store.sessions(SessionQuery(order=order, ascending=ascending)).sessions
        ]
        assert len(set(whole)) == 6, order
        paged: list[str] = []
        after = None
        while True:
            query = SessionQuery(order=order, ascending=ascending, limit=2, after=after)
            page = store.sessions(query)
            paged += [one.session_id for one in page.sessions]
            if (after := page.next) is None:
                break
        assert paged == whole, order


def test_orders_go_by_what_their_column_shows(store: Store):
    """The dearest, the longest, and the worst rated session first."""
    fill(store)

    def first(order: str, **how: bool) -> str | None:
        return store.sessions(SessionQuery(order=order, limit=1, **how)).sessions[0].name

    assert [first(order) for order in ("cost", "tokens", "duration", "errors", "score")] == [
        "shop", "shop", "talk", "Größe", "rag",
    ]  # fmt: skip
    assert first("started", ascending=True) == "talk"
    assert first("user") == "Größe"
    assert first("status", ascending=True) == "lost"


def test_a_late_update_changes_what_filters_find(store: Store):
    """A score comes next day, a cost is corrected, a session is renamed."""
    ids = fill(store)
    step = event(ids["live"], T0 + 3 * HOUR, event_type="model", metadata={"total_tokens": 5})
    store.write([step])
    store.write(
        [
            update(id_of(step), ids["live"], metadata={"cost": 2.0}, feedback={"quality": 1}),
            update(ids["rag"], ids["rag"], event_name="renamed", metadata={"tags": ["late"]}),
        ]
    )
    assert names(store, "cost:>1") == ["live"]
    assert names(store, "score.quality:1") == ["live"]
    assert names(store, "name:rag") == []
    assert names(store, "name:renamed") == names(store, "tag:late") == ["renamed"]


def test_values_of_keys_are_counted_for_completion(store: Store):
    """The search field offers what there is, not what one has to know."""
    fill(store)
    values = store.filter_values()
    assert values["user"] == {"ada": 1, "ada lovelace": 1}
    assert values["tag"] == {"vip": 1, "b, c": 1}
    assert values["metadata.plan"] == {"enterprise": 1}
    assert values["type"]["tool"] == 1
    assert set(values["score"]) == {"quality", "helpful"}
    assert "metadata.total_tokens" not in values


def test_the_applications_own_id_leads_to_its_session(store: Store):
    """It is the id in the reader's own log."""
    ids = fill(store)
    for text in (OWN_ID, ids["talk"], ids["talk"].upper()):
        stored = exact_session(store, text)
        assert stored is not None
        assert stored.summary.session_id == ids["talk"]
    assert exact_session(store, "conv-Ada") is None
    assert ids_for(store, "conv-Ada") == [ids["talk"]]
    assert ids_for(store, ids["shop"][:15]) != []
    assert ids_for(store, "") == ()


def test_a_filter_that_nothing_could_close_is_a_value(store: Store):
    """Quotes, stars, brackets and SQL in a value are looked for, and run nothing."""
    fill(store)
    hostile = ("' OR 1=1 --", "{project:String}", "\\", "%", "_", "a\nb", "[a-z]")
    for key in ("user", "tag", "metadata.x", "name", "id"):
        values = ",".join(f'"{value.replace(chr(92), chr(92) * 2)}"' for value in hostile)
        assert names(store, f"{key}:{values}") == []
