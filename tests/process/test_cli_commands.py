"""The command line as a user runs it: its own process, its real output and exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.records import T0, event, id_of, session_end, session_start, write
from support.subprocesses import environment

from sessiontrace.model.ids import new_id

WITHOUT_EXTRA = """
import sys
sys.modules["click"] = sys.modules["rich"] = None
from sessiontrace.cli import main
sys.exit(main(sys.argv[1:]))
"""


def sessiontrace(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``python -m sessiontrace WORDS``"""
    return subprocess.run(
        [sys.executable, "-m", "sessiontrace", *words],
        env=environment(home, **env), capture_output=True, text=True, timeout=30,
    )  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_sessions_are_listed_and_one_is_shown_by_its_beginning(tmp_path: Path, db: Path):
    """From the list to the tree with what the list prints as ID."""
    sid, other = new_id(T0 * 10**6), new_id()
    write(db, session_end(sid, T0, user_properties={"user_id": "ada"}), event(sid, T0, error="no"))
    write(db, session_start(other, T0 + 10, event_name="later"))
    listed = sessiontrace(tmp_path, "sessions", "list", SESSIONTRACE_STORE=str(db))
    assert (listed.returncode, listed.stderr) == (0, "")
    _, first, second = listed.stdout.splitlines()
    assert first.split()[1] == "later"
    assert first.rstrip().endswith("open")
    shown = sessiontrace(tmp_path, "sessions", "show", second.split()[0], "--db", str(db))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert sid in shown.stdout
    assert "└── look_up" in shown.stdout
    assert "✗ no" in shown.stdout


def test_filters_of_the_list(tmp_path: Path, db: Path):
    """Only failed ones; only those with a text; only so many."""
    good, bad = new_id(), new_id()
    write(db, session_end(good, event_name="fine"), session_end(bad, T0 + 1, event_name="broken",
          error="x"))  # fmt: skip
    for words, names in [
        (["--errors"], ["broken"]),
        (["--text", "FIN"], ["fine"]),
        (["--limit", "1"], ["broken"]),
        ([], ["broken", "fine"]),
    ]:
        done = sessiontrace(tmp_path, "sessions", "list", "--db", str(db), "--json", *words)
        assert [one["name"] for one in json.loads(done.stdout)] == names


def test_json_holds_the_session_whole(tmp_path: Path, db: Path):
    """For jq, and for a ticket."""
    sid = new_id()
    step = event(sid, inputs={"q": "\x1b[31m"})
    write(db, session_end(sid, outputs={"a": 1}), step)
    done = sessiontrace(tmp_path, "sessions", "show", sid, "--db", str(db), "--json")
    found = json.loads(done.stdout)
    assert found["session"]["outputs"] == {"a": 1}
    assert found["events"][0]["event_id"] == id_of(step)
    assert found["events"][0]["inputs"] == {"q": "\x1b[31m"}
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["sessions", "show", "ffff"], 1, "no session starts with 'ffff'"),
        (["sessions", "show", "\x1b[2J"], 1, "no session starts with"),
        (["sessions", "show", "0"], 1, "2 sessions or more match"),
        (["sessions", "nonsense"], 2, "No such command"),
        (["sessions", "list", "--limit", "0"], 2, "--limit"),
        (["sessions", "list", "--db", "none.db"], 1, "does not exist"),
        (["nonsense"], 2, "No such command"),
        (["spool", "status", "no/such/folder"], 0, "nothing waits"),
    ],
)
def test_what_is_wrong_is_told_in_words(tmp_path: Path, db: Path, words, status, told):
    """One sentence, an exit status, never a traceback, never a raw control character."""
    write(db, session_end(new_id()), session_end(new_id()))
    done = sessiontrace(tmp_path, *words, SESSIONTRACE_STORE=str(db))
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_fresh_machine_has_no_sessions_and_no_new_files(tmp_path: Path):
    """Looking must not create what was not there."""
    done = sessiontrace(tmp_path, "sessions", "list")
    assert done.returncode == 1
    assert "no session was stored there yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["sessions", "list"], ["spool", "status"], ["nonsense"]])
def test_without_the_extra_a_command_names_it(tmp_path: Path, words: list[str]):
    """`pip install sessiontrace` alone, then `sessiontrace sessions`."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, *words],
        env=environment(tmp_path), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'sessiontrace[cli]'" in done.stderr


def test_without_the_extra_serve_and_help_work(tmp_path: Path):
    """The embedded server is the default of the whole product."""
    for words, told in ((["--help"], "serve"), (["serve", "--help"], "--port")):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_EXTRA, *words],
            env=environment(tmp_path), capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0
        assert told in done.stdout


def test_help_lists_every_command(tmp_path: Path):
    """With the extra too, `serve` is among them."""
    done = sessiontrace(tmp_path, "--help")
    assert done.returncode == 0
    for name in ("serve", "sessions", "spool"):
        assert f"  {name} " in done.stdout
