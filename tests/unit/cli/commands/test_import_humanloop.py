"""A Humanloop export becomes sessions in the local store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from sessiontrace.model.record import END, EVENT, START
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.vendors.humanloop.export_file import BadLineError, Survey, read_line, records_of

pytest.importorskip("rich", reason="needs the extra 'cli'")

FLOW = {
    "id": "log_flow",
    "trace_id": "log_flow",
    "flow": {"id": "fl_1", "path": "app/chat", "version_id": "flv_1"},
    "start_time": "2025-01-02T03:04:05.000Z",
    "end_time": "2025-01-02T03:04:07Z",
    "inputs": {"q": "why?"},
    "output": "so",
    "log_status": "complete",
    "metadata": {"tenant": "t"},
}
PROMPT = {
    "id": "log_prompt",
    "trace_id": "log_flow",
    "trace_parent_id": "log_tool",
    "prompt": {"path": "app/llm", "model": "gpt-4", "provider": "openai", "temperature": 0.5},
    "start_time": "2025-01-02T03:04:05.1000000",
    "provider_latency": 0.5,
    "messages": [{"role": "user", "content": "why?"}],
    "output_message": {"role": "assistant", "content": "so"},
    "prompt_tokens": 3,
    "output_tokens": 2,
    "prompt_cost": 0.5,
    "output_cost": 0.25,
    "error": None,
}
TOOL = {
    "id": "log_tool",
    "trace_id": "log_flow",
    "trace_parent_id": "log_flow",
    "tool": {"path": "app/look", "function": {"name": "look"}},
    "created_at": "2025-01-02T03:04:05.050Z",
    "error": "ValueError: x",
}
V4 = {
    "id": "data_1",
    "session_id": "sesh_1",
    "project": "old",
    "config": {"type": "model", "model": "gpt-3", "id": "config_1"},
    "created_at": "2024-01-02T03:04:05",
    "duration": 1.5,
    "output": "text",
    "feedback": [{"type": "rating", "value": "good", "id": "ann_1"}],
}
ALONE = {
    "id": "log_alone",
    "prompt": {"path": "p", "model": "m"},
    "start_time": "2025-01-02T00:00Z",
}


def read(*logs: dict[str, Any]) -> list[tuple[bytes, dict[str, Any]]]:
    survey = Survey()
    for log in logs:
        survey.note(log)
    return [
        (record.kind, orjson.loads(record.body))
        for log in logs
        for record in records_of(log, survey)
    ]


def test_a_flow_log_is_a_session_and_the_logs_below_it_its_events() -> None:
    """Prompts are model events, tools tools; times are ms; ids hang together."""
    found = read(PROMPT, TOOL, FLOW)
    assert [kind for kind, _ in found] == [EVENT, EVENT, START, END]
    prompt, tool, start, end = (body for _, body in found)
    assert prompt["session_id"] == tool["session_id"] == end["event_id"] == start["session_id"]
    assert prompt["parent_id"] == tool["event_id"]
    assert tool["parent_id"] == end["session_id"]
    assert (prompt["event_type"], tool["event_type"]) == ("model", "tool")
    assert prompt["config"] == {
        "model": "gpt-4",
        "provider": "openai",
        "hyperparameters": {"temperature": 0.5},
    }
    assert prompt["inputs"] == {"chat_history": [{"role": "user", "content": "why?"}]}
    assert prompt["metadata"]["cost"] == 0.75
    assert prompt["metadata"]["completion_tokens"] == 2
    assert prompt["duration"] == 500.0
    assert tool["error"] == "ValueError: x"
    assert end["duration"] == 2000.0
    assert end["outputs"] == {"result": "so"}
    assert end["metadata"]["tenant"] == "t"
    assert end["metadata"]["humanloop"]["log_id"] == "log_flow"
    assert "outputs" not in start


def test_logs_of_a_v4_session_get_a_session_made_of_them() -> None:
    """No log stands for the session itself: it lasts from its first log to its last."""
    second = {**V4, "id": "data_2", "created_at": "2024-01-02T03:05:05"}
    found = read(second, V4)
    assert [kind for kind, _ in found] == [START, END, EVENT, EVENT]
    end = found[1][1]
    assert end["duration"] == 61_500.0
    event = found[3][1]
    assert event["feedback"] == {"rating": "good"}
    assert event["parent_id"] == end["session_id"]
    assert event["end_time"] - event["start_time"] == 1500


def test_a_log_of_no_trace_is_a_session_of_its_own() -> None:
    """So that it can be found."""
    found = read(ALONE)
    assert [kind for kind, _ in found] == [START, END, EVENT]


def test_the_same_export_gives_the_same_bytes() -> None:
    """Ids follow from Humanloop's, so a second import changes nothing."""
    assert read(FLOW, PROMPT, V4, ALONE) == read(FLOW, PROMPT, V4, ALONE)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no id"),
        (b'{"id": 7}', "no id"),
        (b'{"id": "x"}', "start_time or created_at"),
        (b'{"id": "x", "start_time": "soon"}', "start_time or created_at"),
    ],
)
def test_a_line_that_is_no_log_says_why(line: bytes, why: str) -> None:
    """For the report by number."""
    with pytest.raises(BadLineError, match=why):
        read_line(line)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SESSIONTRACE_STORE", str(tmp_path / "store.db"))
    monkeypatch.setenv("SESSIONTRACE_SPOOL", str(tmp_path / "state" / "spool"))
    for file, lines in {
        "fl_1/logs/1.jsonl": [json.dumps(FLOW)],
        "pr_1/logs/1.jsonl": [json.dumps(PROMPT), "{broken", "", json.dumps(TOOL)],
        "pr_1/logs/2.jsonl": [json.dumps({**PROMPT, "id": "log_p2"}), "[]"],
    }.items():
        path = tmp_path / "exports" / "files" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*words: str) -> int:
    from sessiontrace.cli import main

    return main(["import", "humanloop", *words])


def test_an_export_is_imported_its_bad_lines_told_and_a_second_run_does_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four logs in one session; two lines skipped by number; then everything is done before."""
    assert run(str(place / "exports")) == 1
    printed = capsys.readouterr()
    assert "4 logs imported to local, 2 lines skipped" in printed.out
    assert "1.jsonl:2: not JSON" in printed.err
    assert "2.jsonl:2: not a JSON object" in printed.err
    store = SqliteStore(place / "store.db", read_only=True)
    (session,) = store.sessions(SessionQuery()).sessions
    assert session.name == "app/chat"
    assert session.events == 3
    store.close()
    assert run(str(place / "exports")) == 0
    assert "0 logs imported to local, 6 lines done before" in capsys.readouterr().out
    assert run(str(place / "exports"), "--again") == 1
    store = SqliteStore(place / "store.db", read_only=True)
    assert store.sessions(SessionQuery()).sessions[0].events == 3
    store.close()


def test_a_folder_without_logs_says_what_may_be_wrong(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Humanloop's own tool left the logs out unless told otherwise."""
    (place / "empty").mkdir()
    assert run(str(place / "empty")) == 1
    assert "EXPORT_LOGS=true" in capsys.readouterr().err


def test_a_destination_that_does_not_answer_stops_the_import_and_keeps_its_place(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost: the spool has it, and the next run begins where this one was sure."""
    monkeypatch.setattr("sessiontrace.cli.commands.import_humanloop._FLUSH_S", 0.2)
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_1")
    monkeypatch.setenv("POSTHOG_HOST", "http://127.0.0.1:9")
    assert run(str(place / "exports"), "--to", "posthog") == 1
    assert "continues where it stopped" in capsys.readouterr().err
