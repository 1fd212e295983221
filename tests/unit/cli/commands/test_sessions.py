"""``sessions list`` and ``sessions show``: finding a session and reading a step in a terminal."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from support.records import T0, event, id_of, session_end, write

from sessiontrace.cli import main
from sessiontrace.model.ids import new_id, session_uuid

OWN_ID = "conv-ada-7"


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A store with three sessions: one that failed, one with turns, one of yesterday."""
    path = tmp_path / "store.db"
    monkeypatch.setenv("SESSIONTRACE_STORE", str(path))
    now = time.time_ns() // 10**6
    found = {"broken": new_id(), "talk": session_uuid(OWN_ID), "old": new_id()}
    ask = event(
        found["broken"], now - 4900, event_type="model", event_name="ask", inputs={
            "chat_history": [{"role": "user", "content": "Where is it?\nThanks"}]},
        outputs={"role": "assistant", "content": "On \x1b[31mits way"}, config={"model": "gpt-5"},
        metadata={"total_tokens": 1_200_000, "cost": 12.5},
    )  # fmt: skip
    fetch = event(found["broken"], now - 4500, event_name="fetch", error="TimeoutError: no")
    again = event(found["broken"], now - 4400, event_name="fetch", inputs={"id": 4711})
    write(
        path,
        session_end(
            found["broken"], now - 5000, 1000, event_name="a name that is longer than its column",
            error="TimeoutError: no", user_properties={"user_id": "ada.lovelace@example.org"},
            metadata={"tags": ["vip"]},
        ),
        ask, fetch, again,
        session_end(found["talk"], now - 50, 40, event_id=new_id(),
                    metadata={"session_id": OWN_ID}, event_name="talk"),
        session_end(found["old"], T0, 1000, event_name="old"),
    )  # fmt: skip
    return {**found, "ask": id_of(ask), "again": id_of(again)}


def output(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(words) == status
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    return captured.out if status == 0 else captured.err


def names(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    listed = json.loads(output(capsys, "sessions", "list", "--json", *words))
    return [session["name"].partition(" ")[0] for session in listed]


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_the_list_fits_the_terminal_and_its_ids_can_be_copied(
    ids: dict[str, str], capsys, monkeypatch: pytest.MonkeyPatch, width: int
):
    """Eighty columns are what a terminal opens with; an id that is cut is of no use."""
    monkeypatch.setenv("COLUMNS", str(width))
    head, *lines = output(capsys, "sessions", "list").splitlines()
    assert all(len(line) <= width for line in (head, *lines))
    assert [line.split()[0] for line in lines] == [ids["talk"], ids["broken"], ids["old"]]
    assert head.split()[:2] == ["ID", "NAME"]
    assert head.split()[-1] == "STATUS"
    assert [line.split()[-1] for line in lines] == ["ended", "failed", "ended"]
    if width == 200:
        columns = ["ID", "NAME", "USER", "ACTIVE", "DURATION", "STEPS", "ERRORS", "TOKENS",
                   "COST", "STATUS"]  # fmt: skip
        assert head.split() == columns
        assert "ada.lovelace@example.org" in lines[1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["talk", "a", "old"]),
        (("user:ada*",), ["a"]),
        (("tag:vip", "cost:>1", "late", "-name:old"), []),
        (("-status:failed",), ["talk", "old"]),
        (("--limit", "1", "-tag:vip"), ["talk"]),
        (("--", "-tag:vip"), ["talk", "old"]),
        (("--user", "ada.lovelace@example.org"), ["a"]),
        (("--name", "ol*"), ["old"]),
        (("--model", "gpt-5"), ["a"]),
        (("--tag", "vip"), ["a"]),
        (("--status", "failed"), ["a"]),
        (("--since", "2h"), ["talk", "a"]),
        (("--until", "7d"), ["old"]),
        (("--min-cost", "12"), ["a"]),
        (("--min-cost", "13"), []),
        (("--type", "model", "--source", "tests"), ["a"]),
        (("--sort", "started", "--reverse"), ["old", "a", "talk"]),
        (("--sort", "tokens", "--limit", "1"), ["a"]),
        (("--text", OWN_ID), ["talk"]),
        ((OWN_ID,), ["talk"]),
    ],
)
def test_a_query_and_options_narrow_the_list(ids: dict[str, str], capsys, words, expected):
    """The same query as on the page; options for what one types most often."""
    assert names(capsys, *words) == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("tag:vip", "usr:ada"), "did you mean 'user'?\n  tag:vip usr:ada\n          ^^^^^^^\n"
                                 "  instead: tag:vip user:ada"),
        (("cost:much",), "cost takes a number, as in 100, 0.1 or 10k; got 'much'"),
        (("--since", "tomorrow"), "--since: since takes a time, as in 2h"),
        (("--status", "failedd"), "did you mean 'failed'"),
        (("--user", " "), "--user: the value is empty"),
        (("--sort", "colour"), "--sort"),
        (("--usr", "ada"), "No such option"),
        (("--min-cost", "-1"), "--min-cost"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_marked(ids: dict[str, str], capsys, words, text):
    """An empty list would say that there is nothing."""
    assert text in output(capsys, "sessions", "list", *words, status=2)


def test_nothing_that_matches_is_not_a_success(ids: dict[str, str], capsys):
    """As grep has it; a script that asks for JSON gets its empty list."""
    assert output(capsys, "sessions", "list", "tag:none", status=1) == "no sessions match\n"
    assert names(capsys, "tag:none") == []


@pytest.mark.parametrize("text", [OWN_ID, OWN_ID.upper()[:4].lower(), "talk", "last"])
def test_a_session_is_shown_by_the_applications_own_id(ids: dict[str, str], capsys, text: str):
    """It is the id that the reader's own log line holds."""
    wanted = ids["talk"] if text == "talk" else text
    assert f"session {ids['talk']} in " in output(capsys, "sessions", "show", wanted)


def test_a_prefix_of_several_sessions_lists_them_with_names(ids: dict[str, str], capsys):
    """Bare ids say nothing about which to take."""
    shared = ids["broken"][:6]
    assert ids["old"][:6] == shared, "both are of this month"
    error = output(capsys, "sessions", "show", shared, status=1)
    assert f"{ids['old']}  old  " in error
    assert "no session starts with 'zz'" in output(capsys, "sessions", "show", "zz", status=1)


def test_one_step_is_shown_with_what_went_in_and_out(ids: dict[str, str], capsys):
    """By name, number or id; text as text, a chat as a chat."""
    shown = output(capsys, "sessions", "show", ids["broken"], "ask", "--io")
    head, *lines = shown.splitlines()
    assert head.startswith("ask  model · 100 ms · 1,200,000 tokens · $12.50 · ")
    assert head.endswith(ids["ask"])
    assert lines == [
        "inputs:", "  chat_history:", "    user:", "      Where is it?", "      Thanks",
        "outputs:", "  assistant: On \\x1b[31mits way",
    ]  # fmt: skip
    for step in ("1", ids["ask"], ids["ask"][:-1], "ASK"):
        assert output(capsys, "sessions", "show", ids["broken"], step, "--io") == shown
    whole = output(capsys, "sessions", "show", ids["broken"], "ask")
    assert "config:\n  model: gpt-5\n" in whole
    assert "✗ TimeoutError: no" in output(capsys, "sessions", "show", ids["broken"], "error")
    as_json = json.loads(output(capsys, "sessions", "show", ids["broken"], "3", "--io", "--json"))
    assert as_json == {"inputs": {"id": 4711}, "outputs": None}
    everything = output(capsys, "sessions", "show", ids["broken"], "--io")
    assert "└── fetch" in everything
    assert everything.count("inputs:") == 2


def test_a_step_that_is_not_one_is_an_error_that_lists_steps(ids: dict[str, str], capsys):
    """Two steps have the name, or none has it."""
    error = output(capsys, "sessions", "show", ids["broken"], "fetch", status=1)
    assert "2 steps have the name 'fetch'" in error
    assert ids["again"] in error
    error = output(capsys, "sessions", "show", ids["broken"], "fetched", status=1)
    assert "steps are ask, fetch" in error
    for step in ("0", "9", "99999999999"):
        output(capsys, "sessions", "show", ids["broken"], step, status=1)


def test_a_session_that_failed_is_called_failed_everywhere(ids: dict[str, str], capsys):
    """List, tree, JSON and the exported page, as on the page."""
    sid = ids["broken"]
    head = output(capsys, "sessions", "show", sid).splitlines()[1]
    assert " · failed · 3 steps" in head
    for words in (("sessions", "show", sid, "--json"), ("export", sid)):
        assert json.loads(output(capsys, *words))["summary"]["outcome"] == "failed"
    assert main(["export", sid, "--format", "html"]) == 0
    assert " · failed · " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    ["keys list", "keys revoke x", "sessions list", "sessions show x", "export x", "tail",
     "spool status", "spool dead"],
)  # fmt: skip
def test_commands_that_read_create_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, words: str
):
    """No folder, no database, where there was none."""
    monkeypatch.setenv("SESSIONTRACE_STORE", str(tmp_path / "none" / "store.db"))
    monkeypatch.setenv("SESSIONTRACE_SPOOL", str(tmp_path / "spool"))
    assert main(words.split()) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_sessions_are_deleted_by_query_and_by_id(ids: dict[str, str], capsys):
    """All of a user, then one by the application's own id; the report counts them."""
    user = "ada.lovelace@example.org"
    text = output(capsys, "sessions", "delete", "--user", user, "--yes")
    assert text.startswith("deleted 1 session with 3 steps from ")
    assert names(capsys) == ["talk", "old"]
    assert "deleted 1 session" in output(capsys, "sessions", "delete", "--id", OWN_ID, "--yes")
    assert names(capsys) == ["old"]
    told = output(capsys, "sessions", "delete", "--user", user, "--yes", status=1)
    assert told == "no sessions match\n"


def test_nothing_is_deleted_without_a_name_or_a_yes(
    ids: dict[str, str], capsys, monkeypatch: pytest.MonkeyPatch
):
    """An empty command would be every session; a pipe that ends answers no question."""
    assert "a query, --id or --all" in output(capsys, "sessions", "delete", status=2)
    both = ("sessions", "delete", "--all", "--id", ids["old"])
    assert "one of them" in output(capsys, *both, status=2)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["sessions", "delete", "--all"]) == 130
    captured = capsys.readouterr()
    assert "delete 3 sessions from " in captured.out
    assert len(names(capsys)) == 3
