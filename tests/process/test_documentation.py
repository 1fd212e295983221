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


def test_the_configuration_page_lists_what_the_package_has(tmp_path: Path) -> None:
    """The page is generated; an option without its row would exist for its author only."""
    program = (REPO / "tools" / "configuration_page.py").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__file__": str(REPO / "tools" / "x.py"), "__name__": "page"}
    exec(compile(program, "configuration_page.py", "exec"), namespace)
    assert (REPO / "docs" / "configuration.md").read_text(encoding="utf-8") == namespace["page"]()
