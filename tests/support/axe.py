"""axe-core, the checker that browsers' own tools use, on what a page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import Page

_AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def axe_source() -> str:
    """The checker's source; skips the test where it is not installed."""
    if not _AXE.is_file():
        pytest.skip("no axe-core: make node_modules/.installed")
    return _AXE.read_text(encoding="utf-8")


def faults(page: Page, axe: str) -> list[str]:
    """What is wrong, and where."""
    page.run(axe)
    violations = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, arguments[0]).then(found => done(found.violations));",
        _RULES,
    )
    return [
        f"{rule['id']} ({rule['help']}): {node['html'][:200]}"
        for rule in violations
        for node in rule["nodes"]
    ]
