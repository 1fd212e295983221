"""The command line: ``sessiontrace COMMAND``, one file for each command.

Runs in a process of its own, in the main thread. Invariant: ``serve``, ``run``, ``keys`` and
``store`` need nothing beyond the package, and what their store needs; every other command, without
its extra, says what to install and exits with status 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_USAGE = """\
usage: sessiontrace COMMAND [OPTIONS]

  serve       show the sessions of the local store in a browser
  run         run a program with its model calls traced
  keys        API keys for a server that others reach
  store       make or migrate the tables of a store in ClickHouse
  sessions    list sessions, or show one as a tree           (needs the extra 'cli')
  tail        print steps as they are written                (needs the extra 'cli')
  export      write one session as JSON, OTLP or HTML        (needs the extra 'cli')
  spool       tell what waits on this machine to be sent     (needs the extra 'cli')

`sessiontrace COMMAND --help` tells more. The extra: pip install 'sessiontrace[cli]'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. ``arguments``: default those of the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a tree's lines gets question marks instead of an error.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    if words[:1] == ["serve"]:
        from sessiontrace.cli.commands import serve

        return serve.run(words[1:])
    if words[:1] == ["run"]:
        from sessiontrace.cli.commands import run as program

        return program.run(words[1:])
    if words[:1] == ["keys"]:
        from sessiontrace.cli.commands import keys

        return keys.run(words[1:])
    if words[:1] == ["store"]:
        from sessiontrace.cli.commands import store

        return store.run(words[1:])
    try:
        import click  # noqa: F401 - only to see whether the extra is here
        import rich  # noqa: F401
    except ModuleNotFoundError:
        return _without_extra(words)
    from sessiontrace.cli.app import run

    return run(words)


def _without_extra(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_USAGE, end="")
        return 0
    print(
        f"sessiontrace {words[0]} needs the extra 'cli': pip install 'sessiontrace[cli]'",
        file=sys.stderr,
    )
    return 2
