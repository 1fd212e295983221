"""HoneyHive's API of the local server: its document's shapes, its defaults, its merge rules."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support.openapi_client import Ask, asking
from support.server_process import Served, serving

from sessiontrace.model.ids import is_uuid

T0 = 1_790_000_000_000


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
    made = ask("POST", "/v1/sessions", {})
    assert is_uuid(made["session_id"])
    assert made["event_id"] == made["session_id"]
    assert (made["event_name"], made["source"]) == ("unknown", "unknown")
    assert made["start_time"] > T0


def test_an_id_that_is_no_uuid_is_replaced(ask: Ask):
    """As the document says of session_id."""
    made = ask("POST", "/v1/sessions", {"session_id": "mine", "session_name": "n"})
    assert made["session_id"] != "mine"
    assert is_uuid(made["session_id"])
    assert made["event_name"] == "n"


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
    shown = ask("POST", "/v1/sessions", again)
    assert shown["event_name"] == "one"
    assert shown["metadata"] == {"a": 1, "b": 2}
    stored = ask("GET", f"/v1/events/{sid}")["event"]
    assert (stored["inputs"], stored["user_properties"]) == ({"q": 1}, {"user_id": "ada"})
    (one,) = [s for s in server.json("/api/sessions?q=ada")["sessions"] if s["session_id"] == sid]
    assert one["name"] == "one"


def test_an_event_has_its_defaults_and_comes_back(ask: Ask):
    """Ids are made, the parent is the session, names are "unknown"."""
    made = ask("POST", "/v1/events", {"event_type": "tool", "inputs": {"a": 1}})
    event = ask("GET", f"/v1/events/{made['event_id']}")["event"]
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
    told = ask("POST", "/v1/events", body, status=400)
    assert told["statusCode"] == 400
    assert told["success"] is False
    assert told["message"]
    assert told["errorCode"]


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
    found = ask("GET", f"/v1/events/{event['event_id']}")["event"]
    assert found["metadata"] == {"x": 1, "y": 2}
    assert found["outputs"] == {"a": 2}
    assert found["feedback"] == {"rating": 5, "note": "x"}
    assert (found["inputs"], found["event_name"]) == ({"q": 1}, "unknown")
    assert found.get("error") is None
    for wrong in ([1], "text", 7):
        ask("PUT", f"/v1/events/{event['event_id']}", {"outputs": wrong}, status=400)


def test_a_session_is_completed_by_an_update(ask: Ask, server: Served):
    """How our own exporter, and the official client, end a session."""
    sid = new()
    ask("POST", "/v1/sessions", {"session_id": sid, "start_time": T0, "session_name": "s"})
    ask("PUT", f"/v1/events/{sid}", {"end_time": T0 + 700, "outputs": {"a": 1}})
    one = server.json(f"/api/sessions/{sid}")["session"]
    assert (one["end_time"], one["duration"], one["status"]) == (T0 + 700, 700.0, "ended")


def test_enriching_a_session_before_its_first_span_is_not_lost(ask: Ask, server: Served):
    """The official client may open sessions by their first span alone, and enrich them before."""
    sid = new()
    ask("PUT", "/events", {"event_id": sid, "user_properties": {"user_id": "early"}})
    ask("POST", "/v1/sessions", {"session_id": sid, "session_name": "late"})
    assert server.json(f"/api/sessions/{sid}")["session"]["user"] == "early"


def test_events_of_a_session_take_its_id(ask: Ask, server: Served):
    """The path's id overrides the body's, on both routes."""
    sid = new()
    listed = [{"event_type": "tool", "inputs": {}, "session_id": new()} for _ in range(3)]
    assert ask("POST", f"/v1/sessions/{sid}/events/batch", {"events": listed})["success"] is True
    ask("POST", f"/session/{sid}/traces", {"logs": [{"event_name": "old"}]})
    assert server.json(f"/api/sessions/{sid}")["session"]["events"] == 4
    for wrong in ({}, {"logs": [], "events": []}):
        ask("POST", f"/session/{sid}/traces", wrong, status=400)


def test_a_batch_may_be_one_session(ask: Ask, server: Served):
    """single_session and session_properties; the old names of both work on the old route."""
    listed = [{"event_type": "tool", "inputs": {"n": n}} for n in range(3)]
    told = ask("POST", "/v1/events/batch", {"events": listed})
    assert len(set(told["event_ids"])) == 3
    body = {
        "events": listed, "single_session": True,
        "session_properties": {"session_name": "together", "start_time": T0},
    }  # fmt: skip
    told = ask("POST", "/v1/events/batch", body)
    one = server.json(f"/api/sessions/{told['session_id']}")
    assert (one["session"]["name"], one["session"]["events"]) == ("together", 3)
    body = {"events": [{}], "is_single_session": True, "session": {"session_name": "old"}}
    told = ask("POST", "/events/batch", body)
    assert server.json(f"/api/sessions/{told['session_id']}")["session"]["name"] == "old"


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
    made = ask("POST", "/session/start", {"session": {"session_id": sid, "session_name": "old"}})
    assert made["session_id"] == sid
    told = ask(
        "POST", "/events", {"event": {"event_type": "tool", "inputs": {}, "session_id": sid}}
    )
    ask("PUT", "/events", {"event_id": told["event_id"], "metrics": {"m": 1}})
    model = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}], "session_id": sid,
             "response": {"content": "yo"}, "usage": {"total_tokens": 7}}  # fmt: skip
    told = ask("POST", "/events/model", {"model_event": model})
    found = ask("GET", f"/v1/events/{told['event_id']}")["event"]
    assert found["event_type"] == "model"
    assert found["config"]["model"] == "gpt-x"
    assert found["metadata"]["total_tokens"] == 7
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
    found = ask("POST", "/v1/events/search", {"filters": filters, "limit": 100})
    assert {one["inputs"].get("n") for one in found["events"]} == expected
    assert found["count"] == len(expected)
    starts = [one["start_time"] for one in found["events"]]
    assert starts == sorted(starts, reverse=True)


def test_export_is_paged_and_projected(ask: Ask, searched: str):
    """The official client reads a session so; its date range has names of its own."""
    filters = [{"field": "session_id", "operator": "is", "value": searched, "type": "string"}]
    seen = []
    for page in (1, 2, 3, 4):
        body = {"filters": filters, "limit": 2, "page": page, "projections": ["event_name"]}
        found = ask("POST", "/v1/events/export", body)
        assert found["count"] == 7
        seen += [one["event_id"] for one in found["events"]]
        assert all(
            one.keys() == {"event_id", "session_id", "event_name"} for one in found["events"]
        )
    assert len(set(seen)) == len(seen) == 7
    span = {"$gte": "2026-09-21T14:13:20.002Z", "$lte": "2026-09-21T14:13:20.003Z"}
    found = ask("POST", "/v1/events/export", {"filters": filters, "dateRange": span})
    assert {one["inputs"]["n"] for one in found["events"]} == {2, 3}
    ask("POST", "/v1/events/search", {"limit": 100_000}, status=400)
    wrong = {"filters": [{"field": "a", "operator": "like", "value": 1}]}
    ask("POST", "/v1/events/search", wrong, status=400)


def test_an_event_that_is_not_here(ask: Ask):
    """404 in HoneyHive's form."""
    assert ask("GET", f"/v1/events/{new()}", status=404)["statusCode"] == 404
