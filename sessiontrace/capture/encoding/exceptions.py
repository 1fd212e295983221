"""An exception as a record holds it: type, message, stack; runs in the user's thread.

Invariant: reads no source files, keeps no frame alive, and calls no user code but ``str(error)``.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any

from sessiontrace.capture.encoding.safe_text import kind_name, text_of

__all__ = ["describe", "is_cancelled", "summary"]

_MESSAGE_MAX = 8_000
_FRAMES_HEAD = 10
_FRAMES_TAIL = 40
_GROUP_MAX = 10
_CAUSES_MAX = 5
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep


def is_cancelled(error: BaseException) -> bool:
    """Whether asyncio or trio raises this error to cancel a task."""
    # We import neither: where a framework is not imported nothing can raise its cancellation.
    # A module that another thread (our sender) is importing right now lacks the name so far.
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and isinstance(error, getattr(asyncio, "CancelledError", ())):
        return True
    if trio is not None and isinstance(error, getattr(trio, "Cancelled", ())):
        return True
    grouped = _grouped(error)  # a nursery that was cancelled in several tasks
    return bool(grouped) and all(map(is_cancelled, grouped))


def summary(error: BaseException) -> str:
    """``ValueError: the message``, the record's ``error`` field."""
    message = text_of(error, _MESSAGE_MAX)
    kind = type(error).__qualname__
    return f"{kind}: {message}" if message else kind


def describe(error: BaseException, tb: TracebackType | None) -> dict[str, Any]:
    """The record's ``metadata.error``: ``{type, message, stack, exceptions?, causes?}``."""
    fields = {**_brief(error), "stack": _stack(tb)}
    if grouped := _grouped(error):
        fields["exceptions"] = [_brief(inner) for inner in grouped[:_GROUP_MAX]]
    if causes := _causes(error):
        fields["causes"] = causes
    return fields


def _brief(error: BaseException) -> dict[str, Any]:
    return {"type": _type_name(error), "message": text_of(error, _MESSAGE_MAX)}


def _grouped(error: BaseException) -> tuple[BaseException, ...]:
    if "Group" not in kind_name(type(error)):
        return ()
    try:
        inner = getattr(error, "exceptions", ())
    except Exception:
        return ()
    inner = inner if type(inner) is tuple else ()
    return tuple(error for error in inner if isinstance(error, BaseException))


def _causes(error: BaseException) -> list[dict[str, Any]]:
    """The exceptions that it was raised from, nearest first."""
    causes: list[dict[str, Any]] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(causes) < _CAUSES_MAX:
        causes.append(_brief(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return causes


def _type_name(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _stack(tb: TracebackType | None) -> str:
    """One line a frame, outermost first; frames of this package are left out."""
    lines = []
    while tb is not None:
        code = tb.tb_frame.f_code
        if not code.co_filename.startswith(_OURS):
            lines.append(f"{code.co_filename}:{tb.tb_lineno} in {code.co_name}")
        tb = tb.tb_next
    if len(lines) > _FRAMES_HEAD + _FRAMES_TAIL:
        gone = len(lines) - _FRAMES_HEAD - _FRAMES_TAIL
        lines[_FRAMES_HEAD:-_FRAMES_TAIL] = [f"… [cut: {gone} frames]"]
    return "\n".join(lines)
