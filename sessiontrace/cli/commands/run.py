"""``sessiontrace run``: start a program with every known library instrumented.

Runs in the process that becomes the program: its pid, signals and streams stay. Invariant: the
program starts as it would without sessiontrace, except for ``PYTHONPATH`` and a few variables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

__all__ = ["argv_of", "command", "environment"]


class _ProgramCommand(click.Command):
    """Completes file names behind the program: the options there are the program's own."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if ctx.params.get("words"):
            return [CompletionItem(incomplete, type="file")]
        return super().shell_complete(ctx, incomplete)


def _complete_program(
    context: click.Context, argument: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


@click.command(
    "run",
    cls=_ProgramCommand,
    # The first word that is not an option of ours, and all behind it, belong to the program. `-m`
    # is the program's too, so that options behind it are not ours; _check_options finds the others.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--name", metavar="NAME", help="The session's name. Default: the program's name.")
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="PROGRAM [ARGUMENTS]...",
    shell_complete=_complete_program,
)
def command(name: str | None, words: tuple[str, ...]) -> None:
    """Run a program with its model calls traced.

    \b
      sessiontrace run PROGRAM.py [ARGUMENTS]...
      sessiontrace run -m MODULE [ARGUMENTS]...
      sessiontrace run COMMAND [ARGUMENTS]...     for example: uvicorn app:app --workers 2

    Sessions go to SESSIONTRACE_DESTINATIONS, by default to the local store, which `sessiontrace
    serve` shows. Options before PROGRAM are for sessiontrace, all words after it for the program.
    SESSIONTRACE_AUTO=0 in the environment of a child process switches tracing off there.
    """
    _check_options(words)
    argv = argv_of(words)
    if argv is None:
        raise click.UsageError(f"no file and no command is named {words[0]}")
    _become(argv, environment(os.environ, name or _name_of(words)))


def _check_options(words: Sequence[str]) -> None:
    if not words or words == ("-m",):
        raise click.UsageError("no program to run: name a file, a module (-m) or a command")
    if words[0].startswith("-") and words[0] != "-m":
        raise click.NoSuchOption(words[0])


def argv_of(words: Sequence[str]) -> list[str] | None:
    """The command line for ``words``, with an absolute program; None when there is no program."""
    first = words[0]
    if first == "-m":
        return [sys.executable, *words]
    path = shutil.which(first)
    if first.endswith((".py", ".pyw")) or (path is None and os.path.exists(first)):
        return [sys.executable, *words] if os.path.exists(first) else None
    return None if path is None else [path, *words[1:]]


def environment(base: Mapping[str, str], name: str) -> dict[str, str]:
    """The program's environment: the bootstrap first on its path, and the libraries to trace."""
    from sessiontrace.instrumentation.launcher import bootstrap, process_session
    from sessiontrace.instrumentation.registry import targets
    from sessiontrace.model.ids import new_id

    folder = os.path.dirname(os.path.abspath(bootstrap.__file__))
    present = base.get("PYTHONPATH", "")
    # An empty entry is the current directory; an empty variable is none.
    paths = [folder, *(present.split(os.pathsep) if present else ())]
    return {
        **base,
        "PYTHONPATH": os.pathsep.join(paths),
        "SESSIONTRACE_AUTO": ",".join(targets()),
        process_session.RUN: f"{os.getpid()} {new_id()} {name}",
    }


def _name_of(words: Sequence[str]) -> str:
    return words[1] if words[0] == "-m" else os.path.basename(words[0])


def _become(argv: list[str], variables: dict[str, str]) -> NoReturn:
    try:
        if sys.platform == "win32":  # execv there starts a second process and ends the first
            status = subprocess.call(argv, env=variables)  # noqa: S603 - what the user asked for
            raise click.exceptions.Exit(status)
        sys.stdout.flush()
        os.execve(argv[0], argv, variables)  # noqa: S606
    except OSError as error:
        raise click.UsageError(f"{argv[0]} cannot be started: {error.strerror}") from error
    except ValueError as error:  # a null byte in a name
        raise click.UsageError(f"{argv[0]!r} cannot be started: {error}") from error
