"""PostHog's API of the local server: ingestion in its forms, and what it tells of sessions."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.openapi_client import Ask, asking
from support.records import T0, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

JSON = {"Content_Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("posthog") / "store.db") as served:
        yield served


@pytest.fixture(scope="module")
def ask(server: Served) -> Ask:
    return asking(server)


def event(name: str = "$ai_span", **properties: Any) -> dict[str, Any]:
    return {
        "event": name, "distinct_id": "ada", "uuid": str(uuid.uuid4()),
        "timestamp": "2026-09-21T14:13:20+00:00", "properties": properties,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/batch/", "/batch", "/capture/", "/i/v0/e/", "/e", "/track/"])
@pytest.mark.parametrize("form", ["batch", "array", "one"])
@pytest.mark.parametrize("packed", ["plain", "gzip", "unnamed gzip", "base64"])
def test_every_form_is_taken_everywhere(server: Served, path: str, form: str, packed: str):
    """One handler, as PostHog's: batch, array or one event; packed in any way, said or not."""
    sid = new_id()
    one = event(**{"$ai_trace_id": sid, "$ai_span_id": new_id(), "$ai_span_name": "step"})
    given: Any = {"batch": {"api_key": "phc_x", "batch": [one]}, "array": [one], "one": one}[form]
    body = json.dumps(given).encode()
    headers = dict(JSON)
    query = ""
    if packed == "gzip":
        body, headers["Content_Encoding"] = gzip.compress(body), "gzip"
    elif packed == "unnamed gzip":
        body = gzip.compress(body)
    elif packed == "base64":
        body, query = base64.b64encode(body), "?compression=base64"
    status, _, answered = server.request(path + query, "POST", body, **headers)
    assert (status, json.loads(answered)) == (200, {"status": "Ok"})
    (step,) = server.json(f"/api/sessions/{sid}")["events"]
    assert step["name"] == "step"


def test_ai_events_become_a_session_with_a_tree(ask: Ask, server: Served):
    """Trace, generation, span and metric; the second delivery changes nothing."""
    sid, call, tool = new_id(), new_id(), new_id()
    shared = {"$ai_trace_id": sid, "$ai_session_id": sid}
    batch = [
        event("$ai_generation", **shared, **{
            "$ai_span_id": call, "$ai_span_name": "think", "$ai_model": "gpt-x",
            "$ai_input": [{"role": "user", "content": "hi"}], "$ai_input_tokens": 3,
            "$ai_output_choices": [{"role": "assistant", "content": "yo"}],
            "$ai_output_tokens": 1, "$ai_latency": 0.25, "$ai_total_cost_usd": 0.5,
        }),
        event("$ai_span", **shared, **{
            "$ai_span_id": tool, "$ai_parent_id": call, "$ai_span_type": "tool",
            "$ai_span_name": "look_up", "$ai_input_state": {"w": 1}, "$ai_output_state": "x",
            "$ai_is_error": True, "$ai_error": "TimeoutError: no",
        }),
        event("$ai_trace", **shared, **{
            "$ai_span_name": "chat", "$ai_latency": 2.0, "$set": {"plan": "pro"},
        }),
        event("$ai_metric", **shared, **{
            "$ai_span_id": call, "$ai_metric_name": "ok", "$ai_metric_value": "1",
        }),
        event("$ai_feedback", **shared, **{"$ai_feedback_text": "nice"}),
    ]  # fmt: skip
    for _ in range(2):
        ask("POST", "/i/v0/ai/batch/", {"api_key": "phc_x", "batch": batch})
    shown = server.json(f"/api/sessions/{sid}")
    one = shown["session"]
    assert (one["name"], one["user"], one["duration"], one["status"]) == (
        "chat", "ada", 2000.0, "ended",
    )  # fmt: skip
    assert (one["events"], one["errors"], one["tokens"], one["cost"]) == (2, 1, 4, 0.5)
    parents = {step["event_id"]: step["parent_id"] for step in shown["events"]}
    assert parents == {call: sid, tool: call}
    assert shown["record"]["user_properties"]["plan"] == "pro"
    assert shown["record"]["feedback"] == {"feedback": "nice"}
    model = server.json(f"/api/events/{call}")
    assert model["metrics"] == {"ok": 1}
    assert model["inputs"]["chat_history"] == [{"role": "user", "content": "hi"}]
    assert model["outputs"] == {"role": "assistant", "content": "yo"}
    assert server.json(f"/api/events/{tool}")["error"] == "TimeoutError: no"


def test_several_traces_may_be_one_session(ask: Ask, server: Served):
    """$ai_session_id groups them; each trace is a step, and their ids need not be UUIDs."""
    name = f"chat-{new_id()}"
    batch = []
    for trace in ("t1", "t2"):
        shared = {"$ai_trace_id": trace, "$ai_session_id": name}
        batch.append(event("$ai_trace", **shared, **{"$ai_span_name": trace, "$ai_latency": 1}))
        batch.append(event("$ai_span", **shared, **{
            "$ai_span_id": f"{trace}-s", "$ai_parent_id": trace, "$ai_span_name": f"in {trace}",
        }))  # fmt: skip
    ask("POST", "/batch/", {"batch": batch})
    (found,) = [s for s in server.json("/api/sessions?limit=500")["sessions"]
                if server.json(f"/api/sessions/{s['session_id']}")["record"].get("metadata")
                == {"session_id": name}]  # fmt: skip
    shown = server.json(f"/api/sessions/{found['session_id']}")
    by_name = {step["name"]: step for step in shown["events"]}
    assert by_name["in t1"]["parent_id"] == by_name["t1"]["event_id"]
    assert by_name["t2"]["parent_id"] == found["session_id"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "request missing data payload"),
        (b"{", "failed to parse request"),
        (b"[]", "request holds no event"),
        (b'{"batch": []}', "request holds no event"),
        (b'[{"event": ""}]', "event submitted with an empty event name"),
        (b'[{"event": "e"}]', "event submitted without a distinct_id"),
        (b'[{"event": "e", "distinct_id": "a", "uuid": "no"}]', "failed to parse request"),
        (b"7", "failed to parse request"),
        (b"\x1f\x8bgarbage", "gzip"),
    ],
)
def test_one_malformed_event_refuses_the_batch(server: Served, body: bytes, told: str):
    """As PostHog's capture does, in plain text."""
    status, headers, answered = server.request("/batch/", "POST", body, **JSON)
    assert status == 400
    assert headers["content-type"].startswith("text/plain")
    assert told in answered.decode()


def test_the_ai_route_takes_ai_events_only(ask: Ask):
    """A capture-ai deployment refuses whole batches that mix."""
    ask("POST", "/i/v0/ai/batch/", {"batch": [event("click")]}, status=400)


def test_a_wrong_clock_is_set_right_by_sent_at(ask: Ask, server: Served):
    """timestamp minus sent_at, added to now: the sender's clock was an hour slow."""
    sid = new_id()
    now = datetime.now(timezone.utc)
    one = event("click", **{"$session_id": sid})
    one["timestamp"] = (now - timedelta(hours=1, seconds=10)).isoformat()
    ask("POST", "/batch/", {"batch": [one], "sent_at": (now - timedelta(hours=1)).isoformat()})
    start = server.json(f"/api/sessions/{sid}")["session"]["start_time"]
    assert abs(start / 1000 - (now.timestamp() - 10)) < 5


def test_capture_v1_answers_for_each_event(ask: Ask):
    """The SDK's newer mode."""
    one = {**event("click"), "session_id": new_id()}
    told = ask("POST", "/i/v1/analytics/events", {"batch": [one]}, Authorization="Bearer phc_x")
    assert told == {"results": {one["uuid"]: {"result": "ok"}}}


# -- the two routes about sessions ----------------------------------------------------------

PROJECT = "/api/projects/1/sessions"


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    db = tmp_path_factory.mktemp("properties") / "store.db"
    many = [
        session_end(
            new_id(), T0 + n, event_name=f"name {n % 25}", source="web" if n % 3 else "app",
            user_properties={"user_id": f"u{n}", "$entry_utm_source": "ads" if n % 2 else "mail",
                             "plain": "x"},
            **({"error": "ValueError: no"} if n == 0 else {}),
        )
        for n in range(60)
    ]  # fmt: skip
    odd = [session_end(new_id(), T0, event_name=name) for name in ("1e5", '[1,["a"]]', "null")]
    write(db, *many, *odd)
    with serving(db) as served:
        yield asking(served)


def test_definitions_list_what_sessions_have(sessions: Ask):
    """Names, types and keys as PostHog's, in their order."""
    found = sessions("GET", f"{PROJECT}/property_definitions/")
    types = {one["name"]: one["property_type"] for one in found["results"]}
    assert types == {
        "$start_timestamp": "DateTime", "$end_timestamp": "DateTime",
        "$entry_utm_source": "String", "name": "String", "source": "String", "user": "String",
        "error_type": "String", "$session_duration": "Duration",
    }  # fmt: skip
    assert found["count"] == 8
    assert list(found["results"][0]) == [
        "id", "name", "is_numerical", "property_type", "is_seen_on_filtered_events", "tags",
    ]  # fmt: skip


@pytest.mark.parametrize("path", [
    PROJECT, "/api/projects/@current/sessions", "/api/environments/7/sessions",
])  # fmt: skip
@pytest.mark.parametrize("end", ["", "/"])
def test_both_scopes_answer_with_and_without_a_slash(sessions: Ask, path: str, end: str):
    """PostHog's own frontend calls all of them."""
    assert sessions("GET", f"{path}/property_definitions{end}")["count"] == 8
    assert sessions("GET", f"{path}/values{end}?key=source")["results"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=timestamp", {"$start_timestamp", "$end_timestamp"}),
        ("search=END%20time", {"$end_timestamp"}),
        ("search=doesnotexist", set()),
        ("is_numerical=TRUE", {"$session_duration"}),
        ("is_numerical=true&search=name", set()),
        ("is_numerical=no&search=name", {"name"}),
    ],
)
def test_definitions_are_searched_by_words(sessions: Ask, query: str, expected: set[str]):
    """All words must be in the name."""
    found = sessions("GET", f"{PROJECT}/property_definitions/?{query}")
    assert {one["name"] for one in found["results"]} == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("key=source", ["web", "app", "tests"]),
        ("key=%24entry_utm_source", ["ads", "mail"]),
        ("key=error_type", ["ValueError"]),
        ("key=source&value=WE", ["web"]),
        ("key=source&value=_pp", ["app"]),
        ("key=source&value=%25", ["web", "app", "tests"]),
        ("key=source&value=", ["web", "app", "tests"]),
        ("key=session_duration", []),
        ("key=%24session_duration", []),
        ("key=%24start_timestamp", []),
        ("key=session_id", []),
        ("key=plain", []),
        ("key=name&value=1e5", ["100000.0"]),
        ("key=name&value=null", ["None"]),
        ("key=name&value=%5B1", ["1", "a"]),
    ],
)
def test_values_are_the_commonest_first(sessions: Ask, query: str, expected: list[str]):
    """Texts only; numbers, dates and unknown keys are empty, as in the service."""
    found = sessions("GET", f"{PROJECT}/values/?{query}")
    assert [one["name"] for one in found["results"]] == expected
    assert found["refreshing"] is False


def test_at_most_twenty_values(sessions: Ask):
    """PostHog's limit."""
    assert len(sessions("GET", f"{PROJECT}/values/?key=user")["results"]) == 20


def test_a_missing_key_is_told_as_posthog_tells_it(sessions: Ask):
    """To the letter: clients branch on it."""
    for query in ("", "?key="):
        assert sessions("GET", f"{PROJECT}/values/{query}", status=400) == {
            "type": "validation_error", "code": "invalid_input", "detail": "Key not provided",
            "attr": None,
        }  # fmt: skip


def test_an_empty_store_has_no_properties(ask: Ask, tmp_path: Any):
    """Nothing is listed that no session has."""
    with serving(tmp_path / "store.db") as served:
        found = asking(served)("GET", f"{PROJECT}/property_definitions/")
        assert found == {"count": 0, "results": []}
