"""What a signal handler raises is the user's: it is not our failure, and we must not swallow it.

Timeouts of job queues, SIGALRM and pytest-timeout raise in the middle of whatever runs, in our code
too. Any thread may call this; Python runs handlers in the main thread. Invariant: an exception that
has passed through a signal handler's frame leaves every ``except`` of ours again.
"""

from __future__ import annotations

import opcode
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

__all__ = ["is_from_signal", "raise_if_from_signal", "without_entry_check"]

F = TypeVar("F", bound=Callable[..., Any])

_DEPTH_MAX = 1_000
_RESUME = opcode.opmap.get("RESUME") if sys.version_info < (3, 15) else None
_AFTER_YIELD_FROM = 2


def without_entry_check(function: F) -> F:
    """``function``, which no signal interrupts before its first line; as a decorator.

    For a function that begins with ``try``, or with what must not be left undone. From 3.11 on the
    interpreter checks for signals where a function begins, before its ``try`` catches anything
    (instruction RESUME); it does not where a generator goes on after ``yield from``, so the
    instruction says that. 3.10 has no such check before a ``try``.
    """
    code = function.__code__
    instructions = bytearray(code.co_code)
    for at in range(0, len(instructions), 2):
        if instructions[at] == _RESUME:
            instructions[at + 1] |= _AFTER_YIELD_FROM
            function.__code__ = code.replace(co_code=bytes(instructions))
            break
    return function


def is_from_signal(error: BaseException) -> bool:
    """Whether a signal handler raised it: the handler has the frame that it interrupted."""
    step = error.__traceback__
    for _ in range(_DEPTH_MAX):
        if step is None or step.tb_next is None:
            return False
        if _has_argument(step.tb_next.tb_frame, step.tb_frame):
            return True
        step = step.tb_next
    return False


def raise_if_from_signal(error: BaseException) -> None:
    """First line of an ``except Exception`` around our work or that of the user's objects."""
    if is_from_signal(error):
        raise error


def _has_argument(frame: FrameType, interrupted: FrameType) -> bool:
    """Whether this frame was called with the frame of its caller: only signal handlers are."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)
    if count == 0:
        return False
    values = frame.f_locals
    for name in code.co_varnames[:count]:
        value = values.get(name)
        if value is interrupted:
            return True
        if type(value) is tuple and any(part is interrupted for part in value):
            return True
    return False
