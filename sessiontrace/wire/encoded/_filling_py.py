"""The Python form of ``fill``: the specification; see ``filling``."""

from __future__ import annotations

__all__ = ["fill"]


def fill(parts: tuple[bytes | int, ...], values: tuple[bytes, ...]) -> bytes:
    """The parts with the value of each number in its place."""
    return b"".join([part if isinstance(part, bytes) else values[part] for part in parts])
