"""The list of sessions as a table that fits the terminal.

Pure over summaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessiontrace.cli.render.fitted_table import Column, fitted_lines
from sessiontrace.store.models import ENDED, FAILED, SessionSummary
from sessiontrace.text.format import cost, day_or_time, duration, printable

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["lines_of"]

_NAME_WIDTH = 48
_USER_WIDTH = 24


def _state_style(summary: SessionSummary) -> str:
    if summary.outcome == FAILED or (summary.outcome == ENDED and summary.errors):
        return "red"
    return "green" if summary.outcome == ENDED else "yellow"


_COLUMNS: tuple[Column[SessionSummary], ...] = (
    Column("ID", 1, lambda summary: printable(summary.session_id)),
    Column(
        "NAME", 1, lambda summary: printable(summary.name or "unnamed session", _NAME_WIDTH),
        lambda summary: "bold",
    ),
    Column("USER", 4, lambda summary: printable(summary.user or "", _USER_WIDTH)),
    Column("ACTIVE", 3, lambda summary: day_or_time(summary.last_active), right=True),
    Column("DURATION", 5, lambda summary: duration(summary.duration), right=True),
    Column("STEPS", 8, lambda summary: f"{summary.events:,}", right=True),
    Column(
        "ERRORS", 7, lambda summary: f"{summary.errors:,}" if summary.errors else "-",
        lambda summary: "red" if summary.errors else "dim", right=True,
    ),
    Column(
        "TOKENS", 9, lambda summary: f"{summary.tokens:,}" if summary.tokens else "-", right=True
    ),
    Column(
        "COST", 6, lambda summary: cost(summary.cost, summary.unpriced, summary.tokens) or "-",
        right=True,
    ),
    Column("STATUS", 2, lambda summary: summary.outcome, _state_style),
)  # fmt: skip


def lines_of(sessions: Sequence[SessionSummary], width: int) -> list[Text]:
    """The head of the table and a line for each session, none wider than ``width`` columns.

    Narrower than an id, a name and a status, lines are as wide as those.
    """
    return fitted_lines(_COLUMNS, sessions, width, flexible="NAME")
