"""The table of ``make otel-backends``: its rows judge what Phoenix and MLflow answered, recorded.

The program itself installs both and runs for minutes, so CI runs this only.
"""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPO = Path(__file__).resolve().parents[2]
ANSWERS = Path(__file__).resolve().parent / "otel_answers"


class Tools(NamedTuple):
    """The modules of the program."""

    program: Any
    page: Any
    rows: Any

    def cells(self, backend: str, sdk: str) -> dict[str, str]:
        """The cells of a recorded answer, by the rows' titles."""
        self.rows.CONVERSATION = self.program.conversation_id(sdk)
        answer = json.loads(gzip.decompress((ANSWERS / f"{backend}-{sdk}.json.gz").read_bytes()))
        conversation = self.program.READERS[backend].read(answer)
        titles = [row.title for row in self.rows.ROWS]
        return dict(zip(titles, self.page.cells(conversation), strict=True))


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    """Nothing of them stays imported."""
    folder = str(REPO / "tools")
    monkeypatch.syspath_prepend(folder)
    before, path = set(sys.modules), list(sys.path)
    program = importlib.import_module("otel_backends")
    yield Tools(program, sys.modules["page"], sys.modules["rows"])
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(folder):
            del sys.modules[name]


def wrong(cells: dict[str, str]) -> dict[str, str]:
    """The rows that are not right."""
    return {title: cell for title, cell in cells.items() if cell != "yes"}


def test_ours_is_right_in_every_row_that_the_backends_have(tools: Tools) -> None:
    """MLflow has no place for reasoning tokens, of any SDK."""
    assert wrong(tools.cells("phoenix", "sessiontrace")) == {}
    assert wrong(tools.cells("mlflow", "sessiontrace")) == {"reasoning tokens": "missing"}


def test_a_row_says_what_is_wrong(tools: Tools) -> None:
    """OpenLLMetry's steps have no kinds, inputs or users in Phoenix."""
    cells = tools.cells("phoenix", "openllmetry")
    assert cells["one trace for each turn"] == "yes"
    assert cells["user of each turn"] == "missing"
    kinds = cells["kinds: turn, agent, retriever, embedding, model, tool"]
    assert "agent is unknown" in kinds
    assert "retriever is unknown" in kinds
    assert cells["input and output of a model call in lists"] == "no input"


def test_a_step_that_is_not_there_is_missing(tools: Tools) -> None:
    """An answer without spans is wrong in rows, and stops nothing."""
    empty = {"id": "", "sessions": {"edges": []}, "spans": {"edges": []}}
    cells = tools.page.cells(tools.program.READERS["phoenix"].read(empty))
    assert cells[:2] == ["0 traces for 3 turns", "missing"]


def test_the_page_keeps_its_own_words(tools: Tools, tmp_path: Path) -> None:
    """The table is between the marks; whatever is not right stands out."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{tools.page.BEGIN}\nold\n{tools.page.END}\nafter\n")
    rows = len(tools.rows.ROWS)
    cells = {
        ("phoenix", "sessiontrace"): ["yes"] * rows,
        ("mlflow", "openllmetry"): ["gone"] * rows,
    }
    table = tools.page.Table(cells, {"Phoenix": {"arize-phoenix": "20.26.1"}})
    tools.page.write(page, table)
    tools.page.write(page, table)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| | Phoenix: sessiontrace | MLflow: OpenLLMetry |" in text
    assert "| tags | yes | **gone** |" in text
    assert text.count("- Phoenix: arize-phoenix 20.26.1") == 1


def test_the_program_fails_where_another_sdk_is_right_and_ours_is_not(tools: Tools) -> None:
    """A row in which all are wrong is the backend's."""
    rows = len(tools.rows.ROWS)
    cells = {
        (backend, sdk): ["yes"] * rows for backend in tools.page.BACKENDS for sdk in tools.page.SDKS
    }
    assert tools.program.worse(tools.page.Table(cells, {})) == []
    cells["mlflow", "sessiontrace"] = ["missing", *["yes"] * (rows - 1)]
    title = tools.rows.ROWS[0].title
    assert tools.program.worse(tools.page.Table(cells, {})) == [f"MLflow: {title}: missing"]
    for sdk in tools.page.SDKS:
        cells["mlflow", sdk] = ["missing"] * rows
    assert tools.program.worse(tools.page.Table(cells, {})) == []
