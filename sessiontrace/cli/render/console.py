"""The terminal as rich sees it.

Invariant: rich is imported when something is drawn, not before.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["stdout_console"]

_PIPED_WIDTH = 200
_WIDTH_ENV = "COLUMNS"


def stdout_console() -> Console:
    """A console on stdout; a pipe is 200 columns wide, because pipes feed grep, or ``COLUMNS``."""
    from rich.console import Console as RichConsole

    class Console(RichConsole):
        def on_broken_pipe(self) -> None:  # rich would exit with status 1
            raise BrokenPipeError(errno.EPIPE, "the output is closed")

    if sys.stdout.isatty():
        return Console(highlight=False)
    columns = os.environ.get(_WIDTH_ENV, "")
    piped = int(columns) if columns.isascii() and columns.isdigit() else 0
    return Console(highlight=False, width=min(piped, 10_000) or _PIPED_WIDTH)
