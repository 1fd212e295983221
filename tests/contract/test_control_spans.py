"""Spans of what carries messages are notes of the work above them, and no steps of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import orjson
import pytest
from support.otlp_recorder import load
from support.otlp_requests import new_trace, request, span
from support.producers import QUESTION, RECORDED, sessions_of
from support.server_process import Served, serving

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("control") / "store.db") as served:
        yield served


def notes(event: dict[str, Any]) -> list[str]:
    return [note["name"] for note in event["metadata"].get("logs", ())]


def test_an_autogen_team_is_its_agents_tools_and_messages(server: Served) -> None:
    """Its runtime's thirty spans of topics are notes, each with the id of its own event."""
    for sent in load(RECORDED / "autogen_agent.json"):
        server.request(sent.path, "POST", sent.body, Content_Type=sent.content_type)
    team = max(sessions_of(server), key=lambda session: len(session.events))
    names = [event["event_name"] for event in team.events]
    assert {name.split()[0] for name in names} == {"process", "forecaster", "weather"}
    assert names.count("forecaster") == 3
    assert not any("-" in name for name in names), "ids are no part of a name"
    assert team.summary["preview"] == QUESTION
    places = {team.summary["session_id"], *(event["event_id"] for event in team.events)}
    assert {event["parent_id"] for event in team.events} <= places, "each is below what is shown"
    start = min(team.events, key=lambda event: event["start_time"])
    (question,) = start["inputs"]["chat_history"]
    assert (question["role"], question["content"]) == ("user", QUESTION)
    calls = [
        entry["tool_calls"][0]["function"]["name"]
        for event in team.events
        for entry in event["inputs"].get("chat_history", ())
        if "tool_calls" in entry
    ]
    assert set(calls) == {"weather"}
    hidden = start["metadata"]["logs"][0]
    assert hidden["name"] == "create output_topic"
    stored = server.json(f"/api/events/{hidden['event_id']}")
    assert stored["metadata"]["messaging.operation"] == "create"


def test_each_message_of_an_asgi_application_is_a_note_of_its_request(server: Served) -> None:
    """OpenTelemetry's middleware has a span for every message that is sent and received."""
    asgi = pytest.importorskip("opentelemetry.instrumentation.asgi", reason="not installed")
    exporters = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export_sdk = pytest.importorskip("opentelemetry.sdk.trace.export")
    provider = trace_sdk.TracerProvider(shutdown_on_exit=False)
    exporter = exporters.OTLPSpanExporter(f"{server.url}/v1/traces")
    provider.add_span_processor(export_sdk.BatchSpanProcessor(exporter))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for text in (b"one", b"two"):
            await send({"type": "http.response.body", "body": text, "more_body": text == b"one"})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/ask", "headers": [], "query_string": b"",
             "scheme": "http", "server": ("shop", 80), "http_version": "1.1"}  # fmt: skip
    traced = asgi.OpenTelemetryMiddleware(application, tracer_provider=provider)
    asyncio.run(traced(scope, receive, send))
    provider.shutdown()
    (session,) = (one for one in sessions_of(server) if "GET" in str(one.summary["name"]))
    (event,) = session.events
    assert len(notes(event)) == 4
    assert session.summary["events"] == 1


def test_a_message_that_failed_or_says_something_is_a_step(server: Served) -> None:
    """And so is what comes below one that says nothing, whichever arrives first."""
    trace, session_id = new_trace()
    scope = "autogen SingleThreadedAgentRuntime"
    sent = span("autogen publish topic_x", trace, attributes={"messaging.operation": "publish"})
    failed = span(
        "autogen send b", trace, sent["spanId"], status={"code": 2, "message": "gone"},
        attributes={"messaging.operation": "send"},
    )  # fmt: skip
    message = {"messaging.operation": "process", "message": '{"text": "hi"}'}
    said = span("autogen process a", trace, sent["spanId"], attributes=message)
    for step in (failed, said, sent):
        body = request(step)
        body["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": scope}
        post(server, body)
    detail = server.json(f"/api/sessions/{session_id}")
    assert sorted(event["name"] for event in detail["events"]) == ["process a", "send b"]
    assert detail["session"]["errors"] == 1
    assert [note["name"] for note in detail["record"]["metadata"]["logs"]] == ["publish topic_x"]


def post(server: Served, body: Any) -> None:
    status, _, reply = server.request(
        "/v1/traces", "POST", orjson.dumps(body), Content_Type="application/json"
    )
    assert status == 200, reply
