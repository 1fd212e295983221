"""An error of a record as OTel's exception event, and back.

Pure functions, no thread owns them. A record holds the stack as one line a frame; backends show
what Python prints, with causes, and with the exceptions of a group. Invariant: ``stack_of`` gives
back the stack that ``exception_of`` was given.
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
_GROUP_HEAD = f"  + Exception Group {_HEAD}"
_CAUSE = "\n\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
_BETWEEN = re.compile(f"{re.escape(_CAUSE)}|{re.escape(_CONTEXT)}")
_RULE = "+---------------- {} ----------------"
_LAST_RULE = "    +------------------------------------"
_MEMBERS = "\n  +-+-"


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
    if any(details.get(name) for name in ("stack", "causes", "exceptions")):
        attributes["exception.stacktrace"] = _traceback(details)
    return attributes or None


def details_of(exception: Mapping[str, Any]) -> dict[str, Any] | None:
    """A record's ``metadata.error``, as far as our exception event says it."""
    kind, stack = exception.get("exception.type"), exception.get("exception.stacktrace")
    if kind is None and stack is None:
        return None
    message = exception.get("exception.message")
    details = {"type": kind, "message": message, "stack": stack and stack_of(str(stack))}
    causes = _causes_of(str(stack or ""))
    return {
        **{name: value for name, value in details.items() if value is not None},
        **({"causes": causes} if causes else {}),
    }


def stack_of(traceback: str) -> str:
    """The stack in a record's form, from a traceback that ``exception_of`` wrote."""
    section = _BETWEEN.split(traceback)[-1]
    _, separator, group = section.partition(_GROUP_HEAD + "\n")
    if separator:
        own, _, _ = group.partition(_MEMBERS)
        stack, _ = _stack_and_line([line.removeprefix("  | ") for line in own.splitlines()])
    else:
        _, separator, own = section.partition(_HEAD + "\n")
        stack, _ = _stack_and_line(own.splitlines())
    return stack if separator and stack else traceback


def _stack_and_line(lines: list[str]) -> tuple[str, str]:
    """Printed frames in a record's form, and the exception's line behind them."""
    frames = [_PRINTED.fullmatch(line) for line in lines]
    end = max((at for at, frame in enumerate(frames) if frame), default=-1) + 1
    stack = "\n".join(
        line if frame is None else f"{frame[1]}:{frame[2]} in {frame[3]}"
        for line, frame in zip(lines[:end], frames[:end], strict=True)
    )
    return stack, "\n".join(lines[end:])


def _causes_of(traceback: str) -> list[dict[str, Any]]:
    """The causes in a traceback, nearest first, as far as they are not groups."""
    causes: list[dict[str, Any]] = []
    start = 0
    for between in _BETWEEN.finditer(traceback):
        section = traceback[start : between.start()].removeprefix(_HEAD + "\n")
        start = between.end()
        stack, line = _stack_and_line(section.splitlines())
        kind, _, message = line.partition(": ")
        cause: dict[str, Any] = {"type": kind, "message": message}
        if stack:
            cause["stack"] = stack
        if between[0] == _CONTEXT:
            cause["context"] = True
        causes.insert(0, cause)
    return causes


def _traceback(details: dict[str, Any]) -> str:
    """What Python would print: causes first, then the frames and the exception."""
    stack = payload.text(details.get("stack") or "")
    if stack and not any(map(_FRAME.fullmatch, stack.splitlines())):
        return stack  # of another tracer, in a form of its own
    return _with_causes(details)


def _with_causes(error: Any) -> str:
    printed = _printed(error)
    for cause in _items(error, "causes"):
        between = _CONTEXT if isinstance(cause, dict) and cause.get("context") else _CAUSE
        printed = f"{_printed(cause)}{between}{printed}"
    return printed


def _printed(error: Any) -> str:
    """One exception with its frames, and with the exceptions in it."""
    frames = _frames(error)
    members = _items(error, "exceptions")
    if not members:
        return "\n".join([*([_HEAD] if frames else ()), *frames, _line(error)])
    lines = [_GROUP_HEAD] if frames else []
    lines += [f"  | {line}" for line in (*frames, *_line(error).splitlines())]
    for number, member in enumerate(members, start=1):
        lines.append(("  +-" if number == 1 else "    ") + _RULE.format(number))
        lines += [f"    | {line}" for line in _with_causes(member).splitlines()]
    return "\n".join([*lines, _LAST_RULE])


def _frames(error: Any) -> list[str]:
    stack = error.get("stack") if isinstance(error, dict) else None
    lines = payload.text(stack).splitlines() if stack else []
    frames = [_FRAME.fullmatch(line) for line in lines]
    return [
        line if frame is None else f'  File "{frame[1]}", line {frame[2]}, in {frame[3]}'
        for line, frame in zip(lines, frames, strict=True)
    ]


def _items(error: Any, name: str) -> list[Any]:
    items = error.get(name) if isinstance(error, dict) else None
    return items if isinstance(items, list) else []


def _line(error: Any) -> str:
    if not isinstance(error, dict):
        return payload.text(error)
    kind, message = payload.text(error.get("type") or "Exception"), error.get("message")
    return f"{kind}: {payload.text(message)}" if message else kind
