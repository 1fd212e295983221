"""Conversations of the vendors' clients, of OTLP's producers and of our SDK, read as threads."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.otlp_requests import START, request, span
from support.server_process import Served, serving

import sessiontrace as st
from sessiontrace.model.ids import new_id

T0 = 1_790_000_000_000
QUESTIONS = ("Where is it?", "yes", "yes")
THREAD = [[f"user: {question}", f"assistant: {n}."] for n, question in enumerate(QUESTIONS)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("threads") / "store.db") as served:
        yield served


def post(server: Served, path: str, body: Any) -> dict[str, Any]:
    status, _, answer = server.request(
        path, "POST", json.dumps(body).encode(), Content_Type="application/json"
    )
    assert status in (200, 201), answer
    return dict(json.loads(answer))


def thread(server: Served, session: str) -> list[list[str]]:
    """Of each turn, what was said in it; the session must be a conversation."""
    answer = server.json(f"/api/sessions/{session}/thread")
    assert answer["conversation"]
    return [
        [f"{line['role']}: {line['text']}" for line in turn["lines"]] for turn in answer["turns"]
    ]


def chats() -> list[list[dict[str, str]]]:
    """The chat of each call: all questions and answers so far, and the next question."""
    history: list[dict[str, str]] = []
    calls = []
    for number, question in enumerate(QUESTIONS):
        history.append({"role": "user", "content": question})
        calls.append(list(history))
        history.append({"role": "assistant", "content": f"{number}."})
    return calls


def answer(number: int) -> dict[str, str]:
    return {"role": "assistant", "content": f"{number}."}


def test_honeyhive(server: Served):
    """Model events with the chat history, right below the session."""
    session = new_id()
    for number, chat in enumerate(chats()):
        event = {
            "session_id": session, "parent_id": session, "event_type": "model", "source": "app",
            "event_name": "chat", "config": {"model": "gpt-5"}, "inputs": {"chat_history": chat},
            "outputs": answer(number), "start_time": T0 + number * 1000, "duration": 100,
        }  # fmt: skip
        post(server, "/events", {"event": event})
    assert thread(server, session) == THREAD


def test_humanloop(server: Served):
    """Logs of one session, each with the messages that its model was given."""
    session = f"conv-{new_id()}"
    for number, chat in enumerate(chats()):
        log = {
            "project": "chat", "session_reference_id": session, "messages": chat,
            "config": {"type": "model", "model": "gpt-5"}, "output": f"{number}.", "inputs": {},
            "created_at": f"2026-09-21T14:13:{20 + number}Z", "duration": 0.1,
        }  # fmt: skip
        post(server, "/v4/logs", log)
    assert thread(server, session) == THREAD


@pytest.mark.parametrize("has_trace", [True, False])
def test_posthog(server: Served, has_trace: bool):
    """A trace for each turn, with its own event or with its generation alone."""
    session = f"conv-{new_id()}"
    for number, chat in enumerate(chats()):
        trace = str(uuid.uuid4())
        shared = {"$ai_trace_id": trace, "$ai_session_id": session, "$ai_latency": 0.1}
        events = [("$ai_generation", {
            **shared, "$ai_span_id": str(uuid.uuid4()), "$ai_parent_id": trace,
            "$ai_model": "gpt-5", "$ai_input": chat, "$ai_output_choices": [answer(number)],
        })]  # fmt: skip
        if has_trace:
            events.append(("$ai_trace", {**shared, "$ai_span_name": "chat"}))
        batch = [
            {"event": name, "distinct_id": "ada", "uuid": str(uuid.uuid4()),
             "timestamp": f"2026-09-21T14:13:{20 + number}Z", "properties": properties}
            for name, properties in events
        ]  # fmt: skip
        post(server, "/batch/", {"api_key": "phc_x", "batch": batch})
    assert thread(server, session) == THREAD


def _conventions(chat: list[dict[str, str]], number: int) -> dict[str, Any]:
    def parts(message: dict[str, str]) -> dict[str, Any]:
        text = {"type": "text", "content": message["content"]}
        return {"role": message["role"], "parts": [text]}

    return {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5",
        "gen_ai.input.messages": json.dumps([*map(parts, chat)]),
        "gen_ai.output.messages": json.dumps([parts(answer(number))]),
    }  # fmt: skip


def _openinference(chat: list[dict[str, str]], number: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-5"}
    for side, messages in (("input", chat), ("output", [answer(number)])):
        for at, message in enumerate(messages):
            for field in ("role", "content"):
                name = f"llm.{side}_messages.{at}.message.{field}"
                attributes[name] = message[field]
    return attributes


@pytest.mark.parametrize("attributes", [_conventions, _openinference])
@pytest.mark.parametrize("has_root", [True, False])
def test_otlp(server: Served, attributes: Any, has_root: bool):
    """A trace for each turn, below a server's span or alone; the session groups the traces."""
    session = f"conv-{new_id()}"
    for number, chat in enumerate(chats()):
        trace, at = secrets.token_hex(16), START + number * 10**9
        times = {"startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 10**8)}
        own = {"session.id": session, **attributes(chat, number)}
        root = span("POST /chat", trace, attributes={"session.id": session}, **times)
        parent = root["spanId"] if has_root else None
        call = span("chat gpt-5", trace, parent, attributes=own, **times)
        post(server, "/v1/traces", request(call, *([root] if has_root else [])))
    assert thread(server, session) == THREAD


def test_our_own_sdk(server: Served, tmp_path: Path):
    """Turns with their own texts, and turns whose model calls alone say what was said."""
    own, silent = f"own-{new_id()}", f"silent-{new_id()}"
    with_server = st.OTLP(endpoint=server.url)
    tracer = st.Tracer(with_server, spool=tmp_path / "spool")
    for number, chat in enumerate(chats()):
        with tracer.session("chat", session_id=own, inputs={"message": QUESTIONS[number]}) as turn:
            turn.set(outputs={"reply": f"{number}."})
        with (
            tracer.session("chat", session_id=silent),
            tracer.span("chat gpt-5", type="model", inputs={"messages": chat}) as call,
        ):
            call.set(outputs=answer(number))
    tracer.flush(timeout=20)
    tracer.shutdown()
    assert thread(server, own) == THREAD
    assert thread(server, silent) == THREAD


def test_agents_of_different_names_asked_one_after_another(server: Served):
    """A script asks an agent and then a team: not a chat, but all that was said is shown."""
    session = new_id()
    talks = [("forecaster", "Rain?", "No."), ("team", "Write about it.", "It stays dry.")]
    for number, (name, question, reply) in enumerate(talks):
        event = {
            "session_id": session, "parent_id": session, "event_type": "chain", "source": "app",
            "event_name": name, "inputs": {"question": question}, "outputs": {"answer": reply},
            "start_time": T0 + number * 1000, "duration": 100,
        }  # fmt: skip
        post(server, "/events", {"event": event})
    answer = server.json(f"/api/sessions/{session}/thread")
    assert not answer["conversation"]
    assert [[line["text"] for line in turn["lines"]] for turn in answer["turns"]] == [
        ["Rain?", "No."],
        ["Write about it.", "It stays dry."],
    ]
