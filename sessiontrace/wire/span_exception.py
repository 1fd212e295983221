"""An error of a record as OTel's exception event, and back.

Pure functions, no thread owns them. A record holds the stack as one line a frame; backends show
what Python prints. Invariant: ``stack_of`` gives back the stack that ``exception_of`` was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sessiontrace.model import payload
from sessiontrace.wire.span_content import Value

__all__ = ["details_of", "exception_of", "stack_of"]

_FRAME = re.compile(r"(.*):(\d+) in (.*)")
_PRINTED = re.compile(r'  File "(.*)", line (\d+), in (.*)')
_HEAD = "Traceback (most recent call last):"
_CAUSE = "\n\nThe above exception was the direct cause of the following exception:\n\n"


def exception_of(event: dict[str, Any]) -> dict[str, Value] | None:
    """The attributes of the exception event of an error; None without an error."""
    details = payload.bucket(event, "metadata").get("error")
    error = event.get("error")
    if not isinstance(details, dict):  # then it is among the other metadata
        return None if error is None else {"exception.message": payload.text(error)}
    names = {"type": "exception.type", "message": "exception.message"}
    attributes: dict[str, Value] = {
        to: payload.text(details[name]) for name, to in names.items() if details.get(name)
    }
    if details.get("stack"):
        attributes["exception.stacktrace"] = _traceback(details)
    return attributes or None


def details_of(exception: Mapping[str, Any]) -> dict[str, Any] | None:
    """A record's ``metadata.error``, as far as an exception event of ours says it."""
    kind, stack = exception.get("exception.type"), exception.get("exception.stacktrace")
    if kind is None and stack is None:
        return None
    message = exception.get("exception.message")
    details = {"type": kind, "message": message, "stack": stack and stack_of(str(stack))}
    return {name: value for name, value in details.items() if value is not None}


def stack_of(traceback: str) -> str:
    """The stack in a record's form, from a traceback that ``exception_of`` wrote."""
    _, separator, last = traceback.rpartition(_HEAD + "\n")
    frames = [_PRINTED.fullmatch(line) for line in last.splitlines()]
    if not separator or not any(frames):
        return traceback
    lines = last.splitlines()
    end = max(at for at, frame in enumerate(frames) if frame) + 1
    return "\n".join(
        line if frame is None else f"{frame[1]}:{frame[2]} in {frame[3]}"
        for line, frame in zip(lines[:end], frames[:end], strict=True)
    )


def _traceback(details: dict[str, Any]) -> str:
    """What Python would print: causes first, then the frames and the exception."""
    stack = payload.text(details["stack"])
    frames = [_FRAME.fullmatch(line) for line in stack.splitlines()]
    if not any(frames):  # of another tracer, in a form of its own
        return stack
    lines = [
        line if frame is None else f'  File "{frame[1]}", line {frame[2]}, in {frame[3]}'
        for line, frame in zip(stack.splitlines(), frames, strict=True)
    ]
    causes = details.get("causes")
    before = [_line(cause) for cause in causes] if isinstance(causes, list) else []
    return _CAUSE.join([*reversed(before), "\n".join([_HEAD, *lines, _line(details)])])


def _line(error: Any) -> str:
    if not isinstance(error, dict):
        return payload.text(error)
    kind, message = payload.text(error.get("type") or "Exception"), error.get("message")
    return f"{kind}: {payload.text(message)}" if message else kind
