"""The command line: ``sessiontrace COMMAND``, one module in ``commands`` for each command.

Runs in a process of its own, in the main thread. Invariant: every command is listed, and explains
itself, without the extra ``cli``; a command that draws with rich exits with status 2 without it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from sessiontrace.cli.app import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; ``arguments`` default to the process's own."""
    if sys.stdout is None:  # closed by the caller: `>&-`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show the lines of a tree gets question marks instead of an error.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    status = run(sys.argv[1:] if arguments is None else arguments)
    return _flushed(status)


def _flushed(status: int) -> int:
    """The status, or 1 where the output does not reach its file; a closed pipe is not a fault."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EPIPE:
            status = status or 1
            sys.stderr.write(f"Error: the output cannot be written: {error.strerror}\n")
        # The interpreter flushes once more at its end; that must not fail again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return status
