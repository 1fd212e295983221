"""Libraries that are not installed beside the others, and have environments of their own."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest

__all__ = ["OWN_ENVIRONMENT", "SEPARATE", "import_or_skip"]

OWN_ENVIRONMENT = "has an environment of its own"
"""The reason of a skip that CI expects: ``tests/instrument_versions.sh`` runs the test.

Their groups are in ``tools/instrumented_libraries.py``.
"""

SEPARATE = {"grpc", "soundfile", "together", "xai_sdk"}
"""Their dependencies conflict with the contract group's; litellm's proxy needs ``soundfile``."""


def import_or_skip(module: str) -> Any:
    """The module; the test is skipped where it is not installed."""
    package = module.partition(".")[0]
    if package in SEPARATE and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} {OWN_ENVIRONMENT}")
    return pytest.importorskip(module, reason="the contract group is not installed")
