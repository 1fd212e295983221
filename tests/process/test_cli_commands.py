"""The command line as a user runs it: its own process, its real output and exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.records import T0, event, id_of, session_end, session_start, write
from support.subprocesses import environment

from sessiontrace.cli.app import COMMANDS, root
from sessiontrace.model.ids import new_id

WITHOUT_EXTRA = """
import sys
sys.modules["rich"] = None
from sessiontrace.cli import main
sys.exit(main(sys.argv[1:]))
"""


def sessiontrace(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``python -m sessiontrace WORDS``"""
    return subprocess.run(
        [sys.executable, "-m", "sessiontrace", *words],
        env=environment(home, **env), capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """The command and all below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), name)
            assert child is not None
            yield from commands(child, f"{path} {name}")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_sessions_are_listed_and_one_is_shown_by_its_beginning(tmp_path: Path, db: Path):
    """From the list to the tree with what the list prints as ID."""
    sid, other = new_id(T0 * 10**6), new_id()
    write(db, session_end(sid, T0, user_properties={"user_id": "ada"}), event(sid, T0, error="no"))
    write(db, session_start(other, T0 + 2_000, event_name="later"))
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
        (["sessions", "show", "0"], 1, "2 sessions or more start with '0'"),
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


def without_extra(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``sessiontrace WORDS`` on a machine without rich."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, *words],
        env=environment(home, **env), capture_output=True, text=True, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["sessions", "list"],
        ["sessions", "show", "last"],
        ["tail"],
        ["spool", "status"],
        ["spool", "dead"],
        ["spool", "flush"],
        ["spool", "drain"],
        ["import", "humanloop", "."],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_without_the_extra_a_command_that_draws_says_what_to_install(
    tmp_path: Path, words: list[str]
):
    """`pip install sessiontrace` alone, then `sessiontrace sessions list`: nothing is done."""
    done = without_extra(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs the extra 'cli': pip install 'sessiontrace[cli]'" in done.stderr
    assert words[0] in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_everything_else_works(tmp_path: Path, db: Path):
    """Help of every command, JSON, export and a program's run: nothing of these draws."""
    sid = new_id()
    write(db, session_end(sid))
    for path, command in commands(root, "sessiontrace"):
        words = path.split()[1:]
        done = without_extra(tmp_path, *words, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Usage: {path} " in done.stdout
        for option in command.params:
            assert all(name in done.stdout for name in option.opts if name.startswith("-"))
    listed = without_extra(tmp_path, "sessions", "list", "--json", "--db", str(db))
    assert json.loads(listed.stdout)[0]["session_id"] == sid
    exported = without_extra(tmp_path, "export", "last", "--db", str(db))
    assert json.loads(exported.stdout)["summary"]["session_id"] == sid
    (tmp_path / "app.py").write_text("import sys; print(sys.argv[1:])")
    ran = without_extra(tmp_path, "run", str(tmp_path / "app.py"), "--help")
    assert ran.stdout == "['--help']\n"


@pytest.mark.parametrize("program", [sessiontrace, without_extra])
def test_help_lists_every_command(tmp_path: Path, program):
    """With the extra and without it; there, the end of the list says what to install."""
    done = program(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    names = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line[:2] == "  "]
    assert [name for name in names if name in COMMANDS] == list(COMMANDS)
    assert ("pip install 'sessiontrace[cli]'" in done.stdout) == (program is without_extra)


@pytest.mark.parametrize("program", [sessiontrace, without_extra])
@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("sessiontrace s", ["serve", "sessions", "spool", "store"]),
        ("sessiontrace sessions ", ["delete", "export", "judge", "list", "show"]),
        ("sessiontrace spool d", ["dead", "drain", "drop"]),
        ("sessiontrace serve --keep", ["--keep-days", "--keep-mib"]),
        ("sessiontrace keys add --may ", ["ingest", "read", "both"]),
        ("sessiontrace export --format ", ["json", "otlp", "html"]),
        ("sessiontrace tail --s", ["--session"]),
        ("sessiontrace import h", ["humanloop"]),
        ("sessiontrace doctor --c", ["--canary"]),
        ("sessiontrace store migrate --d", ["--dry-run"]),
        ("sessiontrace run --n", ["--name"]),
    ],
)
def test_the_shell_completes_commands_options_and_choices(
    tmp_path: Path, program, typed: str, completions: list[str]
):
    """As bash asks, with the words typed so far; the extra is not needed."""
    words = typed.split(" ")
    done = program(
        tmp_path,
        _SESSIONTRACE_COMPLETE="bash_complete",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(words) - 1),
    )
    assert done.stderr == ""
    found = [line.removeprefix("plain,") for line in done.stdout.splitlines()]
    assert found == completions


@pytest.mark.parametrize("typed", ["sessiontrace run ", "sessiontrace run app.py --n"])
def test_the_shell_completes_files_for_a_program_and_its_arguments(tmp_path: Path, typed: str):
    """Options behind the program are its own, so ours are not offered there."""
    count = len(typed.split(" "))
    done = sessiontrace(
        tmp_path, _SESSIONTRACE_COMPLETE="bash_complete", COMP_WORDS=typed,
        COMP_CWORD=str(count - 1),
    )  # fmt: skip
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["file"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_each_shell_is_printed(tmp_path: Path, shell: str):
    """What the documented line of the shell's configuration evaluates."""
    done = sessiontrace(tmp_path, _SESSIONTRACE_COMPLETE=f"{shell}_source")
    assert f"_SESSIONTRACE_COMPLETE={shell}_complete" in done.stdout
    assert done.returncode == 0
