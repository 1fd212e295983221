"""The metadata among a span's attributes, for backends that want it in a place of its own.

A pure function, no thread owns it. Invariant: it changes nothing.
"""

from __future__ import annotations

from typing import Any

__all__ = ["METADATA", "metadata_of"]

METADATA = "sessiontrace.metadata."
"""What the attribute of each entry begins with."""

_SHOWN = frozenset({"operation", "service", "session_id"})  # as attributes of other names


def metadata_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """The entries by their keys, as the attributes have them: encoded where they are objects."""
    entries = {
        name.removeprefix(METADATA): value
        for name, value in attributes.items()
        if name.startswith(METADATA)
    }
    return {key: value for key, value in entries.items() if key not in _SHOWN}
