"""The two forms of a compiled concept, for tests that hold both to one table."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

FORMS = ["py", "c"]


def form_of(concept: str, form: str) -> Any:
    """The module of this form of ``concept``, such as "spool.frame"; skips what is not compiled."""
    package, _, name = concept.rpartition(".")
    module = f"sessiontrace.{package}._{name}_{form}"
    if form == "c":
        return pytest.importorskip(module, reason="not compiled")
    return importlib.import_module(module)
