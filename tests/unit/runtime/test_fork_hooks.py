"""Hooks around a fork run in the order of the table, whatever registered them first."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.patience import patience

import sessiontrace

PROGRAM = """
import os
from sessiontrace.runtime import fork_hooks

reader, writer = os.pipe()

def note(text):
    return lambda: os.write(writer, (text + " ").encode())

def failing():
    os.write(writer, b"failing ")
    raise OSError

fork_hooks.TRACERS.register(before=note("t0"), in_parent=note("t1"), in_child=note("t2"))
fork_hooks.STORES.register(before=note("s0"), in_parent=note("s1"), in_child=failing)
fork_hooks.IDS.register(in_child=note("i2"))
fork_hooks.EXECUTORS.register(in_child=note("e2"))
if (child := os.fork()) == 0:
    os._exit(0)
os.waitpid(child, 0)
os.close(writer)
print(os.read(reader, 1000).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_hooks_run_in_the_order_of_the_stages() -> None:
    """Registered from the last stage to the first; one of them fails, and only it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=patience(30),
    )
    words = done.stdout.split()
    assert words[:2] == ["t0", "s0"]
    assert [word for word in words if word.endswith("1")] == ["s1", "t1"]
    in_child = [word for word in words if word.endswith(("2", "failing"))]
    assert in_child == ["i2", "e2", "failing", "t2"]
    assert "OSError" in done.stderr


def test_no_other_module_registers_fork_hooks() -> None:
    """One place knows the order."""
    root = Path(sessiontrace.__file__).parent
    users = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "register_at_fork"
    }
    assert users == {"runtime/fork_hooks.py"}
