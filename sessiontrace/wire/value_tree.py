"""Nested objects made from attributes whose names are paths, such as ``a.0.b``.

Pure functions, no thread owns them. Invariant: no two attributes overwrite each other: where a
plain value and an object meet, the plain one moves to "value" within the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from sessiontrace.model.json_depth import is_too_deep
from sessiontrace.wire.received_span import DEPTH

__all__ = ["as_lists", "json_value", "merge", "put", "whole_json"]

_DEPTH_IN_TEXT = 48  # a text within the text is decoded too, and a record may have 128 levels


def put(tree: dict[str, Any], path: Sequence[str], value: Any, *, keep: bool = False) -> None:
    """Set a value deep in nested objects; objects merge, and with ``keep`` the first one wins."""
    place = tree
    for step in path[:-1]:
        below = place.get(step)
        if not isinstance(below, dict):
            below = place[step] = {} if below is None else {"value": below}
        place = below
    last = path[-1]
    present = place.get(last)
    if isinstance(present, dict) and isinstance(value, dict):
        place[last] = {**value, **present} if keep else {**present, **value}
    elif keep and present is not None:
        return
    elif isinstance(present, dict):
        present["value"] = value
    else:
        place[last] = value


def merge(tree: dict[str, Any], other: dict[str, Any]) -> None:
    """Put all of another tree's values into ``tree``, at the same paths."""
    for name, value in other.items():
        below = tree.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            merge(below, value)
        else:
            put(tree, (name,), value)


def as_lists(value: Any, depth: int = DEPTH) -> Any:
    """The value with each object whose keys count 0, 1, 2, ... as a list, ``depth`` levels down."""
    if not isinstance(value, dict) or depth < 0:
        return value
    tree = {key: as_lists(inner, depth - 1) for key, inner in value.items()}
    if tree and all(key.isdecimal() for key in tree):
        order = sorted(tree, key=int)
        if [int(key) for key in order] == list(range(len(order))):
            return [tree[key] for key in order]
    return tree


def json_value(value: Any) -> Any:
    """The object or list that a JSON text holds; anything else as it is."""
    return whole_json(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


def whole_json(value: Any) -> Any:
    """The value of a JSON text, also of a number or a text in quotes; anything else as it is.

    A text of more than 48 levels stays a text.
    """
    if isinstance(value, str):
        try:
            decoded = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
        brackets = value.count("{") + value.count("[")  # a text with fewer cannot be that deep
        is_deep = brackets > _DEPTH_IN_TEXT and is_too_deep(decoded, _DEPTH_IN_TEXT)
        return value if is_deep else decoded
    return value
