"""HoneyHive's API of the local server: its document's shapes, its defaults, its merge rules."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from support.openapi_client import Ask, asking
from support.server_process import Served, serving

from sessiontrace.model.ids import is_uuid

T0 = 1_790_000_000_000
T31 = 1_924_992_000_000  # 2031-01-01


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("honeyhive") / "store.db") as served:
        yield served


@pytest.fixture(scope="module")
def ask(server: Served) -> Ask:
    return asking(server, "honeyhive")


def new() -> str:
    return str(uuid.uuid4())


def test_a_session_needs_nothing(ask: Ask):
    """No field is required: ids, times and names have HoneyHive's defaults."""
    session = ask("POST", "/v1/sessions", {})
    assert is_uuid(session["session_id"])
    assert session["event_id"] == session["session_id"]
    assert (session["event_name"], session["source"]) == ("unknown", "unknown")
    assert session["start_time"] > T0


def test_an_id_that_is_no_uuid_is_replaced(ask: Ask):
    """As the document says of session_id."""
    session = ask("POST", "/v1/sessions", {"session_id": "mine", "session_name": "n"})
    assert session["session_id"] != "mine"
    assert is_uuid(session["session_id"])
    assert session["event_name"] == "n"


def test_posting_a_session_twice_merges_and_keeps_the_first(ask: Ask, server: Served):
    """Only metadata and user properties are merged; all else of the second is ignored."""
    sid = new()
    first = {
        "session_id": sid, "event_name": "one", "start_time": T0, "metadata": {"a": 1, "b": 1},
        "inputs": {"q": 1},
    }  # fmt: skip
    ask("POST", "/v1/sessions", first)
    again = {
        "session_id": sid, "event_name": "two", "metadata": {"b": 2},
        "user_properties": {"user_id": "ada"}, "inputs": {"q": 2},
    }  # fmt: skip
    response = ask("POST", "/v1/sessions", again)
    assert response["event_name"] == "one"
    assert response["metadata"] == {"a": 1, "b": 2}
    stored = ask("GET", f"/v1/events/{sid}")["event"]
    assert (stored["inputs"], stored["user_properties"]) == ({"q": 1}, {"user_id": "ada"})
    sessions = server.json("/api/sessions?q=ada")["sessions"]
    (summary,) = [session for session in sessions if session["session_id"] == sid]
    assert summary["name"] == "one"


def test_an_event_has_its_defaults_and_comes_back(ask: Ask):
    """Ids are made, the parent is the session, names are "unknown"."""
    response = ask("POST", "/v1/events", {"event_type": "tool", "inputs": {"a": 1}})
    event = ask("GET", f"/v1/events/{response['event_id']}")["event"]
    assert event["parent_id"] == event["session_id"]
    assert (event["event_name"], event["source"]) == ("unknown", "unknown")
    assert event["inputs"] == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"event_type": "tool"},
        {"inputs": {}},
        {"event_type": "other", "inputs": {}},
        {"event_type": "tool", "inputs": [1]},
        [],
        "text",
    ],
)
def test_an_event_that_is_none_is_refused(ask: Ask, body: Any):
    """What the document requires is checked, and the fault told in HoneyHive's form."""
    error = ask("POST", "/v1/events", body, status=400)
    assert error["statusCode"] == 400
    assert error["success"] is False
    assert error["message"]
    assert error["errorCode"]


def test_an_update_merges_objects_and_replaces_outputs(ask: Ask):
    """The rules of PUT, on an event; what it must not change stays."""
    event = {
        "event_id": new(), "session_id": new(), "event_type": "model", "inputs": {"q": 1},
        "outputs": {"a": 1, "b": 1}, "metadata": {"x": 1}, "start_time": T0, "end_time": T0 + 50,
        "duration": 50,
    }  # fmt: skip
    ask("POST", "/v1/events", event)
    change = {
        "metadata": {"y": 2}, "outputs": {"a": 2}, "metrics": {"m": 1}, "feedback": {"rating": 5},
        "inputs": {"q": 9}, "event_name": "other", "error": "no",
    }  # fmt: skip
    ask("PUT", f"/v1/events/{event['event_id']}", change)
    ask("PUT", f"/v1/events/{event['event_id']}", {"outputs": None, "feedback": {"note": "x"}})
    record = ask("GET", f"/v1/events/{event['event_id']}")["event"]
    assert record["metadata"] == {"x": 1, "y": 2}
    assert record["outputs"] == {"a": 2}
    assert record["feedback"] == {"rating": 5, "note": "x"}
    assert (record["inputs"], record["event_name"]) == ({"q": 1}, "unknown")
    assert record.get("error") is None
    for wrong in ([1], "text", 7):
        ask("PUT", f"/v1/events/{event['event_id']}", {"outputs": wrong}, status=400)


def test_a_session_is_completed_by_an_update(ask: Ask, server: Served):
    """How our own exporter, and the official client, end a session."""
    sid = new()
    ask("POST", "/v1/sessions", {"session_id": sid, "start_time": T0, "session_name": "s"})
    ask("PUT", f"/v1/events/{sid}", {"end_time": T0 + 700, "outputs": {"a": 1}})
    summary = server.json(f"/api/sessions/{sid}")["session"]
    assert (summary["end_time"], summary["duration"]) == (T0 + 700, 700.0)
    assert summary["status"] == "ended"


def test_enriching_a_session_before_its_first_span_is_not_lost(ask: Ask, server: Served):
    """The official client may open sessions by their first span alone, and enrich them before."""
    sid = new()
    ask("PUT", "/events", {"event_id": sid, "user_properties": {"user_id": "early"}})
    ask("POST", "/v1/sessions", {"session_id": sid, "session_name": "late"})
    assert server.json(f"/api/sessions/{sid}")["session"]["user"] == "early"


def test_events_of_a_session_take_its_id(ask: Ask, server: Served):
    """The path's id overrides the body's, on both routes."""
    sid = new()
    events = [{"event_type": "tool", "inputs": {}, "session_id": new()} for _ in range(3)]
    assert ask("POST", f"/v1/sessions/{sid}/events/batch", {"events": events})["success"] is True
    ask("POST", f"/session/{sid}/traces", {"logs": [{"event_name": "old"}]})
    assert server.json(f"/api/sessions/{sid}")["session"]["events"] == 4
    for wrong in ({}, {"logs": [], "events": []}):
        ask("POST", f"/session/{sid}/traces", wrong, status=400)


def test_a_batch_may_be_one_session(ask: Ask, server: Served):
    """single_session and session_properties; the old names of both work on the old route."""
    events = [{"event_type": "tool", "inputs": {"n": n}} for n in range(3)]
    response = ask("POST", "/v1/events/batch", {"events": events})
    assert len(set(response["event_ids"])) == 3
    body = {
        "events": events, "single_session": True,
        "session_properties": {"session_name": "together", "start_time": T0},
    }  # fmt: skip
    response = ask("POST", "/v1/events/batch", body)
    summary = server.json(f"/api/sessions/{response['session_id']}")["session"]
    assert (summary["name"], summary["events"]) == ("together", 3)
    body = {"events": [{}], "is_single_session": True, "session": {"session_name": "old"}}
    response = ask("POST", "/events/batch", body)
    assert server.json(f"/api/sessions/{response['session_id']}")["session"]["name"] == "old"


def test_one_bad_event_of_a_batch_refuses_it_and_nothing_is_kept(ask: Ask, server: Served):
    """All or none: the sender bisects."""
    sid = new()
    good = {"event_type": "tool", "inputs": {}, "session_id": sid}
    ask("POST", "/v1/events/batch", {"events": [good, {"event_type": "x"}]}, status=400)
    assert server.request(f"/api/sessions/{sid}")[0] == 404


def test_the_same_event_twice_is_one(ask: Ask, server: Served):
    """DeliveryStats is at least once; the store shows each event once."""
    event = {"event_type": "tool", "inputs": {}, "event_id": new(), "session_id": new(),
             "start_time": T0, "end_time": T0 + 5, "duration": 5}  # fmt: skip
    for _ in range(3):
        ask("POST", "/v1/events/batch", {"events": [event, event]})
    assert server.json(f"/api/sessions/{event['session_id']}")["session"]["events"] == 1


def test_the_old_routes_still_work(ask: Ask):
    """The official Python client uses nothing else."""
    sid = new()
    session = ask("POST", "/session/start", {"session": {"session_id": sid, "session_name": "old"}})
    assert session["session_id"] == sid
    response = ask(
        "POST", "/events", {"event": {"event_type": "tool", "inputs": {}, "session_id": sid}}
    )
    ask("PUT", "/events", {"event_id": response["event_id"], "metrics": {"m": 1}})
    model = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}], "session_id": sid,
             "response": {"content": "yo"}, "usage": {"total_tokens": 7}}  # fmt: skip
    response = ask("POST", "/events/model", {"model_event": model})
    record = ask("GET", f"/v1/events/{response['event_id']}")["event"]
    assert record["event_type"] == "model"
    assert record["config"]["model"] == "gpt-x"
    assert record["metadata"]["total_tokens"] == 7
    ask("POST", "/events/model/batch", {"model_events": [model, model]})
    ask("PUT", "/events", {"metrics": {}}, status=400)
    ask("POST", "/session/start", {}, status=400)


@pytest.fixture(scope="module")
def searched(ask: Ask) -> str:
    sid = new()
    events = [
        {
            "event_type": "model" if n % 2 else "tool", "event_name": f"step {n}",
            "session_id": sid, "inputs": {"n": n}, "start_time": T0 + n, "end_time": T0 + n + 1,
            "metadata": {"cost": n / 10, "label": "even" if n % 2 == 0 else "odd"},
        }
        for n in range(6)
    ]  # fmt: skip
    ask("POST", "/v1/sessions", {"session_id": sid, "session_name": "searched", "start_time": T0})
    ask("POST", "/v1/events/batch", {"events": events})
    return sid


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("event_type", "is", "model", {1, 3, 5}),
        ("event_type", "is not", "model", {0, 2, 4, None}),
        ("event_name", "contains", "STEP", {0, 1, 2, 3, 4, 5}),
        ("event_name", "not contains", "step", {None}),
        ("metadata.cost", "greater than", 0.3, {4, 5}),
        ("metadata.cost", "less than", "0.2", {0, 1}),
        ("metadata.label", "exists", None, {0, 1, 2, 3, 4, 5}),
        ("metadata.label", "not exists", None, {None}),
        ("start_time", "after", T0 + 3, {4, 5}),
        ("start_time", "before", T0 + 1, {0, None}),
        ("inputs.n", "is", 3, {3}),
    ],
)
def test_each_operator_of_a_filter(ask: Ask, searched: str, field, operator, value, expected):
    """Latest start first; the session's own event is among them (None)."""
    filters = [
        {"field": "session_id", "operator": "is", "value": searched},
        {"field": field, "operator": operator, "value": value},
    ]
    response = ask("POST", "/v1/events/search", {"filters": filters, "limit": 100})
    assert {event["inputs"].get("n") for event in response["events"]} == expected
    assert response["count"] == len(expected)
    starts = [event["start_time"] for event in response["events"]]
    assert starts == sorted(starts, reverse=True)


def test_export_is_paged_and_projected(ask: Ask, searched: str):
    """The official client reads a session so; its date range has names of its own."""
    filters = [{"field": "session_id", "operator": "is", "value": searched, "type": "string"}]
    seen = []
    for page in (1, 2, 3, 4):
        body = {"filters": filters, "limit": 2, "page": page, "projections": ["event_name"]}
        response = ask("POST", "/v1/events/export", body)
        assert response["count"] == 7
        seen += [event["event_id"] for event in response["events"]]
        assert all(
            event.keys() == {"event_id", "session_id", "event_name"} for event in response["events"]
        )
    assert len(set(seen)) == len(seen) == 7
    span = {"$gte": "2026-09-21T14:13:20.002Z", "$lte": "2026-09-21T14:13:20.003Z"}
    response = ask("POST", "/v1/events/export", {"filters": filters, "dateRange": span})
    assert {event["inputs"]["n"] for event in response["events"]} == {2, 3}
    ask("POST", "/v1/events/search", {"limit": 100_000}, status=400)
    wrong = {"filters": [{"field": "a", "operator": "like", "value": 1}]}
    ask("POST", "/v1/events/search", wrong, status=400)


def test_an_event_that_is_not_here(ask: Ask):
    """404 in HoneyHive's form."""
    assert ask("GET", f"/v1/events/{new()}", status=404)["statusCode"] == 404


def test_the_schema_of_events_is_no_event(ask: Ask):
    """The path is one word longer than a list of events, and one word short of an event's id."""
    run = new()
    event = {
        "event_type": "model", "event_name": "chat", "start_time": T0,
        "inputs": {"chat_history": [{"role": "user"}]}, "outputs": {"role": "assistant"},
        "config": {"hyperparameters": {"deep": {"er": {"still": 1}}}},
        "metadata": {"run_id": run, "dataset_id": "d-7", "cost": 0.5}, "metrics": {},
    }  # fmt: skip
    ask("POST", "/v1/events", event)
    ask("POST", "/v1/events", {**event, "event_type": "tool", "inputs": {}, "config": {}})
    schema = ask("GET", f"/v1/events/schema?evaluation_id={run}")
    names = {(field["name"], field["event_type"]) for field in schema["fields"]}
    assert names == {
        ("inputs.chat_history", "model"),
        ("config.hyperparameters.deep.er", "model"),
        *(
            (name, kind)
            for kind in ("model", "tool")
            for name in ("outputs.role", "metadata.run_id", "metadata.dataset_id", "metadata.cost")
        ),
    }
    assert (schema["datasets"], schema["mappings"]) == (["d-7"], {})


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"dateRange": '{"$gte":"2031-01-01T00:00:00Z","$lte":"2031-01-02T00:00:00Z"}'}, 1),
        ({"dateRange[$gte]": str(T31), "dateRange[$lte]": str(T31 + 5)}, 1),
        ({"dateRange": '{"$gte":"2032-01-01"}'}, 0),
        ({}, 1),
    ],
)
def test_a_schema_is_bounded_by_time(ask: Ask, query: dict[str, str], count: int):
    """Texts in ISO 8601, or numbers; the object in either form that a query can have."""
    ask("POST", "/v1/events", {"event_type": "tool", "inputs": {"rare": 1}, "start_time": T31})
    schema = ask("GET", f"/v1/events/schema?{urlencode(query)}")
    names = [field["name"] for field in schema["fields"] if field["name"] == "inputs.rare"]
    assert len(names) == count


@pytest.mark.parametrize(
    "query",
    [{"dateRange": "last week"}, {"dateRange[$gte]": "soon"}, {"dateRange": '{"$lte":1e300}'}],
)
def test_a_schema_of_no_time_is_refused(ask: Ask, query: dict[str, str]):
    """With what is wrong, as every other refusal."""
    refusal = ask("GET", f"/v1/events/schema?{urlencode(query)}", status=400)
    assert refusal["message"].startswith("dateRange")
