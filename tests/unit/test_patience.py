"""The tests' own limits."""

from __future__ import annotations

import os

import pytest
from support.patience import patience


@pytest.mark.parametrize(("running", "expected"), [(0.5, 5), (2, 5), (16, 40), (500, 50)])
def test_a_limit_grows_with_what_each_core_has_to_run(
    monkeypatch: pytest.MonkeyPatch, running: float, expected: float
) -> None:
    """Five seconds of a calm machine of two cores, tenfold at most: a hang must still end."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (running, 0.0, 0.0))
    assert patience(5) == expected
