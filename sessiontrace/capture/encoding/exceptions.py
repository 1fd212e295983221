"""An exception as a record holds it: type, message, stack; runs in the user's thread.

Invariant: reads no source files, keeps no frame alive, and runs none of the user's code but a
``__str__`` that the class of an exception defines, which does not run either where the exception
holds an object that may load data, or a large container.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from sessiontrace.capture.encoding.exception_message import message_of
from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.encoding.static_access import bases_of, module_of, qualified_name
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["describe", "is_cancelled", "summary"]

_MESSAGE_MAX = 8_000
_FRAMES = (10, 40)  # outermost and innermost frames of a stack
_FRAMES_INNER = (3, 12)  # of a cause, or of an exception in a group
_GROUP_MAX = 10
_CAUSES_MAX = 5
_INNER_MAX = 30  # causes and exceptions of groups, in all
_qualname = type.__dict__["__qualname__"].__get__
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__
_suppresses = BaseException.__dict__["__suppress_context__"].__get__
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep


def is_cancelled(error: BaseException) -> bool:
    """Whether asyncio or trio raises this error to cancel a task."""
    # We import neither: where a framework is not imported nothing can raise its cancellation.
    # A module that another thread (our sender) is importing right now lacks the name so far.
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    kind = type(error)  # `isinstance` would also ask the user's `__class__`
    if asyncio is not None and issubclass(kind, getattr(asyncio, "CancelledError", ())):
        return True
    if trio is not None and issubclass(kind, getattr(trio, "Cancelled", ())):
        return True
    grouped = _grouped(error)  # a nursery that was cancelled in several tasks
    return bool(grouped) and all(map(is_cancelled, grouped))


def summary(error: BaseException) -> str:
    """``ValueError: the message``, the record's ``error`` field."""
    message = message_of(error, _MESSAGE_MAX)
    kind = _qualname(type(error))
    return f"{kind}: {message}" if message else kind


def describe(error: BaseException, tb: TracebackType | None) -> dict[str, Any]:
    """The record's ``metadata.error``: ``{type, message, stack, exceptions?, causes?}``.

    Causes and the exceptions of a group are such objects, too; those that were never raised have no
    stack. A cause that was being handled, rather than named with ``from``, has ``context``.
    """
    room = iter(range(_INNER_MAX))
    return {**_brief(error), "stack": _stack(tb, *_FRAMES), **_related(error, room)}


def _brief(error: BaseException) -> dict[str, Any]:
    return {"type": _type_name(error), "message": message_of(error, _MESSAGE_MAX)}


def _inner(error: BaseException) -> dict[str, Any]:
    stack = _stack(_traceback(error), *_FRAMES_INNER)
    return {**_brief(error), "stack": stack} if stack else _brief(error)


def _related(error: BaseException, room: Iterator[int]) -> dict[str, Any]:
    """The exceptions of a group, and the causes, as far as there is room."""
    fields: dict[str, Any] = {}
    if grouped := _exceptions(error, room):
        fields["exceptions"] = grouped
    if causes := _causes(error, room):
        fields["causes"] = causes
    return fields


def _exceptions(error: BaseException, room: Iterator[int]) -> list[dict[str, Any]]:
    members = zip(_grouped(error)[:_GROUP_MAX], room)  # noqa: B905  the shorter one counts
    return [{**_inner(inner), **_related(inner, room)} for inner, _ in members]


def _grouped(error: BaseException) -> tuple[BaseException, ...]:
    kind = type(error)
    if not any("Group" in kind_name(base) for base in bases_of(kind)[:-1]):
        return ()
    try:
        inner = getattr(error, "exceptions", ())
    except Exception as error:
        raise_if_from_signal(error)
        return ()
    inner = inner if type(inner) is tuple else ()
    return tuple(error for error in inner if isinstance(error, BaseException))


def _causes(error: BaseException, room: Iterator[int]) -> list[dict[str, Any]]:
    """The exceptions that it was raised from, nearest first."""
    causes: list[dict[str, Any]] = []
    cause = _cause_of(error)
    while cause is not None and len(causes) < _CAUSES_MAX and next(room, None) is not None:
        fields = _inner(cause)
        if grouped := _exceptions(cause, room):
            fields["exceptions"] = grouped
        if _cause(error) is None:
            fields["context"] = True
        causes.append(fields)
        error, cause = cause, _cause_of(cause)
    return causes


def _cause_of(error: BaseException) -> BaseException | None:
    """Read through the base class: a subclass may define properties of these names."""
    cause: BaseException | None = _cause(error)
    return cause if cause is not None else (None if _suppresses(error) else _context(error))


def _type_name(error: BaseException) -> str:
    kind = type(error)
    module = module_of(kind)
    return str(_qualname(kind)) if module == "builtins" else qualified_name(kind)


def _stack(tb: TracebackType | None, outermost: int, innermost: int) -> str:
    """One line a frame, outermost first; frames of this package are left out."""
    lines = []
    while tb is not None:
        code = tb.tb_frame.f_code
        if not code.co_filename.startswith(_OURS):
            lines.append(f"{code.co_filename}:{tb.tb_lineno} in {code.co_name}")
        tb = tb.tb_next
    if len(lines) > outermost + innermost:
        gone = len(lines) - outermost - innermost
        lines[outermost:-innermost] = [f"… [cut: {gone} frames]"]
    return "\n".join(lines)
