"""The list of sessions as a table that fits the terminal.

Pure over summaries. Invariant: an id is never cut, so that it can be copied; where the terminal is
narrow, the name is cut and then the least important columns are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from sessiontrace.store.models import ENDED, FAILED, SessionSummary
from sessiontrace.text.format import cost, day_or_time, duration, printable

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["lines_of"]

_NAME_WIDTH = 48
_NARROW_NAME = 12
_USER_WIDTH = 24
_GAP = 2


@attrs.frozen
class _Column:
    """A column: its ``rank`` among those to keep (1 stays longest), its cells and their styles."""

    title: str
    rank: int
    cell: Callable[[SessionSummary], str]
    style: Callable[[SessionSummary], str] = lambda summary: "default"
    right: bool = False


def _state_style(summary: SessionSummary) -> str:
    if summary.outcome == FAILED or (summary.outcome == ENDED and summary.errors):
        return "red"
    return "green" if summary.outcome == ENDED else "yellow"


_COLUMNS = (
    _Column("ID", 1, lambda summary: printable(summary.session_id)),
    _Column(
        "NAME", 1, lambda summary: printable(summary.name or "unnamed session", _NAME_WIDTH),
        lambda summary: "bold",
    ),
    _Column("USER", 4, lambda summary: printable(summary.user or "", _USER_WIDTH)),
    _Column("ACTIVE", 3, lambda summary: day_or_time(summary.last_active), right=True),
    _Column("DURATION", 5, lambda summary: duration(summary.duration), right=True),
    _Column("STEPS", 8, lambda summary: f"{summary.events:,}", right=True),
    _Column(
        "ERRORS", 7, lambda summary: f"{summary.errors:,}" if summary.errors else "-",
        lambda summary: "red" if summary.errors else "dim", right=True,
    ),
    _Column(
        "TOKENS", 9, lambda summary: f"{summary.tokens:,}" if summary.tokens else "-", right=True
    ),
    _Column(
        "COST", 6, lambda summary: cost(summary.cost, summary.unpriced, summary.tokens) or "-",
        right=True,
    ),
    _Column("STATUS", 2, lambda summary: summary.outcome, _state_style),
)  # fmt: skip
_NAME = 1


def lines_of(sessions: Sequence[SessionSummary], width: int) -> list[Text]:
    """The head of the table and a line for each session, none wider than ``width`` columns.

    Narrower than an id, a name and a status, lines are as wide as those.
    """
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    cells = [[column.cell(session) for column in _COLUMNS] for session in sessions]
    widths = [
        max(map(cell_len, (column.title, *(row[at] for row in cells))))
        for at, column in enumerate(_COLUMNS)
    ]
    columns = _fitting(widths, width)
    others = sum(widths[at] + _GAP for at in columns if at != _NAME)
    widths[_NAME] = min(widths[_NAME], max(_NARROW_NAME, width - others))

    def cut(text: str, at: int) -> str:
        room = widths[at]
        if cell_len(text) > room:
            return set_cell_size(text, room - 1) + "…"
        return " " * (room - cell_len(text)) + text if _COLUMNS[at].right else (
            set_cell_size(text, room)
        )  # fmt: skip

    lines = [Text((" " * _GAP).join(cut(_COLUMNS[at].title, at) for at in columns), style="dim")]
    for session, row in zip(sessions, cells, strict=True):
        line = Text()
        for at in columns:
            line.append(" " * _GAP if line.plain else "")
            line.append(cut(row[at], at), style=_COLUMNS[at].style(session))
        lines.append(line)
    for line in lines:
        line.rstrip()
    return lines


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """The columns that fit beside each other, in their order, the most important ones first."""
    room = width - min(widths[_NAME], _NARROW_NAME)
    columns = [_NAME]
    for at in sorted(range(len(_COLUMNS)), key=lambda at: _COLUMNS[at].rank):
        if at == _NAME:
            continue
        if widths[at] + _GAP > room and _COLUMNS[at].rank > 2:
            break
        columns.append(at)
        room -= widths[at] + _GAP
    return sorted(columns)
