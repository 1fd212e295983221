"""The command line: ``sessiontrace COMMAND``, one module in ``commands`` for each command.

Runs in a process of its own, in the main thread. Invariant: every command is listed, and explains
itself, without the extra ``cli``; a command that draws with rich exits with status 2 without it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sessiontrace.cli.app import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; ``arguments`` default to the process's own."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show the lines of a tree gets question marks instead of an error.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    return run(sys.argv[1:] if arguments is None else arguments)
