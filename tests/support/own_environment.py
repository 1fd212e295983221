"""Libraries that cannot be installed beside the others, and have environments of their own."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest

__all__ = ["OWN_ENVIRONMENT", "SEPARATE", "import_or_skip"]

OWN_ENVIRONMENT = "has an environment of its own"
"""The reason of a skip that CI expects: ``tests/instrument_versions.sh`` runs the test."""

SEPARATE = {
    "claude_agent_sdk",
    "crewai",
    "google.adk",
    "grpc",
    "soundfile",
    "strands",
    "together",
    "xai_sdk",
}
"""They are heavy, or their dependencies conflict with the contract group's.

Their groups are in ``tools/instrumented_libraries.py``. litellm's proxy needs ``soundfile``.
"""


def import_or_skip(module: str) -> Any:
    """The module; the test is skipped where it is not installed."""
    for package in SEPARATE:
        if f"{module}.".startswith(f"{package}.") and not _is_installed(package):
            pytest.skip(f"{package} {OWN_ENVIRONMENT}", allow_module_level=True)
    return pytest.importorskip(module, reason="the contract group is not installed")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package that is not there either
        return False
