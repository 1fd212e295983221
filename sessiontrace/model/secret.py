"""A key that no text shows; a value, no thread owns it.

Invariant: only ``reveal`` returns the key, and only the code for request headers and fingerprints
calls it.
"""

from __future__ import annotations

import hmac
from typing import Any

__all__ = ["Secret", "secret"]


class Secret:
    """A key that repr, str, format, pickle and tracebacks do not show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself, only for request headers and the fingerprint."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._value.encode(), other._value.encode()
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a key cannot be pickled; configure sessiontrace in each process")


def secret(value: str | Secret | None) -> Secret | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)
