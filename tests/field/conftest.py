"""For the situations of the field: each test uses the public API and the command line only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fake_backend import Backend

import sessiontrace as st
from sessiontrace.testing import Captured


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A HoneyHive that takes everything."""
    with Backend() as server:
        yield server


@pytest.fixture
def traces() -> Iterator[Captured]:
    """What the default tracer records within the test."""
    with st.testing.capture() as captured:
        yield captured
