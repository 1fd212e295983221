"""The documentation as a reader follows it: the Python of each page runs, top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.subprocesses import REPO, run

PAGES = [
    REPO / "README.md",
    REPO / "docs" / "getting-started.md",
    REPO / "docs" / "destinations.md",
    *sorted((REPO / "docs" / "guides").glob("*.md")),
]

_BLOCK = re.compile(r"(<!-- not run[^>]*-->\n)?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(
    r"^\$ sessiontrace sessions show last\n(.*?)^(?:\$ |```)", re.MULTILINE | re.DOTALL
)


def program_of(page: Path) -> str:
    """All Python of a page that is not marked ``<!-- not run: why -->``, as one program."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return "\n".join(code for mark, code in blocks if not mark)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """An example that fails costs a new user an hour, and us the user."""
    program = program_of(page)
    if program:
        local = {name: str(tmp_path / name.lower()) for name in ("SESSIONTRACE_STORE",)}
        done = run(program, tmp_path, SESSIONTRACE_SPOOL=str(tmp_path / "spool"), **local)
        assert "Traceback" not in done.stderr


def in_general(text: str) -> str:
    """A text without what differs from run to run: ids, times, durations and the store's place."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r" in /\S+/store\.db", " in STORE", text)
    text = re.sub(r"\d+(\.\d+)? m?s\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "N", text)
    return re.sub(r" +", " ", text)  # the columns are as wide as what they hold


def test_the_first_session_looks_as_it_is_shown(tmp_path: Path) -> None:
    """A reader who sees something else asks what went wrong."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES[:2]]
    shown = {in_general(match) for text in texts for match in _SHOWN.findall(text)}
    program = (
        f"{_BLOCK.findall(texts[0])[0][1]}\nst.flush(10)\n"
        "from sessiontrace.cli import main as command\ncommand(['sessions', 'show', 'last'])"
    )
    done = run(program, tmp_path, SESSIONTRACE_STORE=str(tmp_path / "store.db"))
    assert {in_general(done.stdout)} == shown


def test_the_configuration_page_lists_what_the_package_has(tmp_path: Path) -> None:
    """The page is generated; an option without its row would exist for its author only."""
    program = (REPO / "tools" / "configuration_page.py").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__file__": str(REPO / "tools" / "x.py"), "__name__": "page"}
    exec(compile(program, "configuration_page.py", "exec"), namespace)
    assert (REPO / "docs" / "configuration.md").read_text(encoding="utf-8") == namespace["page"]()
