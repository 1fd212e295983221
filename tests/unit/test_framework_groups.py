"""The pinned environments of instrumented frameworks: each group's pins, and who runs them."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
LOCKS = REPO / "tests" / "frameworks"


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The instrumented libraries that ``tools`` lists."""
    monkeypatch.syspath_prepend(str(REPO / "tools"))
    before = set(sys.modules)
    yield importlib.import_module("instrumented_libraries").LIBRARIES
    for name in set(sys.modules) - before:
        del sys.modules[name]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def test_each_group_pins_its_libraries(libraries: Any) -> None:
    """No group is without a file, no file without a group, and no pin is too old."""
    groups = {library.group for library in libraries if library.group}
    assert {path.stem for path in LOCKS.glob("*.txt")} == groups
    for library in libraries:
        if not library.group:
            continue
        pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock_of(library), re.MULTILINE))
        for name in map(plain, (library.name, *library.companions)):
            assert name in pins, f"{library.group}: {name}"
        assert numbers(pins[plain(library.name)]) >= numbers(library.oldest), library.name


def lock_of(library: Any) -> str:
    return (LOCKS / f"{library.group}.txt").read_text()


def test_the_tests_of_each_library_exist(libraries: Any) -> None:
    """Each file that a library names is there, so that none runs no tests."""
    for library in libraries:
        for test in library.tests:
            file = test.partition(" ")[0]
            assert (REPO / "tests" / "contract" / f"test_instrument_{file}").exists(), library.name
