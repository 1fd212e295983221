"""The version that the SDK reports: as installed, and a stated value in a bare checkout."""

from __future__ import annotations

from importlib import metadata

import pytest

from sessiontrace.runtime.version import version


def test_the_version_is_that_of_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes into the User-Agent header of every request."""
    monkeypatch.setattr(metadata, "version", {"sessiontrace": "1.2.3"}.__getitem__)
    assert version() == "1.2.3"


def test_a_checkout_that_was_never_installed_has_a_version_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look-up never raises; the caller may choose the word."""

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert version() == "0"
    assert version("unknown") == "unknown"
