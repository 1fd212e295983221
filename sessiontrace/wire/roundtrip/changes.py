"""What a reader must change in a record that it read from attributes, to have it as it was.

Pure functions, no thread owns them. The conventions have no form for some values: an absent field
beside an empty one, a whole number among floats, the spaces in a tool's arguments. The writer reads
its own attributes as the reader will, and sends the differences in one attribute, a JSON list of
lists: ``[path]`` removes, ``[path, value]`` sets, ``[path, null, form]`` converts what is there.
Invariant: ``apply`` of the ``differences`` of two values to the first gives the second, and
applying changes of any other origin never raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import orjson

__all__ = ["ATTRIBUTE", "Changes", "apply", "differences", "moved", "same"]

ATTRIBUTE = "sessiontrace.changes"
"""The attribute's name."""

Path = tuple[str | int, ...]
Changes = list[list[Any]]

_REMOVE, _SET, _CONVERT = 1, 2, 3


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()


_FORMS: dict[str, Callable[[Any], Any]] = {
    "compact": _compact,
    "spaced": lambda value: json.dumps(value, ensure_ascii=False),
    "ascii": json.dumps,
    "parsed": orjson.loads,
}
"""Conversions between a value and its JSON text, which a text of some size need not be sent for."""

_LONG = 64  # characters of a text that a conversion is tried for


def same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers and booleans by their types too."""
    if value is other:
        return True
    if type(value) is not type(other):
        return False
    if type(value) is dict:
        return value.keys() == other.keys() and all(same(value[key], other[key]) for key in value)
    if type(value) is list:
        return len(value) == len(other) and all(map(same, value, other))
    return bool(value == other)


def differences(path: Path, base: Any, value: Any, changes: Changes) -> None:
    """Append what makes ``base``, which a reader has at ``path``, the ``value``."""
    if value is base:
        return
    kind = type(value)
    if kind is type(base):
        if kind is dict:
            changes += ([[*path, key]] for key in base if key not in value)
            for key, inner in value.items():
                if key in base:
                    differences((*path, key), base[key], inner, changes)
                else:
                    changes.append([[*path, key], inner])
            return
        if kind is list and len(value) == len(base):
            for position, (before, inner) in enumerate(zip(base, value, strict=True)):
                differences((*path, position), before, inner, changes)
            return
        if kind is not list and value == base:
            return
    form = _form_of(base, value)
    changes.append([list(path), value] if form is None else [list(path), None, form])


def moved(changes: Sequence[list[Any]], path: Path) -> Changes:
    """Changes of paths within the value at a path, as changes of the record."""
    return [[[*path, *change[0]], *change[1:]] for change in changes]


def _form_of(base: Any, value: Any) -> str | None:
    """The form that makes ``base`` the ``value``, where its name is shorter than the value."""
    if isinstance(value, str):
        if len(value) < _LONG:
            return None
        forms: tuple[str, ...] = ("compact", "spaced", "ascii")
        if isinstance(base, str):
            if len(base) < _LONG:
                return None
            try:
                base = orjson.loads(base)
            except orjson.JSONDecodeError:
                return None
            forms = ("spaced", "ascii")
        return next((form for form in forms if _FORMS[form](base) == value), None)
    if isinstance(base, str) and len(base) >= _LONG:
        try:
            return "parsed" if same(orjson.loads(base), value) else None
        except orjson.JSONDecodeError:
            return None
    return None


def apply(fields: dict[str, Any], changes: Any, names: frozenset[str]) -> None:
    """Make the changes to a record's fields; ``names``: the fields that they may be about."""
    for change in changes if isinstance(changes, list) else ():
        path = change[0] if isinstance(change, list) and 1 <= len(change) <= _CONVERT else None
        if isinstance(path, list) and path and path[0] in names:
            try:
                _apply(fields, path, change)
            except (LookupError, TypeError, ValueError, RecursionError):
                continue  # not our writer's: the record has no such place


def _apply(fields: Any, path: list[Any], change: list[Any]) -> None:
    place = fields
    for step in path[:-1]:
        if type(place) is dict and step not in place:
            place[step] = {}
        place = place[step]
    last = path[-1]
    if len(change) == _REMOVE:
        del place[last]
    elif len(change) == _SET:
        place[last] = change[1]
    else:
        value = place[last]
        if isinstance(value, str) and change[2] != "parsed":
            value = orjson.loads(value)
        place[last] = _FORMS[change[2]](value)
