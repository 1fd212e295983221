"""The terminal as rich sees it: its console, and a table as every command draws it.

Invariant: rich is imported when something is drawn, not before.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["stdout_console", "table"]

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


def table(*titles: str, right: frozenset[str] = frozenset()) -> Table:
    """An empty table without lines; the columns ``right`` are aligned to the right."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in titles:
        grid.add_column(title, justify="right" if title in right else "left", no_wrap=True)
    return grid
