"""Coding agents' telemetry gives readable sessions: requests made anew from their documentation.

Claude Code: https://code.claude.com/docs/en/monitoring-usage. Codex CLI: its pull request 2103,
"OpenTelemetry events". Gemini CLI: ``docs/cli/telemetry.md``. Beside these, what Claude Code 2.1,
Codex 0.171, Gemini CLI 0.61, Qwen Code 0.15 and opencode 1.18 sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.producers import Session, sessions_of
from support.server_process import Served, serving

from sessiontrace.model.ids import session_uuid

pytestmark = pytest.mark.contract

START = 1_790_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("agents") / "store.db") as served:
        yield served


def value(plain: Any) -> dict[str, Any]:
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    return {"doubleValue": plain} if isinstance(plain, float) else {"stringValue": plain}


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(plain)} for key, plain in attributes.items()]


def logs(scope: str, common: dict[str, Any], *events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A request of log records, a second apart; ``events``: the name and attributes of each."""
    records = [
        {
            "timeUnixNano": str((START + second) * 10**9),
            "body": value(f"claude_code.{name}" if "." not in name else name),
            "attributes": pairs({"event.name": name, **common, **attributes}),
        }
        for second, (name, attributes) in enumerate(events)
    ]
    scoped = {"scope": {"name": scope}, "logRecords": records}
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [scoped]}]}


def sent(server: Served, path: str, body: dict[str, Any], session: str) -> Session:
    """The session after a request that was accepted whole."""
    status, _, reply = server.request(
        path, "POST", json.dumps(body).encode(), Content_Type="application/json"
    )
    assert (status, json.loads(reply)) == (200, {}), reply
    session_id = session_uuid(session)
    return next(entry for entry in sessions_of(server) if entry.summary["session_id"] == session_id)


def events_of(session: Session, kind: str) -> list[dict[str, Any]]:
    events = [event for event in session.events if event["event_type"] == kind]
    return sorted(events, key=lambda event: event["start_time"])


def test_claude_code_s_events_are_prompts_calls_and_tools(server: Served) -> None:
    """Cached tokens count as input, the cost is Claude Code's, and a tool's failure is an error."""
    common = {"session.id": "claude-1", "user.id": "ada", "terminal.type": "vscode"}
    session = sent(
        server,
        "/v1/logs",
        logs(
            "com.anthropic.claude_code.events",
            common,
            ("user_prompt", {"prompt": "Fix the test.", "prompt_length": "13"}),
            (
                "api_request",
                {
                    "model": "claude-sonnet-5", "cost_usd": "0.0125", "duration_ms": "800",
                    "input_tokens": "10", "output_tokens": "7", "cache_read_tokens": "100",
                    "cache_creation_tokens": "20", "request_id": "req_1",
                },
            ),
            (
                "tool_result",
                {
                    "tool_name": "Bash", "tool_use_id": "toolu_1", "success": "false",
                    "duration_ms": "40", "error": "exit 1",
                    "tool_parameters": '{"bash_command": "pytest"}',
                },
            ),
        ),
        "claude-1",
    )  # fmt: skip
    (prompt,) = events_of(session, "chain")
    (call,) = events_of(session, "model")
    (tool,) = events_of(session, "tool")
    assert prompt["inputs"] == {"chat_history": [{"role": "user", "content": "Fix the test."}]}
    assert call["config"]["model"] == "claude-sonnet-5"
    counts = {
        "prompt_tokens": 130, "completion_tokens": 7, "total_tokens": 137,
        "cache_read_tokens": 100, "cache_write_tokens": 20, "cost": 0.0125, "response_id": "req_1",
    }  # fmt: skip
    assert {name: call["metadata"].get(name) for name in counts} == counts
    assert (call["duration"], tool["duration"]) == (800, 40)
    assert (tool["event_name"], tool["inputs"]) == ("Bash", {"bash_command": "pytest"})
    assert (tool["error"], tool["metadata"]["tool_call_id"]) == ("exit 1", "toolu_1")
    assert {event["user_properties"]["user_id"] for event in session.events} == {"ada"}


def test_codex_s_events_are_prompts_calls_and_tools(server: Served) -> None:
    """Of the events of a call, the one that counts its tokens is the call."""
    common = {"conversation.id": "codex-1", "model": "gpt-5-codex", "user.account_id": "ada"}
    session = sent(
        server,
        "/v1/logs",
        logs(
            "codex_otel",
            common,
            ("codex.user_prompt", {"prompt": "Fix the test.", "prompt_length": 13}),
            ("codex.api_request", {"http.response.status_code": 200, "duration_ms": 9}),
            (
                "codex.sse_event",
                {
                    "event.kind": "response.completed", "input_token_count": 12,
                    "output_token_count": 7, "cached_token_count": 5, "reasoning_token_count": 3,
                },
            ),
            (
                "codex.tool_result",
                {
                    "tool_name": "shell", "call_id": "call_1", "arguments": '{"command": "ls"}',
                    "duration_ms": 40, "success": "true", "output": "a.py",
                },
            ),
        ),
        "codex-1",
    )  # fmt: skip
    (call,) = events_of(session, "model")
    (tool,) = events_of(session, "tool")
    assert [event["event_name"] for event in events_of(session, "chain")] == [
        "codex.user_prompt",
        "codex.api_request",
    ]
    assert call["event_name"] == "chat gpt-5-codex"
    counts = {"prompt_tokens": 12, "completion_tokens": 7, "cache_read_tokens": 5,
              "reasoning_tokens": 3}  # fmt: skip
    assert {name: call["metadata"].get(name) for name in counts} == counts
    assert tool["inputs"] == {"command": "ls"}
    assert tool["outputs"] == {"result": "a.py"}
    assert tool.get("error") is None


def test_gemini_cli_s_events_are_prompts_calls_and_tools(server: Served) -> None:
    """Request and answer of a call, where the user lets it log them."""
    session = sent(
        server,
        "/v1/logs",
        logs(
            "gemini-cli",
            {"session.id": "gemini-1", "user.email": "ada@example.com"},
            ("gemini_cli.config", {"model": "gemini-3-pro", "error": ""}),
            ("gemini_cli.user_prompt", {"prompt": "Fix the test.", "prompt_id": "p1"}),
            (
                "gemini_cli.api_response",
                {
                    "model": "gemini-3-pro", "duration_ms": 800, "input_token_count": 12,
                    "output_token_count": 7, "cached_content_token_count": 5,
                    "thoughts_token_count": 3, "response_text": "Done.",
                },
            ),
            (
                "gemini_cli.tool_call",
                {"function_name": "read_file", "function_args": '{"path": "a.py"}',
                 "duration_ms": 40, "success": True},
            ),
        ),
        "gemini-1",
    )  # fmt: skip
    (call,) = events_of(session, "model")
    (tool,) = events_of(session, "tool")
    assert call["outputs"] == {"role": "assistant", "content": "Done."}
    assert (call["event_name"], call["metadata"]["prompt_tokens"]) == ("chat gemini-3-pro", 12)
    assert (tool["event_name"], tool["inputs"]) == ("read_file", {"path": "a.py"})
    (note,) = session.record["metadata"]["logs"]
    assert note["name"] == "gemini_cli.config", "what it says of itself is not a step"


def test_claude_code_s_spans_are_an_interaction_with_calls_and_tools(server: Served) -> None:
    """The beta of its traces: the same names, on spans that nest."""
    trace = "5b8efff798038103d269b633813fc601"

    def span(number: int, parent: int, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
        return {
            "traceId": trace,
            "spanId": f"{number:016x}",
            "parentSpanId": f"{parent:016x}" if parent else "",
            "name": name,
            "startTimeUnixNano": str((START + number) * 10**9),
            "endTimeUnixNano": str((START + number + 1) * 10**9),
            "attributes": pairs({"session.id": "claude-2", **attributes}),
        }

    spans = [
        span(1, 0, "claude_code.interaction", {"user_prompt": "Fix the test."}),
        span(
            2, 1, "claude_code.llm_request",
            {"model": "claude-sonnet-5", "gen_ai.system": "anthropic", "ttft_ms": 250,
             "input_tokens": 10, "output_tokens": 7, "cache_read_tokens": 100},
        ),
        span(3, 1, "claude_code.tool", {"tool_name": "Bash"}),
    ]  # fmt: skip
    scoped = {"scope": {"name": "com.anthropic.claude_code.tracing"}, "spans": spans}
    session = sent(server, "/v1/traces", {"resourceSpans": [{"scopeSpans": [scoped]}]}, "claude-2")
    (call,) = events_of(session, "model")
    (tool,) = events_of(session, "tool")
    (root,) = events_of(session, "chain")
    assert root["inputs"] == {"chat_history": [{"role": "user", "content": "Fix the test."}]}
    assert (call["metadata"]["prompt_tokens"], call["metrics"]) == (
        110,
        {"time_to_first_chunk_ms": 250.0},
    )
    assert tool["event_name"] == "Bash"
    assert {call["parent_id"], tool["parent_id"]} == {root["event_id"]}


def test_E33_codex_s_events_are_named_by_their_attribute(server: Served) -> None:
    """Codex 0.171 has the place in its code for the name; what only shows progress is a note."""
    conversation = "01a22664-c7b3-7732-bda5-0b36747944da"
    events = (
        ("codex.startup_phase", {"startup.phase": "thread_start_total", "duration_ms": "145"}),
        ("codex.conversation_starts", {"provider_name": "stub"}),
        ("codex.user_prompt", {"prompt": "What is the weather in Oslo?"}),
        ("codex.sse_event", {"event.kind": "response.output_text.delta"}),
        ("codex.sse_event", {"event.kind": "response.completed", "input_token_count": "12",
                             "output_token_count": "7", "cached_token_count": "5",
                             "cache_write_token_count": "0"}),
    )  # fmt: skip
    common = {"conversation.id": conversation, "model": "ok"}
    body = logs("codex_otel.log_only", common, *events)
    for line, record in enumerate(body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]):
        record["eventName"] = f"event otel/src/events/session_telemetry.rs:{line}"
        del record["body"]
    session = sent(server, "/v1/logs", body, conversation)
    assert session.summary["name"] == "codex.conversation_starts"
    assert session.summary["preview"] == "What is the weather in Oslo?"
    assert session.summary["tokens"] == 19
    assert [event["event_name"] for event in session.events] == [
        "codex.conversation_starts", "codex.user_prompt", "chat ok",
    ]  # fmt: skip
    assert session.events[2]["metadata"]["code.callsite"].endswith(":4")
    notes = [note["name"] for note in session.record["metadata"]["logs"]]
    assert notes == ["codex.startup_phase", "codex.sse_event"]


def test_E34_a_call_of_gemini_cli_s_is_one_event_of_its_two_log_records(server: Served) -> None:
    """Gemini CLI 0.61 has counts in one, the chat in the other; thoughts count as output."""
    at, call = "2026-11-29T17:31:03.323Z", "from gemini-3-pro. Status: 200. Duration: 122ms."
    detail = {
        "event.timestamp": at,
        "gen_ai.operation.name": "generate_content",
        "gen_ai.request.model": "gemini-3-pro",
        "gen_ai.response.id": "r1",
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]',
        "gen_ai.output.messages": '[{"role":"system","parts":[{"type":"tool_call","id":"c1",'
        '"name":"read_file","arguments":{"path":"a.py"}}],"finish_reason":"stop"}]',
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 7,
    }
    response = {
        "event.timestamp": at, "model": "gemini-3-pro", "duration_ms": 122,
        "input_token_count": 12, "output_token_count": 7, "thoughts_token_count": 3,
        "total_token_count": 22, "response_text": '[{"candidates":[{"content":{"role":"model",'
        '"parts":[{"text":"I look"}]}}]},{"candidates":[{"content":{"parts":[{"text":"."}]}}]}]',
    }  # fmt: skip
    details = "gen_ai.client.inference.operation.details"
    for name, order in (("gemini-2", (0, 1)), ("gemini-3", (1, 0))):
        body = logs(
            "gemini-cli",
            {"session.id": name},
            ("gemini_cli.api_response", response),
            (details, detail),
        )
        records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        records[0]["body"] = value(f"API response {call}")
        records[1]["body"] = value(f"GenAI operation details {call}")
        body["resourceLogs"][0]["scopeLogs"][0]["logRecords"] = [records[place] for place in order]
        session = sent(server, "/v1/logs", body, name)
        (event,) = session.events
        assert event["inputs"] == {"chat_history": [{"role": "user", "content": "Hi"}]}
        assert event["outputs"]["tool_calls"][0]["function"]["name"] == "read_file"
        assert event["outputs"]["role"] == "assistant"
        counts = [event["metadata"][f"{part}_tokens"] for part in ("prompt", "completion", "total")]
        assert (counts, session.summary["tokens"]) == ([12, 10, 22], 22)
        assert event["metadata"]["response_id"] == "r1"


def test_E34_details_without_a_chat_leave_that_of_the_call(server: Served) -> None:
    """By its defaults, Gemini CLI has the instructions alone in them, and the chat in others."""
    at, call = "2026-11-29T17:31:03.323Z", "from ok. Status: 200. Duration: 122ms."
    instructions = '[{"type": "text", "content": "Be brief."}]'
    body = logs(
        "gemini-cli",
        {"session.id": "gemini-4", "event.timestamp": at, "gen_ai.request.model": "ok"},
        ("gemini_cli.api_request", {"request_text": '[{"role":"user","parts":[{"text":"Hi"}]}]'}),
        ("gemini_cli.api_response", {"model": "ok", "response_text": "Hello."}),
        (
            "gen_ai.client.inference.operation.details",
            {
                "gen_ai.operation.name": "generate_content",
                "gen_ai.system_instructions": instructions,
            },
        ),
    )
    records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    records[0] |= {"traceId": "6b8efff798038103d269b633813fc604", "spanId": "00000000000000aa"}
    records[1]["body"] = value(f"API response {call}")
    records[2]["body"] = value(f"GenAI operation details {call}")
    session = sent(server, "/v1/logs", body, "gemini-4")
    (prompt,), (answered,) = events_of(session, "chain"), events_of(session, "model")
    assert prompt["inputs"] == {"chat_history": [{"role": "user", "content": "Hi"}]}
    assert answered["outputs"] == {"role": "assistant", "content": "Hello."}
    assert answered["inputs"] == {}
    assert answered["metadata"]["instructions"] == ["Be brief."]


def test_E34_steps_of_gemini_cli_and_codex_are_steps_within_spans_too(server: Served) -> None:
    """Their spans are of their own functions, and notes; forks have names of their own."""
    span_id = "00000000000000aa"
    for number, (scope, prefix, span_name) in enumerate(
        (
            ("gemini-cli", "gemini_cli", "schedule_tool_calls"),
            ("qwen-code", "qwen-code", "tool_call"),
            ("codex_exec", "codex", "fs.read_file"),
        )
    ):
        trace = f"7b8efff79803810{number}d269b633813fc770"
        name = f"steps-{scope}"
        common = {"session.id": name}
        body = logs(
            scope, common,
            (f"{prefix}.user_prompt", {"prompt": "Fix the test."}),
            (f"{prefix}.tool_call", {"function_name": "read_file", "function_args": "{}"}),
        )  # fmt: skip
        for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
            record |= {"traceId": trace, "spanId": span_id}
        own = {
            "traceId": trace, "spanId": span_id, "parentSpanId": "", "name": span_name,
            "startTimeUnixNano": str(START * 10**9), "endTimeUnixNano": str((START + 1) * 10**9),
            "attributes": pairs({**common, "busy_ns": 12}),
        }  # fmt: skip
        scoped = {"scope": {"name": scope}, "spans": [own]}
        sent(server, "/v1/traces", {"resourceSpans": [{"scopeSpans": [scoped]}]}, name)
        session = sent(server, "/v1/logs", body, name)
        steps = [(event["event_type"], event["event_name"]) for event in session.events]
        assert steps == [("chain", f"{prefix}.user_prompt"), ("tool", "read_file")]
        assert [note["name"] for note in session.record["metadata"]["logs"]] == [span_name]


def test_claude_code_s_spans_have_what_tools_and_records_say(server: Served) -> None:
    """A tool's arguments and output, and the answer of an interaction, which is a log record."""
    trace = "8b8efff798038103d269b633813fc602"

    def span(number: int, parent: str, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
        return {
            "traceId": trace, "spanId": f"{number:016x}", "parentSpanId": parent, "name": name,
            "startTimeUnixNano": str((START + number) * 10**9),
            "endTimeUnixNano": str((START + number + 1) * 10**9),
            "attributes": pairs({"session.id": "claude-3", **attributes}),
        }  # fmt: skip

    output = {"name": "tool.output", "timeUnixNano": str(START * 10**9)}
    spans = [
        span(1, "", "claude_code.interaction", {"user_prompt": "What is in it?"}),
        span(2, f"{1:016x}", "claude_code.tool", {"tool_name": "Read", "file_path": "/a"})
        | {"events": [{**output, "attributes": pairs({"file_path": "/a", "content": "rain"})}]},
        span(3, f"{2:016x}", "claude_code.tool.execution", {"success": True}),
    ]
    scoped = {"scope": {"name": "com.anthropic.claude_code.tracing"}, "spans": spans}
    sent(server, "/v1/traces", {"resourceSpans": [{"scopeSpans": [scoped]}]}, "claude-3")
    common = {"session.id": "claude-3"}
    body = logs(
        "com.anthropic.claude_code.events", common, ("assistant_response", {"response": "Rain."})
    )
    for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        record |= {"traceId": trace, "spanId": f"{1:016x}"}
    session = sent(server, "/v1/logs", body, "claude-3")
    (tool,) = events_of(session, "tool")
    assert (tool["inputs"], tool["outputs"]) == ({"file_path": "/a"}, {"result": "rain"})
    assert "file_path" not in tool["metadata"]
    interaction, execution = events_of(session, "chain")
    assert interaction["outputs"] == {"role": "assistant", "content": "Rain."}
    assert execution["parent_id"] == tool["event_id"]


def test_claude_code_s_bodies_are_chats(server: Served) -> None:
    """Where the user lets it log them; one that was cut is kept as it is."""
    reply = '{"role": "assistant", "content": [{"type": "text", "text": "Rain."}], "usage": {}}'
    session = sent(
        server,
        "/v1/logs",
        logs(
            "com.anthropic.claude_code.events",
            {"session.id": "claude-4"},
            ("api_request_body", {"body": '{"messages": [{"role": "user", "content": "Hi"}]}'}),
            ("api_response_body", {"body": reply}),
            ("api_request_body", {"body": '{"messages": [{"ro', "body_truncated": "true"}),
        ),
        "claude-4",
    )
    prompt, answered, cut = events_of(session, "chain")
    assert prompt["inputs"] == {"chat_history": [{"role": "user", "content": "Hi"}]}
    assert answered["outputs"] == {"role": "assistant", "content": "Rain."}
    assert cut["metadata"]["body"].startswith('{"messages"')


def test_opencode_s_own_functions_are_notes(server: Served) -> None:
    """Its calls of models are the spans of Vercel's SDK among them."""
    trace = "9b8efff798038103d269b633813fc778"
    own = {
        "traceId": trace, "spanId": f"{1:016x}", "parentSpanId": "", "name": "sql.execute",
        "startTimeUnixNano": str(START * 10**9), "endTimeUnixNano": str((START + 2) * 10**9),
        "attributes": pairs({"db.system.name": "sqlite"}),
    }  # fmt: skip
    call = {
        **own, "spanId": f"{2:016x}", "parentSpanId": f"{1:016x}", "name": "ai.streamText.doStream",
        "attributes": pairs({
            "ai.operationId": "ai.streamText.doStream", "ai.model.id": "ok", "session.id": "oc-1",
            "ai.telemetry.metadata.sessionId": "oc-1", "ai.response.text": "Rain.",
        }),
    }  # fmt: skip
    scoped = {"scope": {"name": "opencode"}, "spans": [own, call]}
    session = sent(server, "/v1/traces", {"resourceSpans": [{"scopeSpans": [scoped]}]}, "oc-1")
    (event,) = session.events
    assert (event["event_name"], event["outputs"]["content"]) == ("chat ok", "Rain.")
    assert event["parent_id"] == session.summary["session_id"]


def test_what_an_agent_does_for_a_prompt_is_below_it(server: Served) -> None:
    """Claude Code and Gemini CLI name the prompt; each prompt is a turn of the thread."""
    for scope, prefix, key in (
        ("gemini-cli", "gemini_cli.", "prompt_id"),
        ("com.anthropic.claude_code.events", "", "prompt.id"),
    ):
        name = f"prompts-{scope}"
        turns = [
            event
            for number in (1, 2)
            for event in (
                (f"{prefix}user_prompt", {"prompt": f"Question {number}", key: f"p{number}"}),
                (f"{prefix}tool_result", {"tool_name": "Read", key: f"p{number}"}),
            )
        ]
        session = sent(server, "/v1/logs", logs(scope, {"session.id": name}, *turns), name)
        prompts, tools = events_of(session, "chain"), events_of(session, "tool")
        assert [tool["parent_id"] for tool in tools] == [prompt["event_id"] for prompt in prompts]
        assert {prompt["parent_id"] for prompt in prompts} == {session.summary["session_id"]}
        thread = server.json(f"/api/sessions/{session.summary['session_id']}/thread")
        questions = [turn["lines"][0]["text"] for turn in thread["turns"]]
        assert questions == ["Question 1", "Question 2"]


def test_E34_traces_of_an_agent_s_own_functions_are_no_sessions(server: Served) -> None:
    """opencode has a trace for each query of its database; they are refused and counted."""
    own = {
        "traceId": "ab8efff798038103d269b633813fc779", "spanId": f"{1:016x}", "parentSpanId": "",
        "name": "sql.execute", "startTimeUnixNano": str(START * 10**9),
        "endTimeUnixNano": str((START + 2) * 10**9),
        "attributes": pairs({"db.system.name": "sqlite"}),
    }  # fmt: skip
    before = len(server.json("/api/sessions?limit=500")["sessions"])
    scoped = {"scope": {"name": "opencode"}, "spans": [own, {**own, "spanId": f"{2:016x}"}]}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [scoped]}]}).encode()
    status, _, reply = server.request("/v1/traces", "POST", body, Content_Type="application/json")
    partial = json.loads(reply)["partialSuccess"]
    assert (status, int(partial["rejectedSpans"])) == (200, 2)
    assert "own functions" in partial["errorMessage"]
    assert len(server.json("/api/sessions?limit=500")["sessions"]) == before
