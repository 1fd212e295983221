"""The code blocks of a page of docs/extending, for the tests that follow it."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r'^( *)```\w+ title="([^"]+)"\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)


def blocks_of(page: Path) -> dict[str, str]:
    """Code by the title of its block; an indented block loses the indentation of its list."""
    return {
        title: re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        for indent, title, code in _BLOCK.findall(page.read_text())
    }
