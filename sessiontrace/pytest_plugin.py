"""The pytest plugin: the fixture ``traces``; loaded by pytest when sessiontrace is installed.

Invariant: importing it imports nothing of sessiontrace, so that coverage sees the package load.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessiontrace.testing import Captured

__all__ = ["traces"]


@pytest.fixture
def traces() -> Iterator[Captured]:
    """What the test's code traced, instead of sending it: see ``sessiontrace.testing.capture``."""
    from sessiontrace.testing import capture

    with capture() as captured:
        yield captured
