"""The fields of a Pydantic object that a producer sent as ``str`` shows it: ``name='x' count=1``.

Pure functions, no thread owns them. Invariant: None for any text that is not whole such an object,
and no text raises.
"""

from __future__ import annotations

import ast
import re
from typing import Any

__all__ = ["constructed", "fields_of"]

_MOST_CHARS = 100_000
_FIELD = re.compile(r"[A-Za-z_]\w*=(?!=)")
_STRING = re.compile(r"[rbu]?('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")", re.DOTALL)
_OPEN, _CLOSED = frozenset("([{<"), frozenset(")]}>")


def fields_of(text: str) -> dict[str, Any] | None:
    """The fields, objects in them as their own fields; a value that cannot be read is its text."""
    if len(text) > _MOST_CHARS or not _FIELD.match(text):
        return None
    starts = _starts(text)
    if starts is None:
        return None
    fields: dict[str, Any] = {}
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        name, _, value = text[start:end].strip().partition("=")
        fields[name] = _value(value)
    return fields


def constructed(text: str) -> dict[str, Any] | None:
    """The fields of an object in a text that is its constructor, as a dataclass is shown."""
    if len(text) > _MOST_CHARS:
        return None
    value = _value(_ENUM.sub(_value_of_enum, text))
    return value if isinstance(value, dict) else None


_ENUM = re.compile(rf"{_STRING.pattern}|<[A-Za-z_]\w*\.\w+: ('[^'\n]*'|\d+)>", re.DOTALL)
"""A text, or a member of an enumeration with its value."""


def _value_of_enum(match: re.Match[str]) -> str:
    return match[2] or match[0]


def _starts(text: str) -> list[int] | None:
    """Where the fields begin: names with a "=", outside of texts and brackets."""
    starts: list[int] = []
    depth = position = 0
    while position < len(text):
        if (string := _STRING.match(text, position)) is not None:
            position = string.end()
            continue
        character = text[position]
        depth += (character in _OPEN) - (character in _CLOSED)
        is_first = position == 0 or text[position - 1] == " "
        if depth == 0 and is_first and (name := _FIELD.match(text, position)) is not None:
            starts.append(position)
            position = name.end()
            continue
        position += 1
    return starts if depth == 0 else None


def _value(text: str) -> Any:
    try:
        return _plain(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, MemoryError, RecursionError, SystemError, TypeError):
        return text


def _plain(node: ast.expr) -> Any:
    """A value, in which each object is its type and the fields that its constructor names."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        return {
            "type": node.func.id,
            **{entry.arg: _plain(entry.value) for entry in node.keywords if entry.arg},
        }
    if isinstance(node, ast.List):
        return [_plain(item) for item in node.elts]
    return ast.literal_eval(node)
