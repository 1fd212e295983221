"""A table in lines that fit the terminal.

Pure over rows. Invariant: only the cells of one flexible column are cut, so that ids and numbers
can be copied; where the terminal is narrow, that column shrinks first and then the least important
columns are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Column", "fitted_lines"]

Row = TypeVar("Row")

_GAP = 2
_ALWAYS = 2
_NARROWEST = 12


@attrs.frozen
class Column(Generic[Row]):
    """A column: its ``rank`` among those to keep, its cells and their styles.

    Columns of rank 1 and 2 stay however narrow the terminal is; the others go from the highest rank
    on.
    """

    title: str
    rank: int
    cell: Callable[[Row], str]
    style: Callable[[Row], str] = lambda row: "default"
    right: bool = False


def fitted_lines(
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    width: int,
    flexible: str,
    narrowest: int = _NARROWEST,
) -> list[Text]:
    """The head of the table and a line for each row, none wider than ``width`` columns.

    ``flexible``: the title of the column that shrinks, down to ``narrowest``. Where the columns of
    rank 1 and 2 need more than ``width``, lines are as wide as those.
    """
    from rich.cells import cell_len
    from rich.text import Text

    titles = [column.title for column in columns]
    center = titles.index(flexible)
    cells = [[column.cell(row) for column in columns] for row in rows]
    widths = [
        max(map(cell_len, (title, *(row[at] for row in cells)))) for at, title in enumerate(titles)
    ]
    least = min(widths[center], narrowest)
    fitting = _fitting(columns, widths, width - least, center)
    others = sum(widths[at] + _GAP for at in fitting if at != center)
    widths[center] = min(widths[center], max(least, width - others))

    def aligned(row: Sequence[str], at: int) -> str:
        return _aligned(row[at], widths[at], right=columns[at].right)

    lines = [Text((" " * _GAP).join(aligned(titles, at) for at in fitting), style="dim")]
    for row, texts in zip(rows, cells, strict=True):
        line = Text()
        for at in fitting:
            line.append(" " * _GAP if line.plain else "")
            line.append(aligned(texts, at), style=columns[at].style(row))
        lines.append(line)
    for line in lines:
        line.rstrip()
    return lines


def _fitting(
    columns: Sequence[Column[Row]], widths: Sequence[int], room: int, center: int
) -> list[int]:
    """The columns that fit beside each other, in their order, the most important ones first.

    ``room``: what the flexible column at ``center`` leaves.
    """
    fitting = [center]
    for at in sorted(range(len(columns)), key=lambda at: columns[at].rank):
        if at == center:
            continue
        if widths[at] + _GAP > room and columns[at].rank > _ALWAYS:
            break
        fitting.append(at)
        room -= widths[at] + _GAP
    return sorted(fitting)


def _aligned(text: str, width: int, *, right: bool) -> str:
    """``text`` in exactly ``width`` cells; a longer one ends in an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    room = width - cell_len(text)
    if room < 0:
        return set_cell_size(text, width - 1) + "…"
    return " " * room + text if right else set_cell_size(text, width)
