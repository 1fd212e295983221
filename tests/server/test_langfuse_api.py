"""Langfuse's API: scores of its SDKs, and the ingestion of earlier ones and of REST.

``tests/producers`` has programs with the real packages; here are the orders, refusals and
credentials that they do not reach.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.otlp_requests import new_trace, request, span
from support.server_process import Served, serving

TOKEN = "t" * 32
BASIC = {"Authorization": "Basic " + base64.b64encode(f"pk-any:{TOKEN}".encode()).decode()}
EARLIER = "2026-11-01T09:59:59.000Z"
START, END = "2026-11-01T10:00:00.000Z", "2026-11-01T10:00:02.500Z"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("langfuse")
    with serving(place / "store.db", SESSIONTRACE_SERVE_TOKEN=TOKEN) as served:
        yield served


def send(
    server: Served, path: str, body: Any, headers: Mapping[str, str] = BASIC
) -> tuple[int, Any]:
    raw = json.dumps(body).encode()
    status, _, reply = server.request(path, "POST", raw, Content_Type="application/json", **headers)
    return status, json.loads(reply)


def read(server: Served, path: str) -> Any:
    status, _, reply = server.request(path, **BASIC)
    assert status == 200, reply
    return json.loads(reply)


def session_of(server: Served, session_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    detail = read(server, f"/api/sessions/{session_id}")
    ids = [event["event_id"] for event in detail["events"]]
    return detail, [read(server, f"/api/events/{event_id}") for event_id in ids]


def scores(server: Served, *bodies: dict[str, Any]) -> Any:
    status, reply = send(server, "/api/public/scores", list(bodies))
    assert status == 202, reply
    return reply


def spans(server: Served, *steps: dict[str, Any]) -> None:
    assert send(server, "/api/public/otel/v1/traces", request(*steps))[0] == 200


def ingest(server: Served, *events: tuple[str, Any]) -> Any:
    batch = [
        {"id": f"e{n}", "type": kind, "timestamp": START, "body": body}
        for n, (kind, body) in enumerate(events)
    ]
    status, reply = send(server, "/api/public/ingestion", {"batch": batch})
    assert status == 207
    return reply


def test_the_secret_key_is_the_server_s_token(server: Served) -> None:
    """Langfuse's clients send public and secret key as user and password."""
    assert read(server, "/api/public/projects")["data"][0]["id"] == "default"
    wrong = {"Authorization": "Basic " + base64.b64encode(b"pk-any:sk-wrong").decode()}
    for headers in (wrong, {"Authorization": "Basic !"}, {}):
        assert send(server, "/api/public/scores", [], headers)[0] == 401


@pytest.mark.parametrize("is_early", [True, False], ids=["before its spans", "after its spans"])
def test_a_score_of_a_trace_rates_its_session(server: Served, is_early: bool) -> None:
    """Langfuse sends scores every second and spans every five."""
    trace, session_id = new_trace()
    parts = [
        lambda: spans(server, span("agent", trace)),
        lambda: scores(server, {"name": "accuracy", "value": 0.9, "traceId": trace}),
    ]
    for part in reversed(parts) if is_early else parts:
        part()
    detail, _ = session_of(server, session_id)
    assert detail["session"]["scores"] == {"accuracy": 0.9}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_scores_of_two_traces_of_a_session_rate_their_roots(
    server: Served, order: tuple[int, ...]
) -> None:
    """A conversation's answers are rated one by one; a later span may name their session."""
    (first, _), (second, _) = new_trace(), new_trace()
    own = secrets.token_hex(4)
    named = {"session.id": own}
    parts = [
        lambda: spans(server, span("a", first, attributes=named), span("b", second)),
        lambda: scores(
            server,
            {"id": "1", "name": "ok", "value": 1, "dataType": "BOOLEAN", "traceId": first},
            {"id": "2", "name": "ok", "value": 0, "dataType": "BOOLEAN", "traceId": second},
        ),
        lambda: spans(server, span("c", second, "f" * 16, attributes=named)),
    ]
    for number in order:
        parts[number]()
    detail, events = session_of(server, own)
    by_name = {event["event_name"]: event.get("metrics") for event in events}
    assert by_name == {"a": {"ok": True}, "b": {"ok": False}, "c": None}
    assert detail["session"]["scores"] == {"ok": 0.5}


def test_a_score_sent_again_replaces_the_first_one(server: Served) -> None:
    """By its id and time, as in Langfuse."""
    trace, session_id = new_trace()
    score = {"id": "s", "name": "ok", "traceId": trace, "timestamp": START}
    scores(server, {**score, "value": 0.1})
    scores(server, {**score, "value": 0.7})
    spans(server, span("agent", trace))
    assert session_of(server, session_id)[0]["session"]["scores"] == {"ok": 0.7}


def test_scores_of_observations_and_sessions(server: Served) -> None:
    """A label is feedback, a number a metric; the comment is beside it."""
    trace, _ = new_trace()
    step = span("agent", trace, attributes={"session.id": (own := secrets.token_hex(4))})
    spans(server, step)
    scores(
        server,
        {"name": "mood", "value": "happy", "traceId": trace, "observationId": step["spanId"],
         "comment": "smiles"},
        {"name": "latency", "value": 3, "sessionId": own},
        {"name": "ok", "value": 1, "sessionId": own, "dataType": "BOOLEAN"},
    )  # fmt: skip
    detail, (event,) = session_of(server, own)
    assert event["feedback"] == {"mood": "happy"}
    assert event["metadata"]["evaluation.mood"] == {"explanation": "smiles"}
    assert detail["record"]["metrics"] == {"ok": True}
    assert detail["record"]["feedback"] == {"latency": 3}


def test_a_score_that_cannot_be_stored_costs_no_other_one(server: Served) -> None:
    """The SDK logs the reasons; the other scores of the batch are stored."""
    trace, session_id = new_trace()
    spans(server, span("agent", trace))
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    bad = [
        {"name": "x", "value": 1}, {"value": 1, "traceId": trace}, 7, None,
        {"name": "x", "value": None, "traceId": trace}, {"name": "x", "value": 1, "traceId": 5},
        {"name": "x", "value": [1], "traceId": trace}, {"name": "x" * 600, "value": 1},
        {"name": "x", "value": 1, "datasetRunId": "run"},
        {"name": "x", "value": 1, "traceId": trace, "metadata": deep},
    ]  # fmt: skip
    good = {"name": "good", "value": 1, "traceId": trace}
    status, reply = send(server, "/api/public/scores", [*bad, good])
    assert status == 207
    assert (reply["accepted"], reply["rejected"]) == (1, len(bad))
    assert all(error["message"] for error in reply["errors"])
    assert session_of(server, session_id)[0]["session"]["scores"] == {"good": 1}
    status, reply = send(server, "/api/public/scores", bad[0])
    assert (status, "names no trace" in reply["message"]) == (400, True)
    assert send(server, "/api/public/scores", {**good, "id": "own"})[1] == {"id": "own"}


def test_an_observation_is_one_event_whenever_its_parts_come(server: Served) -> None:
    """Its end may be in another request than its start, and even before it."""
    trace, own = str(uuid.uuid4()), secrets.token_hex(4)
    start = {"id": "g-1", "traceId": trace, "startTime": START, "name": "answer", "model": "gpt-4o",
             "input": [{"role": "user", "content": "Hi"}]}  # fmt: skip
    end = {"id": "g-1", "traceId": trace, "endTime": END, "output": "Hello", "usage": {"input": 3}}
    usage = {"totalCost": 0.5, "output": 4, "unit": "TOKENS"}
    for part in (
        ("generation-update", {**end, "usage": {**end["usage"], **usage}}),
        ("generation-create", start),
        ("trace-create", {"id": trace, "name": "chat", "sessionId": own, "userId": "ada",
                          "timestamp": EARLIER}),
        ("trace-create", {"id": trace, "output": "Hello"}),
    ):  # fmt: skip
        assert ingest(server, part)["errors"] == []
    detail, events = session_of(server, own)
    answer, root = sorted(events, key=lambda event: event["event_type"] != "model")
    assert (detail["session"]["name"], detail["session"]["user"]) == ("chat", "ada")
    assert (detail["session"]["tokens"], detail["session"]["cost"]) == (7, 0.5)
    assert (root["outputs"], answer["parent_id"]) == ({"result": "Hello"}, root["event_id"])
    assert answer["inputs"]["chat_history"] == [{"role": "user", "content": "Hi"}]
    assert answer["outputs"]["content"] == "Hello"
    assert {event["duration"] for event in detail["events"]} == {1000, 2500}
    assert detail["session"]["duration"] == 3500


def test_ingestion_says_which_events_it_does_not_take(server: Served) -> None:
    """Nothing else of the batch is lost."""
    trace = str(uuid.uuid4())
    reply = ingest(
        server,
        ("trace-create", {"id": trace}), ("span-create", {"id": "s"}), ("no-such", {}),
        ("span-create", None), ("score-create", {"name": "x", "value": 1}), ("sdk-log", {}),
        ("span-create", {"id": 5, "traceId": trace}),
        ("event-create", {"id": "e", "traceId": trace}),
    )  # fmt: skip
    assert {entry["id"] for entry in reply["successes"]} == {"e0", "e5", "e7"}
    assert {entry["id"] for entry in reply["errors"]} == {"e1", "e2", "e3", "e4", "e6"}
    assert {event["event_name"] for event in session_of(server, trace)[1]} >= {"event"}
    assert send(server, "/api/public/ingestion", {"batch": 5})[0] == 400
    assert send(server, "/api/public/ingestion", [])[0] == 400


def test_scores_are_read_back_as_they_were_given(server: Served) -> None:
    """With their ids, times and comments, in the forms of the three versions of the API."""
    trace, _ = new_trace()
    own = secrets.token_hex(4)
    step = span("agent", trace, attributes={"session.id": own, "user.id": own})
    spans(server, step)
    scores(
        server,
        {"id": f"{own}-a", "name": "mood", "value": "happy", "traceId": trace, "comment": "smiles",
         "observationId": step["spanId"], "timestamp": START, "metadata": {"by": "ada"}},
        {"id": f"{own}-b", "name": "latency", "value": 3, "sessionId": own, "timestamp": END},
        {"id": f"{own}-c", "name": "ok", "value": 1, "dataType": "BOOLEAN", "traceId": trace,
         "timestamp": EARLIER},
    )  # fmt: skip
    reply = read(server, f"/api/public/scores?userId={own}")
    assert reply["meta"] == {"page": 1, "limit": 50, "totalItems": 3, "totalPages": 1}
    latency, mood, ok = reply["data"]
    assert (latency["id"], latency["value"], latency["dataType"]) == (f"{own}-b", 3, "NUMERIC")
    assert (latency["sessionId"], latency["traceId"], latency["timestamp"]) == (own, None, END)
    assert (mood["stringValue"], mood["comment"], mood["dataType"]) == (
        "happy", "smiles", "CATEGORICAL",
    )  # fmt: skip
    assert (mood["traceId"], mood["observationId"]) == (trace, step["spanId"])
    assert (ok["value"], ok["stringValue"], ok["observationId"]) == (1, "True", None)
    assert mood["trace"]["userId"] == own
    assert read(server, f"/api/public/scores/{own}-a") == mood
    assert read(server, f"/api/public/v2/scores?traceId={trace}&name=ok,mood")["data"] == [mood, ok]
    third = read(server, f"/api/public/v3/scores?traceId={trace}&fields=subject,details&id={own}-a")
    assert third["data"][0]["metadata"] == {"by": "ada"}
    subject = {"kind": "observation", "id": step["spanId"], "traceId": trace}
    assert (third["data"][0]["subject"], third["data"][0]["value"]) == (subject, "happy")
    assert third["meta"] == {"limit": 50}


def test_scores_are_listed_page_by_page_until_the_last(server: Served) -> None:
    """Each once, by page number and by cursor; a trace that is a session is rated as a trace."""
    name = secrets.token_hex(4)
    traces = [new_trace()[0] for _ in range(5)]
    for number, trace in enumerate(traces):
        spans(server, span("agent", trace))
        scores(server, {"name": name, "value": number / 4, "traceId": trace})
    seen: list[float] = []
    cursor = ""
    while cursor is not None:
        query = f"limit=2&name={name}&cursor={cursor}&fields=subject"
        page = read(server, f"/api/public/v3/scores?{query}")
        seen += [score["value"] for score in page["data"]]
        assert {score["subject"]["kind"] for score in page["data"]} <= {"trace"}
        cursor = page["meta"].get("cursor")
    assert sorted(seen) == [0, 0.25, 0.5, 0.75, 1]
    pages = [read(server, f"/api/public/scores?limit=2&name={name}&page={n}") for n in (1, 2, 3, 4)]
    assert [len(page["data"]) for page in pages] == [2, 2, 1, 0]
    assert pages[2]["meta"]["totalItems"] == 5
    above = read(server, f"/api/public/scores?name={name}&operator=%3E&value=0.5")["data"]
    assert sorted(score["value"] for score in above) == [0.75, 1]
    between = read(server, f"/api/public/v3/scores?name={name}&valueMin=0.5&valueMax=0.75")["data"]
    assert sorted(score["value"] for score in between) == [0.5, 0.75]
    assert read(server, f"/api/public/scores?name={name}&queueId=any")["data"] == []


def test_a_question_for_scores_that_cannot_be_understood_says_why(server: Served) -> None:
    """In Langfuse's form; and no other status than its clients know."""
    for query in ("limit=0", "limit=x", "page=-1", "fromTimestamp=soon", "cursor=!", "cursor=e30=",
                  "fields=all", "valueMin=a"):  # fmt: skip
        path = "v3/scores" if query.startswith(("cursor", "fields", "valueMin")) else "scores"
        status, _, reply = server.request(f"/api/public/{path}?{query}", **BASIC)
        assert (status, json.loads(reply)["error"]) == (400, "InvalidRequestError"), query
    status, _, reply = server.request("/api/public/scores/none-such", **BASIC)
    assert (status, json.loads(reply)["error"]) == (404, "LangfuseNotFoundError")
