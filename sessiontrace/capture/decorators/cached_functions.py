"""How a cached function under a traced one is pickled; in the user's thread.

``functools.lru_cache`` pickles a function by its name, which is that of the traced one. Invariant:
every other cached function is pickled as without us.
"""

from __future__ import annotations

import copyreg
import functools
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["register"]

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


def register() -> None:
    """From now on cached functions that are traced can be pickled."""
    copyreg.pickle(type(functools.lru_cache(register)), _reduce_cached)


def _reduce_cached(cached: Any) -> str | Reduced:
    """A cached function by its name, as without us; by its parts where the name is a traced one."""
    target: Any = sys.modules.get(cached.__module__)
    for name in cached.__qualname__.split("."):
        target = getattr(target, name, None)
    traced: Any = getattr(target, "__wrapped__", None)
    if traced is None or traced is not cached:
        return str(cached.__qualname__)
    return _cached, (traced.__wrapped__, traced.cache_parameters())


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)
