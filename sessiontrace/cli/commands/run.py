"""``sessiontrace run``: start a program with every known library instrumented.

Runs in the process that becomes the program: its pid, signals and streams stay. Invariant: the
program is started as it would be without us, but for ``PYTHONPATH`` and a few variables of ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

__all__ = ["command", "environment", "run"]

_USAGE = """\
usage: sessiontrace run [OPTIONS] PROGRAM.py [ARGUMENTS]
       sessiontrace run [OPTIONS] -m MODULE [ARGUMENTS]
       sessiontrace run [OPTIONS] COMMAND [ARGUMENTS]       such as: uvicorn app:app --workers 2

Runs a program with its model calls traced: they go where SESSIONTRACE_DESTINATIONS says, by
default into the local store (`sessiontrace serve` shows it).

  --name NAME     the session's name (default: the program's)
  -h, --help      show this

SESSIONTRACE_AUTO=0 in the environment of a child switches it off there.
"""


def run(arguments: Sequence[str]) -> int:
    """Become the program; returns only where that is not possible, or with its status."""
    words = list(arguments)
    name = None
    while words and words[0].startswith("-") and words[0] != "-m":
        option = words.pop(0)
        if option in ("-h", "--help"):
            print(_USAGE, end="")
            return 0
        if option == "--":
            break
        if option.startswith("--name="):
            name = option.partition("=")[2]
        elif option == "--name" and words:
            name = words.pop(0)
        else:
            return _cannot(f"unknown option {option}; see `sessiontrace run --help`")
    if not words or words == ["-m"]:
        return _cannot("there is no program to run; see `sessiontrace run --help`")
    argv = command(words)
    if argv is None:
        return _cannot(f"there is no file and no command named {words[0]}")
    return _become(argv, environment(os.environ, name or _name_of(words)))


def command(words: Sequence[str]) -> list[str] | None:
    """The command line that the words ask for, with an absolute program; None: there is none."""
    first = words[0]
    if first == "-m":
        return [sys.executable, *words]
    found = shutil.which(first)
    if first.endswith((".py", ".pyw")) or (found is None and os.path.exists(first)):
        return [sys.executable, *words] if os.path.exists(first) else None
    return None if found is None else [found, *words[1:]]


def environment(base: Mapping[str, str], name: str) -> dict[str, str]:
    """The program's environment: our bootstrap first on its path, and what it is to wait for."""
    from sessiontrace.instrumentation.launcher import bootstrap, process_session
    from sessiontrace.instrumentation.registry import targets
    from sessiontrace.model.ids import new_id

    where = os.path.dirname(os.path.abspath(bootstrap.__file__))
    paths = [where, *(path for path in base.get("PYTHONPATH", "").split(os.pathsep) if path)]
    return {
        **base,
        "PYTHONPATH": os.pathsep.join(paths),
        "SESSIONTRACE_AUTO": ",".join(targets()),
        process_session.RUN: f"{os.getpid()} {new_id()} {name}",
    }


def _name_of(words: Sequence[str]) -> str:
    return words[1] if words[0] == "-m" else os.path.basename(words[0])


def _become(argv: list[str], variables: dict[str, str]) -> int:
    try:
        if sys.platform == "win32":  # execv there starts a second process and ends the first
            return subprocess.call(argv, env=variables)  # noqa: S603 - what the user asked for
        sys.stdout.flush()
        os.execve(argv[0], argv, variables)  # noqa: S606
    except OSError as error:
        return _cannot(f"{argv[0]} cannot be started: {error.strerror}")


def _cannot(why: str) -> int:
    print(f"sessiontrace run: {why}", file=sys.stderr)
    return 2
