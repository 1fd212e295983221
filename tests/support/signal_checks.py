"""Exceptions of signal handlers at each place where one can raise, in turn.

The interpreter runs handlers where a function begins, after a call of a function in C and at a jump
back. A trace function counts these places in our modules and raises at one of them: as a handler,
it is called with the frame that it interrupts.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import sessiontrace

__all__ = ["HandlerError", "raise_at"]

_OURS = sessiontrace.__path__[0]
_CHECKING = (
    "CALL",
    "CALL_FUNCTION",
    "CALL_FUNCTION_EX",
    "CALL_FUNCTION_KW",
    "CALL_KW",
    "CALL_METHOD",
    "JUMP_ABSOLUTE",
    "JUMP_BACKWARD",
)


_CALLS_TO_CLOSE = sys.version_info >= (3, 14)
"""Whether a trace function sees the same call where a generator goes on and where it is closed."""


class HandlerError(Exception):
    """What the handler raises."""


def raise_at(place: int, work: Callable[[], Any]) -> str:
    """Run ``work`` with an exception at this place; where that is, empty without such a place."""
    handler = _Handler(place)
    before = sys.gettrace()
    sys.settrace(handler)
    try:
        work()
    except HandlerError:
        pass
    finally:
        sys.settrace(before)
    return handler.where


class _Handler:
    def __init__(self, place: int) -> None:
        self.place = place
        self.where = ""
        self._last: dict[int, tuple[str, object]] = {}  # what ran last in each frame

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if event == "call":
            outer = frame.f_back
            if outer is not None and code.co_name != "__init__":  # no check after such a call
                self._last.pop(id(outer), None)
            if not (code.co_filename.startswith(_OURS) or code.co_filename == "<stand-in>"):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if _checks_at_entry(code, frame.f_lasti):
                self._pass(frame)
        elif event == "opcode":
            last = self._last.get(id(frame))
            here = _instructions(code).get(frame.f_lasti, ("", None))
            if last is not None and last[0] in _CHECKING and last[1] == here[1]:
                self._pass(frame)
            if _CALLS_TO_CLOSE and here[0] == "RESUME" and _checks_on_resuming(code, frame.f_lasti):
                self._pass(frame)
            self._last[id(frame)] = here
        elif event == "return":
            self._last.pop(id(frame), None)
        return self

    def _pass(self, frame: FrameType) -> None:
        self.place -= 1
        if self.place == -1:
            self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
            raise HandlerError(self.where)


@functools.cache
def _instructions(code: CodeType) -> dict[int, tuple[str, object]]:
    """The name of each instruction, and where its exceptions are handled."""
    handlers = dis._parse_exception_table(code) if sys.version_info >= (3, 11) else []  # type: ignore[attr-defined]
    return {
        step.offset: (
            step.opname,
            next((h.target for h in handlers if h.start <= step.offset < h.end), None),
        )
        for step in dis.get_instructions(code)
    }


@functools.cache
def _checks_at_entry(code: CodeType, at: int) -> bool:
    steps = {step.offset: step for step in dis.get_instructions(code)}
    if sys.version_info < (3, 11):
        return at < 0 and steps[0].opname != "SETUP_FINALLY"
    entry = next(step for step in steps.values() if step.opname == "RESUME")
    if at > entry.offset:  # a generator goes on, or it is closed or thrown into
        return not _CALLS_TO_CLOSE and _checks_on_resuming(code, at)
    return (entry.arg or 0) & 3 < 2


@functools.cache
def _checks_on_resuming(code: CodeType, at: int) -> bool:
    """Whether this is the RESUME after a ``yield``: none follows where a generator is closed."""
    step = next(step for step in dis.get_instructions(code) if step.offset == at)
    return step.opname == "RESUME" and 0 < (step.arg or 0) & 3 < 2
