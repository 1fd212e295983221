"""OTLP over HTTP: JSON with names or numbers, protobuf, gzip, every convention of attributes."""

from __future__ import annotations

import gzip
import json
import secrets
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support.openapi_client import Ask, asking
from support.server_process import Served, serving

START = 1_790_000_000_000 * 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("otlp") / "store.db") as served:
        yield served


@pytest.fixture(scope="module")
def ask(server: Served) -> Ask:
    return asking(server)


def value(plain: Any) -> dict[str, Any]:
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(item) for item in plain]}}
    return {"stringValue": plain}


def span(name: str, trace: str, parent: str | None = None, **more: Any) -> dict[str, Any]:
    attributes = more.pop("attributes", {})
    return {
        "traceId": trace, "spanId": secrets.token_hex(8), "parentSpanId": parent, "name": name,
        "kind": "SPAN_KIND_INTERNAL", "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 250_000_000),
        "attributes": [{"key": k, "value": value(v)} for k, v in attributes.items()],
        "status": {"code": "STATUS_CODE_UNSET"}, **more,
    }  # fmt: skip


def request(*spans: dict[str, Any], service: str = "shop") -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": value(service)}]}
    scoped = [{"scope": {"name": "s"}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": resource, "scopeSpans": scoped}]}


def new_trace() -> tuple[str, str]:
    """A trace id, and the session that it is."""
    trace = secrets.token_hex(16)
    return trace, str(uuid.UUID(trace))


@pytest.mark.parametrize("path", ["/v1/traces", "/opentelemetry/v1/traces"])
@pytest.mark.parametrize("error", ["STATUS_CODE_ERROR", 2])
def test_a_trace_is_a_session_named_by_its_root(ask: Ask, server: Served, path: str, error: Any):
    """Enums as names or as numbers; children first, their parent in a later request."""
    trace, sid = new_trace()
    root = span("answer", trace)
    child = span("step", trace, root["spanId"], status={"code": error, "message": "no"})
    assert ask("POST", path, request(child)) == {}
    (orphan,) = server.json(f"/api/sessions/{sid}")["events"]
    ask("POST", path, request(root))
    ask("POST", path, request(root, child))
    response = server.json(f"/api/sessions/{sid}")
    summary = response["session"]
    assert (summary["name"], summary["source"]) == ("answer", "shop")
    assert (summary["events"], summary["errors"]) == (2, 1)
    assert (summary["duration"], summary["status"]) == (250.0, "ended")
    steps = {step["name"]: step for step in response["events"]}
    assert steps["step"]["event_id"] == orphan["event_id"]
    assert steps["step"]["parent_id"] == steps["answer"]["event_id"]
    assert steps["answer"]["parent_id"] == sid
    assert steps["step"]["error"] == "no"


CHAT = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'
SAID = (
    '[{"role":"assistant","parts":[{"type":"text","content":"yo"},'
    '{"type":"tool_call","id":"c","name":"f","arguments":{"a":1}}]}]'
)
PLAIN = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (  # OTel's GenAI conventions
            {
                "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x",
                "gen_ai.provider.name": "openai", "gen_ai.request.temperature": 0.5,
                "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 1,
                "gen_ai.input.messages": CHAT, "gen_ai.output.messages": SAID,
            },
            {
                "event_type": "model", "inputs": {"chat_history": PLAIN},
                "outputs": {
                    "role": "assistant", "content": "yo",
                    "tool_calls": [{"id": "c", "type": "function",
                                    "function": {"name": "f", "arguments": {"a": 1}}}],
                },
                "config": {"model": "gpt-x", "provider": "openai",
                           "hyperparameters": {"temperature": 0.5}},
                "metadata": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            },
        ),
        (
            {
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up",
                "gen_ai.tool.call.arguments": '{"w": 1}', "gen_ai.tool.call.result": "plain",
            },
            {"event_type": "tool", "event_name": "look_up", "inputs": {"w": 1},
             "outputs": {"result": "plain"}},
        ),
        (  # OpenInference
            {
                "openinference.span.kind": "LLM", "llm.model_name": "gpt-x",
                "llm.token_count.prompt": 3, "llm.token_count.completion": 1,
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.0.message.content": "hi",
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.content": "yo",
                "llm.invocation_parameters": '{"temperature": 0.5}',
            },
            {
                "event_type": "model", "inputs": {"chat_history": PLAIN},
                "outputs": {"role": "assistant", "content": "yo"},
                "config": {"model": "gpt-x", "hyperparameters": {"temperature": 0.5}},
                "metadata": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            },
        ),
        (
            {"openinference.span.kind": "RETRIEVER", "input.value": "q",
             "output.value": '{"d": 1}'},
            {"event_type": "retriever", "inputs": {"input": "q"}, "outputs": {"d": 1}},
        ),
        (  # Traceloop
            {
                "llm.request.type": "chat", "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-x", "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "hi", "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "yo", "llm.usage.total_tokens": 4,
            },
            {
                "event_type": "model", "inputs": {"chat_history": PLAIN},
                "outputs": {"role": "assistant", "content": "yo"},
                "config": {"model": "gpt-x", "provider": "openai"},
                "metadata": {"total_tokens": 4},
            },
        ),
        (
            {"traceloop.span.kind": "workflow", "traceloop.entity.name": "flow",
             "traceloop.entity.input": '{"a": 1}', "traceloop.entity.output": "[1]"},
            {"event_type": "chain", "event_name": "flow", "inputs": {"a": 1},
             "outputs": {"result": [1]}},
        ),
        (  # HoneyHive
            {
                "honeyhive_event_type": "tool", "honeyhive_event_name": "named",
                "honeyhive_inputs.word": '{"a": 1}', "honeyhive_outputs.result.0": "x",
                "honeyhive_outputs.result.1": "y", "honeyhive_metadata.deep.er": 1,
                "honeyhive_config.k": True, "honeyhive_duration_ms": 7.5,
                "honeyhive_error": "bad", "mine": "kept",
            },
            {
                "event_type": "tool", "event_name": "named", "inputs": {"word": {"a": 1}},
                "outputs": {"result": ["x", "y"]}, "config": {"k": True}, "duration": 7.5,
                "error": "bad", "metadata": {"deep": {"er": 1}, "mine": "kept"},
            },
        ),
        ({"mine": [1, "a"]}, {"event_type": "chain", "metadata": {"mine": [1, "a"]}}),
    ],
)  # fmt: skip
def test_attributes_of_each_convention_find_their_field(
    ask: Ask, server: Served, attributes: dict[str, Any], expected: dict[str, Any]
):
    """What a span says in any of the four dialects is one record."""
    trace, sid = new_trace()
    ask("POST", "/v1/traces", request(span("plain", trace, attributes=attributes)))
    (step,) = server.json(f"/api/sessions/{sid}")["events"]
    record = server.json(f"/api/events/{step['event_id']}")
    record["metadata"].pop("otel")
    assert {name: record.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "key",
    [
        "honeyhive.session_id", "session.id", "gen_ai.conversation.id",
        "traceloop.association.properties.session_id",
    ],
)  # fmt: skip
def test_a_session_may_be_named_by_an_attribute(ask: Ask, server: Served, key: str):
    """Then several traces are one session; its name comes from HoneyHive's attribute if any."""
    sid = str(uuid.uuid4())
    for n in range(2):
        attributes = {key: sid, "honeyhive.session_name": "chat", "honeyhive.source": "web",
                "user.id": "ada"}  # fmt: skip
        ask("POST", "/v1/traces", request(span(f"turn {n}", new_trace()[0], attributes=attributes)))
    response = server.json(f"/api/sessions/{sid}")
    summary = response["session"]
    assert (summary["name"], summary["source"], summary["user"]) == ("chat", "web", "ada")
    assert summary["events"] == 2
    assert {step["parent_id"] for step in response["events"]} == {sid}


def test_an_exception_event_is_the_error(ask: Ask, server: Served):
    """Where the status has no message."""
    trace, sid = new_trace()
    attributes = [{"key": "exception.type", "value": value("ValueError")},
            {"key": "exception.message", "value": value("no")},
            {"key": "exception.stacktrace", "value": value("a.py:1")}]  # fmt: skip
    failed = span("x", trace, status={"code": 2}, events=[{"name": "exception",
                                                           "attributes": attributes}])  # fmt: skip
    ask("POST", "/v1/traces", request(failed))
    (step,) = server.json(f"/api/sessions/{sid}")["events"]
    assert step["error"] == "ValueError: no"
    error = server.json(f"/api/events/{step['event_id']}")["metadata"]["error"]
    assert error == {"type": "ValueError", "message": "no", "stack": "a.py:1"}


def test_spans_that_are_none_are_counted(ask: Ask, server: Served):
    """partialSuccess, and the others are kept."""
    trace, sid = new_trace()
    bad = [span("a", "00" * 16), span("b", "xyz"), {"name": "c"}, 7]
    response = ask("POST", "/v1/traces", request(span("good", trace), *bad))
    assert response["partialSuccess"]["rejectedSpans"] == "4"
    assert len(server.json(f"/api/sessions/{sid}")["events"]) == 1
    for wrong in ([], "x", 7):
        ask("POST", "/v1/traces", wrong, status=400)


def test_protobuf_says_the_same(server: Served):
    """The default of OpenTelemetry's exporters; gzip as they do it."""
    pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    trace, sid = new_trace()
    message = request(span("answer", trace, attributes={"a": 1, "b": [True, 0.5], "c": "x"}))
    import base64

    for sent_span in message["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId"):  # protobuf's own JSON has bytes in base64
            sent_span[name] = base64.b64encode(bytes.fromhex(sent_span[name])).decode()
        sent_span.pop("parentSpanId")
    body = json_format.ParseDict(message, ExportTraceServiceRequest()).SerializeToString()
    status, headers, answered = server.request(
        "/v1/traces", "POST", gzip.compress(body),
        Content_Type="application/x-protobuf", Content_Encoding="gzip",
    )  # fmt: skip
    assert (status, headers["content-type"], answered) == (200, "application/x-protobuf", b"")
    (step,) = server.json(f"/api/sessions/{sid}")["events"]
    metadata = server.json(f"/api/events/{step['event_id']}")["metadata"]
    assert (metadata["a"], metadata["b"], metadata["c"]) == (1, [True, 0.5], "x")
    status, _, error = server.request(
        "/v1/traces", "POST", b"\xff\xff\xff", Content_Type="application/x-protobuf"
    )
    assert status == 400
    assert b"not an ExportTraceServiceRequest" in error  # in a google.rpc.Status
    # The JSON that protobuf's own library writes, with base64 ids, is understood too.
    assert server.request("/v1/traces", "POST", json.dumps(message).encode(),
                      Content_Type="application/json")[0] == 200  # fmt: skip
    assert len(server.json(f"/api/sessions/{sid}")["events"]) == 1
