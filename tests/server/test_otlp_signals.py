"""Logs and metrics over OTLP: scores and messages join their spans, in whatever order they arrive.

The producers that send them are OTel's instrumentations of model clients (messages as events),
evaluation libraries (results as events), and coding agents (events of a session, no spans).
"""

from __future__ import annotations

import itertools
import json
import secrets
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support.openapi_client import Ask, asking
from support.otlp_requests import START, log, logs, new_trace, request, span
from support.server_process import Served, serving

from sessiontrace.server.otlp_paths import LOGS, METRICS, TRACES


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("signals") / "store.db") as served:
        yield served


@pytest.fixture(scope="module")
def ask(server: Served) -> Ask:
    return asking(server)


def the_step(server: Served, sid: str) -> dict[str, Any]:
    (step,) = server.json(f"/api/sessions/{sid}")["events"]
    record: dict[str, Any] = server.json(f"/api/events/{step['event_id']}")
    return record


EVALUATION = {
    "gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 0.75,
    "gen_ai.evaluation.score.label": "good", "gen_ai.evaluation.explanation": "on topic",
}  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_evaluation_is_a_score_of_its_span(ask: Ask, server: Served, order: tuple[int, ...]):
    """Evaluations run late as a rule, but a collector may send logs before traces."""
    trace, sid = new_trace()
    model = span("chat", trace, attributes={"gen_ai.operation.name": "chat"})
    result = log("gen_ai.evaluation.result", model, attributes=EVALUATION)
    for n in order:
        path, body = (("/v1/traces", request(model)), ("/v1/logs", logs(result)))[n]
        assert ask("POST", path, body) == {}
    record = the_step(server, sid)
    assert record["metrics"] == {"Relevance": 0.75}
    details = {"label": "good", "explanation": "on topic"}
    assert record["metadata"]["evaluation.Relevance"] == details
    assert server.json(f"/api/sessions/{sid}")["session"]["scores"] == {"Relevance": 0.75}


def test_a_label_alone_is_feedback_and_a_session_can_be_rated(ask: Ask, server: Served):
    """An evaluation without a span rates the session that it names."""
    trace, sid = new_trace()
    ask("POST", "/v1/traces", request(span("root", trace)))
    label = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "kind",
             "session.id": sid}  # fmt: skip
    ask("POST", "/v1/logs", logs(log("gen_ai.evaluation.result", attributes=label)))
    assert server.json(f"/api/sessions/{sid}")["record"]["feedback"] == {"tone": "kind"}


QUESTION = {"content": "weather in Berlin?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_messages_of_events_join_their_span(ask: Ask, server: Served, order: tuple[int, ...]):
    """opentelemetry-instrumentation-openai-v2 sends every message as a log record of its own.

    They come before, after and between, in several requests, and again when the SDK retries.
    """
    trace, sid = new_trace()
    model = span("chat gpt-4o", trace, attributes={"gen_ai.operation.name": "chat"})
    first = [
        log("gen_ai.system.message", model, {"content": "be brief"}, at=1),
        log("gen_ai.user.message", model, QUESTION, at=2),
    ]
    last = [
        log("gen_ai.assistant.message", model, {"tool_calls": [CALL]}, at=3),
        log("gen_ai.tool.message", model, {"id": "c1", "content": "rain"}, at=4),
        log("gen_ai.choice", model, {"index": 0, "finish_reason": "stop",
                                     "message": {"content": "Rain."}}, at=5),
    ]  # fmt: skip
    bodies = [("/v1/traces", request(model)), ("/v1/logs", logs(*first)), ("/v1/logs", logs(*last))]
    for n in (*order, order[0]):
        assert ask("POST", bodies[n][0], bodies[n][1]) == {}
    record = the_step(server, sid)
    assert record["inputs"]["chat_history"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", **QUESTION},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]
    assert record["outputs"] == {"role": "assistant", "content": "Rain.", "finish_reason": "stop"}
    assert "gathered" not in record


def test_protobuf_logs_say_the_same_as_json(ask: Ask, server: Served):
    """OTel's newest event holds the whole call in its attributes; the bytes are the SDK's."""
    pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
    )

    trace, sid = new_trace()
    model = span("chat", trace, attributes={"gen_ai.operation.name": "chat"})
    ask("POST", "/v1/traces", request(model))
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "gen_ai.client.inference.operation.details"
    record.trace_id, record.span_id = bytes.fromhex(trace), bytes.fromhex(model["spanId"])
    record.time_unix_nano = START
    said = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    attribute = record.attributes.add(key="gen_ai.input.messages")
    attribute.value.string_value = json.dumps(said)
    lost = message.resource_logs[0].scope_logs[0].log_records.add()  # neither trace nor session
    lost.body.string_value = "started"
    status, headers, body = server.request(
        "/v1/logs", "POST", message.SerializeToString(), Content_Type="application/x-protobuf"
    )
    assert (status, headers["content-type"]) == (200, "application/x-protobuf")
    partial = ExportLogsServiceResponse.FromString(body).partial_success
    assert partial.rejected_log_records == 1
    assert partial.error_message == "1 log records without a session or a trace"
    assert the_step(server, sid)["inputs"] == {"chat_history": [{"role": "user", "content": "hi"}]}


def test_other_log_records_are_notes_of_their_span(ask: Ask, server: Served):
    """In the order of their times; a log record of the trace alone is a note of the session."""
    trace, sid = new_trace()
    step = span("work", trace)
    late, early = log("", step, "second", at=2), log("", step, {"n": 1}, at=1, severity="WARN")
    ask("POST", "/v1/logs", logs(late))
    ask("POST", "/v1/traces", request(step))
    ask("POST", "/v1/logs", logs(early, {**log("", step, "whole"), "spanId": ""}))
    notes = the_step(server, sid)["metadata"]["logs"]
    assert [note["body"] for note in notes] == [{"n": 1}, "second"]
    assert (notes[0]["severity"], notes[0]["time"][:4]) == ("WARN", "2026")
    (note,) = server.json(f"/api/sessions/{sid}")["record"]["metadata"]["logs"]
    assert note["body"] == "whole"


def test_an_event_that_names_its_session_is_a_step(ask: Ask, server: Served):
    """Coding agents send events and no spans: a session's calls and tools, each with a duration."""
    sid = str(uuid.uuid4())
    call = log(
        "api_request", None, "agent.api_request", at=3_000_000_000,
        attributes={"session.id": sid, "gen_ai.request.model": "m", "duration_ms": "1500",
                    "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 2},
    )  # fmt: skip
    ask("POST", "/v1/logs", logs(call))
    ask("POST", "/v1/logs", logs(call))
    response = server.json(f"/api/sessions/{sid}")
    (step,) = response["events"]
    assert (step["type"], step["tokens"], step["duration"]) == ("model", 9, 1500.0)
    assert (response["session"]["start_time"], response["session"]["duration"]) == (
        START // 1_000_000 + 1500, 1500.0,
    )  # fmt: skip


def test_metrics_are_taken_and_counted(ask: Ask, server: Served):
    """A sender with metrics switched on must see no error; /api/about has their number."""
    before = server.json("/api/about")["otlp"]["not_stored"]
    points = [{"asInt": "1"}, {"asInt": "2"}]
    metrics = [{"name": "a", "sum": {"dataPoints": points}}, {"name": "b", "gauge": {}}]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    assert ask("POST", "/v1/metrics", body) == {}
    after = server.json("/api/about")["otlp"]["not_stored"]
    (reason,) = (name for name in after if name.startswith("metric data points"))
    assert after[reason] - before.get(reason, 0) == 2


@pytest.mark.parametrize("path", [*TRACES, *LOGS, *METRICS])
def test_each_path_takes_post_and_says_so(server: Served, path: str):
    """A backend's own path serves an exporter that is pointed at this server by its host alone."""
    header = {"Content_Type": "application/json"}
    assert server.request(path, "POST", b"{}", **header)[0] == 200
    status, headers, body = server.request(path, "PUT", b"{}", **header)
    assert (status, headers["allow"]) == (405, "POST")
    assert json.loads(body)["error"] == f"{path} takes POST with an OTLP request, not PUT"
    status, _, body = server.request(path, "POST", b"[]", **header)
    assert (status, json.loads(body)["code"]) == (400, 3)


def test_an_unknown_path_names_the_right_ones(server: Served):
    """An endpoint with the signal's path in it makes exporters append it twice."""
    status, _, body = server.request(
        "/v1/traces/v1/traces", "POST", b"{}", Content_Type="application/json"
    )
    assert status == 404
    assert "OTLP is taken at /v1/traces, /v1/logs and /v1/metrics" in json.loads(body)["error"]


def test_half_an_emoji_and_broken_bytes_cost_a_character(server: Served):
    """JavaScript's SDK cuts texts between the halves of a pair; the request is whole otherwise."""
    trace, sid = new_trace()
    body = json.dumps(request(span("CUT", trace, attributes={"a": "TEXT", "b": r"\ud83d"})))
    broken = body.replace("CUT", r"cut \ud83d").encode().replace(b"TEXT", b"\xff!")
    status, _, answer = server.request(
        "/v1/traces", "POST", broken, Content_Type="application/json"
    )
    assert (status, answer) == (200, b"{}")
    record = the_step(server, sid)
    assert record["event_name"] == "cut \ufffd"
    assert (record["metadata"]["a"], record["metadata"]["b"]) == ("\ufffd!", r"\ud83d")


@pytest.mark.parametrize(
    "change",
    [
        {"startTimeUnixNano": "soon", "endTimeUnixNano": {}},
        {"startTimeUnixNano": str(1 << 80), "endTimeUnixNano": "-1"},
        {"parentSpanId": "short"},
        {"parentSpanId": 7, "name": None, "events": [7], "status": []},
        {"attributes": [{"key": "k", "value": {"intValue": "x"}}, 3, {"key": 4}]},
        {"attributes": [{"key": "k", "value": {"doubleValue": "NaN"}}]},
        {"attributes": [{"key": "k", "value": {"intValue": "1" + "0" * 400}}]},
        {"attributes": [{"key": f"k{n}", "value": {"intValue": "1"}} for n in range(5000)]},
    ],
)  # fmt: skip
def test_a_span_with_a_wrong_value_is_stored_without_it(
    ask: Ask, server: Served, change: dict[str, Any]
):
    """Ids alone are required; any other value of a wrong type costs that value."""
    trace, sid = new_trace()
    bad = {**span("odd", trace), **change}
    assert ask("POST", "/v1/traces", request(span("good", trace), bad)) == {}
    assert len(server.json(f"/api/sessions/{sid}")["events"]) == 2


def test_ids_in_capitals_are_the_same_ids(ask: Ask, server: Served):
    """Some exporters write hex in capitals."""
    trace = secrets.token_hex(15) + "ab"
    step = span("loud", trace.upper())
    ask("POST", "/v1/traces", request(step))
    ask("POST", "/v1/traces", request({**step, "traceId": trace}))
    assert the_step(server, str(uuid.UUID(trace)))["event_name"] == "loud"
