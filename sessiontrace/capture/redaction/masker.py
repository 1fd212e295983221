"""Masks secrets in decoded JSON: values under secret keys, and patterns in texts; from any thread.

JSON inside strings is decoded and masked too. Invariant: a masker does not change after it is
made, so any number of threads may use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from sessiontrace.capture.redaction.key_names import names_secret, normalize_key
from sessiontrace.capture.redaction.patterns import EMAIL, MASK, mask_secrets

_DEPTH_MAX = 64
_DEPTH_IN_TEXT = 44  # where JSON inside a string begins to count: deeper strings are read as text


class Masker:
    """``keys``: more names whose values are masked. ``emails``: mask e-mail addresses too."""

    __slots__ = ("_is_secret", "_keys", "emails")

    def __init__(self, keys: Iterable[str] = (), *, emails: bool = False) -> None:
        self._keys = frozenset(map(normalize_key, keys))
        self._is_secret = lru_cache(maxsize=2_048)(self._names_secret)
        self.emails = emails

    def mask_value(self, value: Any, depth: int = 0) -> Any:
        """A decoded value with every secret in it masked."""
        if isinstance(value, str):
            return self.mask_text(value, depth)
        if depth > _DEPTH_MAX:
            return MASK if isinstance(value, (dict, list)) else value
        if isinstance(value, list):
            return [self.mask_value(item, depth + 1) for item in value]
        if isinstance(value, dict):
            masked: dict[str, Any] = {}
            for key, item in value.items():
                name = mask_secrets(key)
                while name in masked:
                    name += "~"
                hidden = self._is_secret(key) and item is not None and not isinstance(item, bool)
                masked[name] = MASK if hidden else self.mask_value(item, depth + 1)
            return masked
        return value

    def mask_text(self, text: str, depth: int = 0) -> str:
        """A text with every secret in it masked; the same text where there is none."""
        if text[:1] in {"{", "["} and depth <= _DEPTH_MAX:
            try:
                inner = orjson.loads(text)
                masked = self.mask_value(inner, _DEPTH_IN_TEXT)
                return text if masked == inner else orjson.dumps(masked).decode()
            except Exception:  # not JSON after all, or cut off
                pass
        text = mask_secrets(text)
        return EMAIL.sub(MASK, text) if self.emails and "@" in text else text

    def _names_secret(self, key: str) -> bool:
        return names_secret(key) or normalize_key(key) in self._keys
