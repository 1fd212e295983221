"""The rule for callbacks that another library calls: a fault of ours stays ours.

A decorator, on the thread of the callback. It costs a call, so the wrappers of model methods catch
their exceptions themselves. Invariant: an exception becomes ``default`` and a line at debug level,
at most one a minute for each function; KeyboardInterrupt and the like pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from sessiontrace.runtime import log
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["never_raises"]

P = ParamSpec("P")
R = TypeVar("R")

_DEBUG = 10  # as in logging, which this module does not import


def never_raises(default: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function return ``default`` instead of raising an exception."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as fault:
                raise_if_from_signal(fault)
                name = f"{function.__module__}.{function.__qualname__}"
                log.log_once(f"fault:{name}", "%s failed: %r", name, fault, level=_DEBUG)
                value: R = default
                return value

        return guarded

    return decorate
