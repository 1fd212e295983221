"""How deep JSON may be nested: the limit for what is accepted, and an encoder that has none.

Pure functions, no thread owns them. orjson reads 1024 levels and writes 254. Responses and exports
put a record into a few levels of their own. Invariant: a record that ``is_too_deep`` passes can be
written back, and ``encode`` writes every value that orjson can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

__all__ = ["DEPTH_MAX", "RECORD_DEPTH_MAX", "TOO_DEEP", "encode", "is_too_deep"]

DEPTH_MAX = 128
"""The most levels of objects and lists in an event that a program sends."""

RECORD_DEPTH_MAX = DEPTH_MAX + 8
"""The most levels in a record, which may hold an event in objects of its own."""

TOO_DEEP = f"nested deeper than {DEPTH_MAX} levels"


def is_too_deep(value: Any, depth: int = DEPTH_MAX) -> bool:
    """Whether a value that was read from JSON has more than ``depth`` levels."""
    level: list[Any] = [value]
    while containers := [item for item in level if type(item) is dict or type(item) is list]:
        if depth <= 0:
            return True
        depth -= 1
        level = []
        for container in containers:
            level.extend(_items(container))
    return False


def encode(value: Any, option: int | None = None) -> bytes:
    """JSON of a value; what orjson cannot nest further is a text that holds its JSON."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        if not is_too_deep(value):  # another fault
            raise
        return orjson.dumps(_cut(value), option=option)


def _cut(value: Any) -> Any:
    """A copy, in which every container on the level of the limit is a text of its JSON."""
    root = [value]
    places: list[tuple[Any, Any]] = [(root, 0)]  # container and key of each value of a level
    cuts: list[list[tuple[Any, Any]]] = []
    level = 0
    while places:
        below: list[tuple[Any, Any]] = []
        for parent, key in places:
            copy = parent[key] = parent[key].copy()
            pairs = copy.items() if isinstance(copy, dict) else enumerate(copy)
            below += [(copy, name) for name, item in pairs if isinstance(item, (dict, list))]
        level += 1
        if level % DEPTH_MAX == 0:
            cuts.append(below)
        places = below
    for cut in reversed(cuts):  # the deepest first: its text is part of the next one
        for parent, key in cut:
            parent[key] = orjson.dumps(parent[key]).decode()
    return root[0]


def _items(container: dict[Any, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if type(container) is dict else container
