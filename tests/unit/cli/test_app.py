"""The group of commands: what it lists agrees with the commands, and the page with both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from sessiontrace.cli.app import COMMANDS, root

REPO = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_in_the_list_is_the_first_line_of_the_commands_help(name: str) -> None:
    """The list imports no command, so it repeats the line; the two must not drift apart."""
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.name == name
    assert str(command.help).splitlines()[0] == f"{COMMANDS[name].summary}."


def test_every_module_in_commands_is_in_the_list_or_part_of_a_command() -> None:
    """A module that was added and not entered would never run."""
    folder = REPO / "sessiontrace" / "cli" / "commands"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    parts = {
        "dead_letters",
        "delete_sessions",
        "export_sessions",
        "judge_session",
        "spool_delivery",
    }  # subcommands of others
    assert {entry.module for entry in COMMANDS.values()} == modules - parts


def test_the_list_of_commands_imports_none_of_them() -> None:
    """Help, completion and `run` start fast."""
    code = (
        "import sys\n"
        "from sessiontrace.cli import main\n"
        "main(['--help'])\n"
        "names = ('rich', 'sqlite3', 'aiohttp', 'sessiontrace.cli.commands')\n"
        "print([name for name in names if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_the_page_on_the_command_line_is_what_the_commands_say() -> None:
    """`python tools/command_line_page.py` writes it anew."""
    script = REPO / "tools" / "command_line_page.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
