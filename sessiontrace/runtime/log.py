"""The package's logger: from any thread, at most one line a minute for each reason.

Invariant: logging never raises and never prints a traceback or a key.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["log_once", "logger", "reset"]

_WARNING = 30  # as in logging, which takes a tenth of our import and is seldom needed
_INTERVAL_S = 60.0
_REASONS_MAX = 1_000  # reasons may name what came from outside
_last: dict[str, float] = {}


def logger() -> logging.Logger:
    """The logger that all of our lines go to."""
    import logging

    return logging.getLogger("sessiontrace")


def log_once(reason: str, message: str, *args: object, level: int = _WARNING) -> bool:
    """Log ``message`` unless ``reason`` was logged within the last minute.

    Returns whether the line went out. ``reason`` should name the thing and its state, such as
    ``"honeyhive:blocked"``, so that a change of state is always logged at once.
    """
    now = time.monotonic()
    if now - _last.get(reason, -_INTERVAL_S) < _INTERVAL_S:
        return False
    if len(_last) >= _REASONS_MAX:
        _last.clear()
    _last[reason] = now
    try:
        logger().log(level, message, *args)
    except Exception as fault:  # a handler of the user's, or a stream closed at exit
        raise_if_from_signal(fault)
        return False
    return True


def reset() -> None:
    """Forget earlier lines, so that the next line of any reason goes out (tests)."""
    _last.clear()
