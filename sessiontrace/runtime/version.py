"""The version of the package; a pure look-up that any thread may call.

Invariant: it needs no import of ``importlib.metadata``, which takes 10 ms and 0.7 MiB.
"""

from __future__ import annotations

__all__ = ["version"]


def version() -> str:
    """The version of sessiontrace."""
    from sessiontrace import __version__  # here: the package imports this module's users

    return __version__
