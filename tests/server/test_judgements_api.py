"""Judging over the page's API, and the sessions as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.records import T0, event, id_of, session_end, update, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

LINES = "/api/sessions.jsonl"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served") / "store.db") as served:
        yield served


def post(server: Served, body: Any, path: str = "/api/judgements") -> tuple[int, dict[str, Any]]:
    status, _, answer = server.request(
        path, "POST", json.dumps(body).encode(), content_type="application/json"
    )
    return status, json.loads(answer)


def stored(server: Served, **session: Any) -> tuple[str, str]:
    """A new session with one step: their ids."""
    sid = new_id()
    step = event(sid, T0)
    write(Path(server.json("/api/about")["store"]), session_end(sid, **session), step)
    return sid, id_of(step)


def judgements(server: Served, session_id: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = server.json(f"/api/sessions/{session_id}/judgements")[
        "judgements"
    ]
    return answer


def test_who_judged_what_and_when_is_kept(server: Served):
    """A score, its change, a comment that is edited, a label and a review."""
    sid, step = stored(server)
    score = {"event_id": step, "kind": "score", "name": "quality", "author": "ada"}
    assert post(server, {**score, "value": 0.25, "comment": "vague"})[0] == 200
    assert post(server, {**score, "value": 0.75, "author": "bob"})[0] == 200
    _, comment = post(server, {"event_id": sid, "kind": "comment", "value": "look here"})
    edited = {"event_id": sid, "kind": "comment", "name": comment["name"], "value": "look there"}
    assert post(server, edited)[0] == 200
    label = {"event_id": step, "kind": "label", "name": " wrong ", "value": True}
    assert post(server, label)[0] == 200
    review = {"event_id": sid, "kind": "review", "value": True, "author": "ada"}
    assert post(server, review)[0] == 200
    kept = [(each["kind"], each["name"], each["value"], each["author"])
            for each in judgements(server, sid)]  # fmt: skip
    name = comment["name"]
    assert sorted(kept, key=str) == sorted([
        ("comment", name, "look here", None), ("comment", name, "look there", None),
        ("review", "reviewed", True, "ada"), ("score", "quality", 0.25, "ada"),
        ("score", "quality", 0.75, "bob"), ("label", "wrong", True, None),
    ], key=str)  # fmt: skip
    summary = server.json(f"/api/sessions/{sid}")["session"]
    assert (summary["scores"], summary["labels"], summary["reviewed"]) == (
        {"quality": 0.75}, ["wrong"], "ada",
    )  # fmt: skip


def test_scores_of_vendors_clients_are_judgements_with_a_history(server: Served):
    """Each sender gives a score and changes it; all of it is in one list, in one form."""
    sid, step = stored(server)

    def ask(method: str, path: str, body: Any) -> None:
        status, _, answer = server.request(
            path, method, json.dumps(body).encode(), content_type="application/json"
        )
        assert status < 300, answer

    def evaluation(value: float) -> dict[str, Any]:
        attributes = [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "otel"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": value}},
            {"key": "gen_ai.evaluation.explanation", "value": {"stringValue": f"was {value}"}},
            {"key": "session.id", "value": {"stringValue": sid}},
        ]
        log = {"eventName": "gen_ai.evaluation.result", "attributes": attributes,
               "timeUnixNano": str(T0 * 10**6)}  # fmt: skip
        return {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}

    for value in (0.25, 0.75):
        score = {"name": "langfuse", "value": value, "sessionId": sid, "comment": f"was {value}",
                 "source": "ANNOTATION"}  # fmt: skip
        ask("POST", "/api/public/scores", score)
        ask("POST", "/v1/logs", evaluation(value))
        ask("PUT", f"/v1/events/{step}", {"feedback": {"honeyhive": value}})
        metric = {"$ai_session_id": sid, "$ai_trace_id": sid, "$ai_span_id": step,
                  "$ai_metric_name": "posthog", "$ai_metric_value": str(value)}  # fmt: skip
        event_of = {"event": "$ai_metric", "distinct_id": "ada", "properties": metric}
        ask("POST", "/batch/", {"api_key": "phc_x", "batch": [event_of]})
        feedback = {"data_id": f"data_{step}", "type": "humanloop", "value": str(value)}
        ask("POST", "/v4/feedback", feedback)
        write(
            Path(server.json("/api/about")["store"]),
            update(step, sid, metrics={"sdk": value}, feedback={"sdk_comment": f"was {value}"}),
        )
    by_name: dict[str, list[Any]] = {}
    for judged in judgements(server, sid):
        by_name.setdefault(judged["name"], []).append(judged["value"])
        assert (judged["kind"], judged["source"]) == ("score", "update"), judged
        if judged["name"] in ("langfuse", "otel", "sdk"):
            assert judged["comment"] == f"was {judged['value']}"
    pair = [0.25, 0.75]
    assert by_name == {**dict.fromkeys(["langfuse", "otel", "honeyhive", "posthog", "sdk"], pair),
                       "humanloop": ["0.25", "0.75"]}  # fmt: skip
    scores = server.json(f"/api/sessions/{sid}")["session"]["scores"]
    assert scores == dict.fromkeys(["honeyhive", "langfuse", "otel", "posthog", "sdk"], 0.75)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"kind": "mark"}, 400, "kind must be one of score, label, comment, review"),
        ({"event_id": 7}, 400, "event_id must be the id of a session or of a step"),
        ({"event_id": "nowhere"}, 404, "not in this store"),
        ({"name": ""}, 400, "name must be the name of the score"),
        ({"name": "x" * 201}, 400, "name is too long: it has more than 200 characters"),
        ({"value": [1]}, 400, "value must be a text, a number, true, false or null"),
        ({"value": 1e300}, 400, "value must be a number between -4294967296 and 4294967296"),
        ({"author": 1}, 400, "author must be a text"),
        ({"kind": "comment", "value": 1}, 400, "the value of a comment must be a text, or null"),
        ({"kind": "review", "event_id": "step"}, 409, "a review is of a session, not of a step"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(
    server: Served, change: dict[str, Any], status: int, reason: str
):
    sid, step = stored(server)
    body = {"event_id": sid, "kind": "score", "name": "quality", "value": 1, **change}
    if body["event_id"] == "step":
        body["event_id"] = step
    answer = post(server, body)
    assert (answer[0], answer[1]["error"]) == (status, reason)
    assert judgements(server, sid) == []
    assert server.request("/api/sessions/nowhere/judgements")[0] == 404


def test_sessions_are_exported_as_lines_with_their_judgements(server: Served):
    """What a query finds, or those of some ids; a line is what `sessions export` prints."""
    sid, step = stored(server, user_properties={"user_id": "lines"})
    other, _ = stored(server, user_properties={"user_id": "lines"})
    post(server, {"event_id": step, "kind": "label", "name": "wrong", "value": True})
    status, headers, body = server.request(f"{LINES}?q=user:lines")
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    sessions = {line["summary"]["session_id"]: line for line in map(json.loads, body.splitlines())}
    assert set(sessions) == {sid, other}
    assert [each["event_id"] for each in sessions[sid]["events"]] == [step]
    assert [each["name"] for each in sessions[sid]["judgements"]] == ["wrong"]
    _, _, body = server.request(f"{LINES}?ids={other},nowhere")
    lines = [json.loads(line) for line in body.splitlines()]
    assert lines[0]["summary"]["session_id"] == other
    assert lines[1] == {"gone": "nowhere"}
    assert server.request(f"{LINES}?q=usr:lines")[0] == 400


def test_completions_offer_reviewers_as_a_query_writes_them(server: Served):
    sid, _ = stored(server)
    post(server, {"event_id": sid, "kind": "review", "value": True, "author": "Grace"})
    values = dict(server.json("/api/filters")["values"]["reviewed"])
    assert values["no"] == 0
    assert (values["yes"] > 0, values["grace"]) == (True, 1)
