"""The version that the SDK reports: the one that the package states."""

from __future__ import annotations

from importlib import metadata

import pytest

import sessiontrace
from sessiontrace.runtime.version import version


def test_the_version_is_that_of_the_package() -> None:
    """It goes into the User-Agent header of every request."""
    assert version() == sessiontrace.__version__ == metadata.version("sessiontrace")


def test_a_checkout_that_was_never_installed_has_a_version_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look-up does not ask what is installed."""

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert version() == sessiontrace.__version__
