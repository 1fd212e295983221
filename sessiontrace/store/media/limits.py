"""How much of media a store keeps, and why it refuses one.

Pure values. Invariant: a limit is a whole number of bytes above 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = [
    "DEFAULT_LIMITS",
    "GONE",
    "ITEM_ENV",
    "NOT_WRITTEN",
    "OVER_TOTAL",
    "TOO_LARGE",
    "TOTAL_ENV",
    "UNREADABLE",
    "MediaLimits",
    "is_bytes",
    "limits_of",
]

ITEM_ENV, TOTAL_ENV = "SESSIONTRACE_MEDIA_ITEM", "SESSIONTRACE_MEDIA_TOTAL"

TOO_LARGE = "media too large"
"""A medium above ``item_bytes``."""

OVER_TOTAL = "media over the total"
"""All media together would be above ``total_bytes``."""

UNREADABLE = "media unreadable"
"""A text that looked like base64 and is not, so that its bytes are not what the record says."""

GONE = "media gone"
"""It no longer waited in memory when its record arrived: evicted, or of a process that ended."""

NOT_WRITTEN = "media not written"
"""The disk did not take it."""


@attrs.frozen
class MediaLimits:
    """The largest medium, and all media of a store together, in bytes."""

    item_bytes: int = 16 << 20
    total_bytes: int = 1 << 30


DEFAULT_LIMITS = MediaLimits()


def limits_of(env: Mapping[str, str]) -> MediaLimits:
    """The limits that the environment sets; a value that is not a number stays for the check."""
    limits = DEFAULT_LIMITS
    return MediaLimits(
        _number(env.get(ITEM_ENV), limits.item_bytes),
        _number(env.get(TOTAL_ENV), limits.total_bytes),
    )


def is_bytes(value: Any) -> bool:
    """Whether a value is a limit."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _number(text: str | None, otherwise: int) -> Any:
    if not text:
        return otherwise
    return int(text) if text.strip().isdecimal() else text
