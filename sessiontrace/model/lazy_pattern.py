"""Regular expressions that are compiled when they are first used, or all at once by ``init``.

Compiling the patterns of redaction takes longer than importing the rest of the package. Any thread.
Invariant: a lazy pattern behaves as the compiled one; its second use costs no more than on it.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

__all__ = ["compile_all", "lazy_pattern"]

_pending: list[_LazyPattern] = []


class _LazyPattern:
    def __init__(self, pattern: Any, flags: int) -> None:
        self._pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """The compiled pattern's attribute, kept on the instance: later uses do not come here."""
        value = getattr(re.compile(self._pattern, self._flags), name)  # re keeps what it compiled
        setattr(self, name, value)
        return value


def lazy_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """``re.compile(pattern, flags)``, later."""
    lazy = _LazyPattern(pattern, flags)
    _pending.append(lazy)
    return cast("re.Pattern[AnyStr]", lazy)


def compile_all() -> None:
    """Compile every pattern now, so that no event has to wait for it."""
    while _pending:
        lazy = _pending.pop()
        for name in ("search", "match", "fullmatch", "sub", "finditer"):
            getattr(lazy, name)
