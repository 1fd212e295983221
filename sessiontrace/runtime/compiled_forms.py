"""Compiled forms that were installed and cannot be imported.

Written when the modules that have two forms are imported, in whichever thread does that. Invariant:
a form that was never built is not a fault.
"""

from __future__ import annotations

from sessiontrace.runtime.log import log_once

__all__ = ["faults", "log_faults", "note"]

_faults: dict[str, str] = {}


def note(error: ImportError) -> None:
    """A compiled form gave this error, so the Python form takes its place."""
    if not isinstance(error, ModuleNotFoundError):
        _faults[error.name or "a compiled form"] = str(error)


def faults() -> dict[str, str]:
    """By module, why what was built cannot be imported: for another Python or C library, say."""
    return dict(_faults)


def log_faults() -> None:
    """One line for each: what is recorded is the same, and takes up to twice the time."""
    for module, fault in _faults.items():
        log_once(
            f"compiled:{module}",
            "%s was built and cannot be imported (%s); the slower Python form is used",
            module,
            fault,
        )
