"""The version of the installed package; a pure look-up that any thread may call.

Invariant: the look-up never raises, also in a checkout that was never installed.
"""

from __future__ import annotations

__all__ = ["version"]


def version(unknown: str = "0") -> str:
    """The version from the package's metadata, or ``unknown`` in a checkout without any."""
    from importlib import metadata  # slow to import, and no traced function needs it

    try:
        return metadata.version("sessiontrace")
    except metadata.PackageNotFoundError:
        return unknown
