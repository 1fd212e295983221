"""What the tests of import hooks and of the registry share: a library to import."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package on the path with a submodule ``client``, not imported yet."""
    name = "stub_library"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("from stub_library.client import ask\n")
    (package / "client.py").write_text("def ask():\n    return 'answer'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]
