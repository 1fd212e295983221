"""The page in the documentation: its table between two marks, with the versions of what ran."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from conversation import Conversation
from rows import ROWS

__all__ = ["Result", "Table", "cells", "write"]

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
RIGHT = "yes"
BACKENDS = {"phoenix": "Phoenix", "mlflow": "MLflow"}
SDKS = {
    "sessiontrace": "sessiontrace",
    "openinference": "OpenInference",
    "openllmetry": "OpenLLMetry",
}

Result = tuple[str, str]
"""A backend and an SDK, by name."""


class Table(NamedTuple):
    """What is written: cells by backend and SDK, and versions by what they are of."""

    cells: Mapping[Result, list[str]]
    versions: Mapping[str, Mapping[str, str]]


def cells(conversation: Conversation) -> list[str]:
    """The cell of each row: "yes", or what is wrong."""
    return [_cell(row.check, conversation) for row in ROWS]


def _cell(check: object, conversation: Conversation) -> str:
    assert callable(check)
    try:
        return str(check(conversation)) or RIGHT
    except (IndexError, KeyError, ValueError, StopIteration):  # the step is not there at all
        return "missing"


def write(page: Path, table: Table) -> None:
    """Replace what is between the marks."""
    text = page.read_text()
    head, _, others = text.partition(BEGIN)
    _, _, tail = others.partition(END)
    page.write_text(f"{head}{BEGIN}\n\n{_rows(table)}\n{_versions(table)}\n{END}{tail}")


def _rows(table: Table) -> str:
    columns = list(table.cells)
    titles = [f"{BACKENDS[backend]}: {SDKS[sdk]}" for backend, sdk in columns]
    lines = [f"| | {' | '.join(titles)} |", "|---|" + "---|" * len(columns)]
    for number, row in enumerate(ROWS):
        entries = [_emphasis(table.cells[column][number]) for column in columns]
        lines.append(f"| {row.title} | {' | '.join(entries)} |")
    return "\n".join(lines) + "\n"


def _emphasis(cell: str) -> str:
    return cell if cell == RIGHT else f"**{cell}**"


def _versions(table: Table) -> str:
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    lines = [f"Made on {today} with:\n"]
    for name, versions in table.versions.items():
        packages = ", ".join(f"{package} {version}" for package, version in versions.items())
        lines.append(f"- {name}: {packages}")
    return "\n".join(lines) + "\n"
