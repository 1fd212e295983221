"""Tables of the command line: what a narrow terminal shows of them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from sessiontrace.cli.render.fitted_table import Column, fitted_lines

Row = tuple[str, str, str, str]

COLUMNS: tuple[Column[Row], ...] = (
    Column("ID", 1, lambda row: row[0]),
    Column("NAME", 1, lambda row: row[1], lambda row: "bold"),
    Column("AGE", 3, lambda row: row[2], right=True),
    Column("NOTE", 4, lambda row: row[3]),
)
ROWS: list[Row] = [
    ("0123456789abcdef", "a service with a long name", "4 s", "a note"),
    ("fedcba9876543210", "サービスの長い名前がここに", "12 min 05 s", ""),
]


@pytest.mark.parametrize("width", range(30, 100))
def test_no_line_is_wider_than_the_terminal_and_no_id_is_cut(width: int) -> None:
    """An id that is cut cannot be copied into the next command; a name that is cut can be read."""
    lines = [line.plain for line in fitted_lines(COLUMNS, ROWS, width, flexible="NAME")]
    assert max(map(cell_len, lines)) <= width
    assert all(line.startswith(row[0]) for line, row in zip(lines[1:], ROWS, strict=True))
    assert ("AGE" in lines[0], "NOTE" in lines[0]) == (width >= 43, width >= 51)
    assert "…" not in "".join(lines) or width < 69


def test_numbers_stand_at_the_right_and_the_last_column_has_no_spaces_behind_it() -> None:
    """As a whole table: titles, an aligned number, a cell that is empty."""
    head, first, second = fitted_lines(COLUMNS, ROWS, 100, flexible="NAME")
    assert head.plain == "ID                NAME                                AGE  NOTE"
    assert first.plain.endswith("        4 s  a note")
    assert second.plain.endswith("12 min 05 s")


def test_a_table_without_rows_is_its_head() -> None:
    """Nothing waits, and the columns still say what would."""
    assert [line.plain for line in fitted_lines(COLUMNS, [], 80, "NAME")] == ["ID  NAME  AGE  NOTE"]
