"""Humanloop as a destination: its address names the version of its API."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.vendors.humanloop.destination import Humanloop


def test_a_humanloop_key_alone_is_a_leftover() -> None:
    """The hosted service has closed: without an address the key opens nothing."""
    (destination,), _ = resolve((), {}, {"HUMANLOOP_API_KEY": "hl", "SESSIONTRACE_STORE": "s"})
    assert destination.kind == "local"
    with pytest.raises(ConfigError, match="closed in September 2025"):
        resolve(("humanloop",), {}, {"HUMANLOOP_API_KEY": "hl"})


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ({"base_url": "http://localhost:8"}, "http://localhost:8/v4"),
        ({"base_url": "http://localhost:8/humanloop/"}, "http://localhost:8/humanloop/v4"),
        ({"base_url": "http://localhost:8/v4/"}, "http://localhost:8/v4"),
        ({"base_url": "http://localhost:8", "version": 5}, "http://localhost:8/v5"),
    ],
)
def test_humanloops_version_is_part_of_its_address(given: Any, base_url: str) -> None:
    """As in the official clients, and added where it is left out."""
    destination = Humanloop(api_key="k", **given).complete({})
    assert destination.base_url == base_url
    assert not destination.faults()
