"""Humanloop's APIs of the local server: v4 as its document says, v5 as its client needs it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.openapi_client import Ask, asking
from support.server_process import Served, serving

MODEL = {"type": "model", "model": "gpt-x", "provider": "openai", "temperature": 0.5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("humanloop") / "store.db") as served:
        yield served


@pytest.fixture(scope="module")
def ask(server: Served) -> Ask:
    return asking(server, "humanloop", "/v4")


@pytest.fixture(scope="module")
def v5(server: Served) -> Ask:
    return asking(server, None, "/v5")


@pytest.fixture
def project() -> str:
    return f"project {uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Type": "application/x-www-form-urlencoded", "Content_Length": "0"},
        {"Content_Type": "application/json"},
    ],
)
def test_a_session_is_made_of_nothing(ask: Ask, server: Served, headers: dict[str, str]):
    """Python sends no type, Node a form's; both an empty body."""
    status, _, body = server.request("/v4/sessions", "POST", None, **headers)
    assert status == 201
    made = json.loads(body)["id"]
    assert made.startswith("sesh_")
    shown = ask("GET", f"/sessions/{made}")
    assert (shown["datapoints_count"], shown["projects"]) == (0, [])


def test_logs_make_a_session_with_a_tree(ask: Ask, server: Served, project: str):
    """By the caller's references; the second time is the same log, not another."""
    reference = f"chat-{project}"
    head = {
        "project": project, "session_reference_id": reference, "reference_id": f"{project}-1",
        "inputs": {"q": "6 x 7"}, "config": MODEL, "duration": 0.5,
        "messages": [{"role": "user", "content": "6 x 7"}],
        "output_message": {"role": "assistant", "content": "42"},
        "created_at": "2026-09-21T14:13:20.5Z", "prompt_tokens": 3, "output_tokens": 1,
        "provider_api_keys": {}, "unknown": {"kept": "no"},
    }  # fmt: skip
    first = ask("POST", "/logs", head)
    assert ask("POST", "/logs", head)["id"] == first["id"]
    children = [
        {
            "project": project, "session_reference_id": reference, "inputs": {"n": n},
            "parent_reference_id": f"{project}-1", "output": str(n), "duration": 0.1,
            "config": {"type": "tool", "name": "calculator"},
        }
        for n in range(2)
    ]  # fmt: skip
    answers = ask("POST", "/logs", children)
    assert [one["session_id"] for one in answers] == [first["session_id"]] * 2
    session = ask("GET", f"/sessions/{first['session_id']}")
    assert session["reference_id"] == reference
    assert session["datapoints_count"] == 3
    assert session["first_inputs"]["q"] == "6 x 7"
    assert session["projects"][0]["name"] == project
    log = ask("GET", f"/logs/{first['id']}")
    assert log["messages"] == head["messages"]
    assert log["output_message"] == head["output_message"]
    assert (log["inputs"], log["duration"]) == ({"q": "6 x 7"}, 0.5)
    assert (log["prompt_tokens"], log["output_tokens"]) == (3, 1)
    assert ask("GET", f"/logs/{answers[0]['id']}")["parent_id"] == first["id"]
    sid = str(uuid.UUID(first["session_id"].removeprefix("sesh_")))
    shown = server.json(f"/api/sessions/{sid}")
    assert (shown["session"]["name"], shown["session"]["tokens"]) == (project, 4)
    model = next(one for one in shown["events"] if one["type"] == "model")
    whole = server.json(f"/api/events/{model['event_id']}")
    assert whole["config"]["hyperparameters"] == {"temperature": 0.5}
    assert whole["inputs"]["chat_history"] == head["messages"]
    tools = [one for one in shown["events"] if one["type"] == "tool"]
    assert {one["parent_id"] for one in tools} == {model["event_id"]}


def test_a_deferred_output_is_patched_in(ask: Ask, project: str):
    """Log the parent, then its children, then its output by reference."""
    body = {"project": project, "reference_id": project, "inputs": {}, "config": MODEL}
    made = ask("POST", "/logs", body)
    assert "output" not in ask("GET", f"/logs/{made['id']}")
    shown = ask("PATCH", f"/logs?reference_id={project.replace(' ', '%20')}",
                {"output": "late", "duration": 2.5, "referenceId": project})  # fmt: skip
    assert (shown["output"], shown["duration"]) == ("late", 2.5)
    shown = ask("PATCH", f"/logs/{made['id']}", {"error": "no", "provider_api_keys": {}})
    assert (shown["output"], shown["error"]) == ("late", "no")
    assert ask("GET", f"/logs/{made['id']}")["error"] == "no"
    ask("PATCH", "/logs/data_none", {"output": "x"}, status=404)


@pytest.mark.parametrize(
    "config",
    [
        MODEL,
        {"model": "gpt-x"},
        {"type": "tool", "name": "t", "parameters": {"type": "object"}},
        {"type": "generic"},
        {"type": "agent", "agent_class": "a", "model_config": {"model": "gpt-x"}},
        None,
    ],
)
def test_every_kind_of_config_comes_back(ask: Ask, project: str, config: Any):
    """0.5 sends generic and agent, 0.7 model and tool; the answer must suit each of them."""
    body = {"project": project, "inputs": {}, "output": '{"a": 1}'}
    made = ask("POST", "/logs", body | ({"config": config} if config else {}))
    shown = ask("GET", f"/logs/{made['id']}")
    kind = (config or {}).get("type") or ("model" if config else "generic")
    assert (shown["config"]["type"], shown["output"]) == (kind, '{"a": 1}')


def test_pages_of_sessions_count_from_one(ask: Ask, project: str):
    """Node walks forward by total and back until page 0, which must not go round for ever."""
    ids = []
    for n in range(5):
        log = {"project": project, "session_reference_id": f"{project}-{n}", "inputs": {},
               "output": str(n), "config": MODEL}  # fmt: skip
        ids.append(ask("POST", "/logs", log))
    project_id = ids[0]["project_id"]
    seen = []
    for page in (1, 2, 3):
        found = ask("GET", f"/sessions?project_id={project_id}&page={page}&size=2")
        assert (found["page"], found["size"], found["total"]) == (page, 2, 5)
        seen += [one["id"] for one in found["records"]]
    assert set(seen) == {one["session_id"] for one in ids}
    assert len(seen) == 5
    found = ask("GET", f"/sessions?project_id={project_id}&page=0&size=2")
    assert (found["page"], found["records"], found["total"]) == (0, [], 5)
    assert ask("GET", f"/sessions?project_id={project_id}")["size"] == 10
    assert ask("GET", "/sessions?project_id=pr_none")["total"] == 0
    for wrong in ("/sessions", f"/sessions?project_id={project_id}&page=x"):
        told = ask("GET", wrong, status=422)
        assert told["detail"][0].keys() == {"loc", "msg", "type"}
    ask("GET", "/sessions/sesh_none", status=404)


def test_pages_of_logs_count_from_zero_and_are_searched(ask: Ask, project: str):
    """The other base, and the filters of the route."""
    for n in range(5):
        log = {"project": project, "inputs": {"n": f"needle {n}"}, "output": "x",
               "config": MODEL, "metadata": {"label": f"m{n}"},
               "created_at": f"2026-09-2{n}T00:00:00"}  # fmt: skip
        project_id = ask("POST", "/logs", log)["project_id"]
    found = ask("GET", f"/logs?project_id={project_id}&size=2&page=2")
    assert (len(found["records"]), found["total"], found["page"]) == (1, 5, 2)
    for query, expected in (
        ("search=NEEDLE%203", 1), ("metadata_search=m2", 1), ("search=absent", 0),
        ("start_date=2026-09-22&end_date=2026-09-24", 2),
    ):  # fmt: skip
        assert ask("GET", f"/logs?project_id={project_id}&{query}")["total"] == expected, query
    assert ask("POST", f"/projects/{project_id}/export")["total"] == 5


def test_a_deleted_log_is_gone_everywhere(ask: Ask, server: Served, project: str):
    """From the list, from its session, and from what the session counts."""
    log = {"project": project, "session_reference_id": project, "inputs": {}, "output": "x",
           "config": MODEL, "prompt_tokens": 5}  # fmt: skip
    made = [ask("POST", "/logs", {**log, "reference_id": f"{project}{n}"}) for n in range(2)]
    sid = str(uuid.UUID(made[0]["session_id"].removeprefix("sesh_")))
    assert server.json(f"/api/sessions/{sid}")["session"]["tokens"] == 10
    assert ask("DELETE", f"/logs?id={made[0]['id']}", status=204) == b""
    ask("GET", f"/logs/{made[0]['id']}", status=404)
    assert ask("GET", f"/logs?project_id={made[0]['project_id']}")["total"] == 1
    one = server.json(f"/api/sessions/{sid}")["session"]
    assert (one["events"], one["tokens"]) == (1, 5)


def test_feedback_is_kept_once_and_taken_back(ask: Ask, server: Served, project: str):
    """It is on the page too, as the step's feedback."""
    made = ask("POST", "/logs", {"project": project, "inputs": {}, "output": "x", "config": MODEL,
                                 "feedback": {"type": "issue", "value": "slow"}})  # fmt: skip
    given = {"type": "rating", "value": "good", "data_id": made["id"], "user": "ada"}
    said = ask("POST", "/feedback", given)
    assert said["id"].startswith("ann_")
    assert ask("POST", "/feedback", [given])[0]["id"] == said["id"]
    kinds = {one["type"]: one["value"] for one in ask("GET", f"/logs/{made['id']}")["feedback"]}
    assert kinds == {"issue": "slow", "rating": "good"}
    event_id = str(uuid.UUID(made["id"].removeprefix("data_")))
    assert server.json(f"/api/events/{event_id}")["feedback"] == kinds
    ask("POST", "/feedback", {**given, "unset": True})
    (left,) = ask("GET", f"/logs/{made['id']}")["feedback"]
    assert left["type"] == "issue"
    ask("POST", "/feedback", {**given, "data_id": "data_none"}, status=404)
    ask("POST", "/feedback", {"type": "rating"}, status=422)


def test_projects_are_made_renamed_and_removed(ask: Ask, project: str):
    """By a log or by themselves; a name names one project."""
    made = ask("POST", "/projects", {"name": project, "provider_api_keys": {}}, status=201)
    log = {"project": project, "inputs": {}, "output": "x", "config": MODEL}
    assert ask("POST", "/logs", log)["project_id"] == made["id"]
    assert ask("GET", f"/projects/{made['id']}")["data_count"] == 1
    found = ask("GET", f"/projects?filter={project.split()[1]}&sort_by=name&order=asc")
    assert [one["id"] for one in found["records"]] == [made["id"]]
    ask("PATCH", f"/projects/{made['id']}", {"name": f"{project} 2"})
    assert ask("POST", "/logs", {**log, "project": f"{project} 2"})["project_id"] == made["id"]
    assert ask("POST", "/logs", log)["project_id"] != made["id"]
    assert ask("DELETE", f"/projects/{made['id']}", status=204) == b""
    ask("GET", f"/projects/{made['id']}", status=404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": {}}, 422),
        ({"project": "p", "session_id": "sesh_1", "session_reference_id": "x"}, 422),
        ({"project": "p", "parent_id": "data_1", "parent_reference_id": "x"}, 422),
        ({"project": "p", "session_id": "sesh_none"}, 404),
        ({"project_id": "pr_none"}, 404),
        ("text", 422),
        ([1], 422),
    ],
)
def test_a_log_that_cannot_be_filed_is_refused(ask: Ask, body: Any, status: int):
    """In FastAPI's form, which the clients parse."""
    assert ask("POST", "/logs", body, status=status)["detail"]


def test_the_oldest_clients_trace_is_one_session(ask: Ask, server: Served, project: str):
    """0.4 sends whole trees at once; its route is in no document any more."""
    tree = {"project": project, "inputs": {"n": 1}, "output": "a", "config": MODEL}
    body = {"logs": [{**tree, "children": [{**tree, "inputs": {"n": 2}}]}]}
    told = asking(server, None, "/v4")("POST", "/traces", body)
    assert ask("GET", f"/sessions/{told['session_id']}")["datapoints_count"] == 2


# -- v5 -------------------------------------------------------------------------------------


def test_a_v5_flow_is_a_session_that_is_completed(v5: Ask, server: Served):
    """Incomplete, children, complete; its id is the caller's."""
    flow_id = f"trace-{uuid.uuid4()}"
    made = v5("POST", "/flows/log", {
        "path": "app/session", "log_id": flow_id, "log_status": "incomplete",
        "inputs": {"q": 1}, "start_time": "2026-09-21T14:13:20Z", "flow": {"attributes": {}},
    })  # fmt: skip
    assert made["id"] == flow_id
    assert made["flow_id"]
    prompt = v5("POST", "/prompts/log", {
        "path": "app/llm", "trace_parent_id": flow_id, "prompt": {"model": "gpt-x"},
        "messages": [{"role": "user", "content": "hi"}], "prompt_tokens": 3,
        "output_message": {"role": "assistant", "content": "yo"},
        "start_time": "2026-09-21T14:13:20.1Z", "end_time": "2026-09-21T14:13:20.3Z",
    })  # fmt: skip
    v5("POST", "/tools/log", {
        "path": "app/look_up", "trace_parent_id": prompt["id"], "output": "x",
        "tool": {"function": {"name": "look_up"}}, "inputs": {"w": 1},
    })  # fmt: skip
    sid = str(uuid.UUID(prompt["session_id"].removeprefix("sesh_")))
    shown = server.json(f"/api/sessions/{sid}")
    assert shown["session"]["status"] == "open"
    assert {one["name"]: one["type"] for one in shown["events"]} == {"llm": "model",
                                                                     "look_up": "tool"}  # fmt: skip
    parents = {one["name"]: one["parent_id"] for one in shown["events"]}
    ids = {one["name"]: one["event_id"] for one in shown["events"]}
    assert parents == {"llm": sid, "look_up": ids["llm"]}
    told = v5("PATCH", f"/flows/logs/{flow_id}", {"output": "bye", "log_status": "complete"})
    assert (told["id"], told["output"]) == (flow_id, "bye")
    one = server.json(f"/api/sessions/{sid}")
    assert (one["session"]["status"], one["session"]["name"]) == ("ended", "session")
    assert one["record"]["outputs"] == {"result": "bye"}
    v5("PATCH", f"/prompts/{prompt['prompt_id']}/log/{prompt['id']}", {"output": "new"})
    assert v5("GET", f"/logs/{prompt['id']}")["output"] == "new"
    listed = v5("GET", f"/logs?file_id={prompt['prompt_id']}")
    assert prompt["id"] in [one["id"] for one in listed["records"]]
    v5("PATCH", "/flows/logs/none", {}, status=404)
    v5("POST", "/flows/log", {}, status=422)


def test_a_v5_judgment_becomes_feedback_of_its_log(v5: Ask, server: Served):
    """POST /evaluators/log names the log by parent_id; one that is unknown is a 404."""
    flow_id = str(uuid.uuid4())
    v5("POST", "/flows/log", {"path": "app/chat", "log_id": flow_id, "log_status": "incomplete"})
    log = v5("POST", "/prompts/log", {"path": "app/llm", "trace_parent_id": flow_id})
    judged = {"path": "app/helpful", "parent_id": log["id"], "judgment": True}
    assert v5("POST", "/evaluators/log", judged)["evaluator_id"]
    shown = server.json(f"/api/sessions/{flow_id}")
    (event,) = shown["events"]
    assert server.json(f"/api/events/{event['event_id']}")["feedback"] == {"helpful": True}
    v5("POST", "/evaluators/log", {**judged, "parent_id": "log_none"}, status=404)


def test_v5_takes_the_decorators_spans_without_a_type(server: Served):
    """The official client posts them with no Content-Type."""
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "flow", "startTimeUnixNano": "1",
            "endTimeUnixNano": "2", "attributes": []}  # fmt: skip
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    status, _, answered = server.request("/v5/import/otel/v1/traces", "POST", body)
    assert status == 200
    assert json.loads(answered)["records"][0].startswith("log_")


def test_humanloop_data_outlives_the_server(tmp_path: Path):
    """Projects and sessions are in the store, not in the process."""
    log = {"project": "p", "session_reference_id": "s", "inputs": {}, "output": "x",
           "config": MODEL}  # fmt: skip
    with serving(tmp_path / "store.db") as first:
        made = asking(first, None, "/v4")("POST", "/logs", log)
    with serving(tmp_path / "store.db") as second:
        ask = asking(second, None, "/v4")
        assert ask("GET", f"/sessions?project_id={made['project_id']}")["total"] == 1
        assert ask("POST", "/logs", log)["project_id"] == made["project_id"]
