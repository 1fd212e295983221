"""The catalogue itself: each row has a test that carries its id, or a reason in docs/faults.md."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROWS = {
    f"{letter}{number:02d}"
    for letter, count in (("A", 34), ("B", 31), ("C", 37), ("D", 25), ("E", 34))
    for number in range(1, count + 1)
}


def covered() -> set[str]:
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for name in re.findall(r"def (test_(?:[A-E]\d\d_)+)", path.read_text(encoding="utf-8")):
            found.update(re.findall(r"[A-E]\d\d", name))
    return found


def explained() -> set[str]:
    text = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| ([A-E]\d\d) \|", text, re.MULTILINE))


def test_every_fault_is_tested_or_explained() -> None:
    """A fault that nobody injects is one that nobody knows the outcome of."""
    assert ROWS - covered() - explained() == set()
    assert covered() <= ROWS
    assert explained() <= ROWS


def test_every_promise_names_tests_that_exist() -> None:
    """docs/guarantees.md names the test that verifies each sentence, as `file::test`."""
    text = (TESTS.parent / "docs" / "guarantees.md").read_text(encoding="utf-8")
    references = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", text)
    assert len(references) > 30
    for path, name in references:
        source = (TESTS.parent / path).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in source, f"{path} has no {name}"
