"""Reading other libraries' answers: pydantic models, plain objects or decoded JSON alike.

Runs inside user code, on the thread of the call. Invariant: reading changes nothing, and what is
missing is None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

__all__ = ["get_field", "pick", "reader", "tool_call", "without_none"]

_NOT_GIVEN = frozenset({"Omit", "NotGiven", "Unset", "UNSET"})


def get_field(value: Any, name: str) -> Any:
    """``value.name`` or ``value["name"]``, and None where there is none."""
    if type(value) is dict:
        return value.get(name)
    try:
        held = value.__dict__
    except AttributeError:
        return getattr(value, name, None)
    if name in held:
        return held[name]
    # Fields a provider added of its own; asking the model for one it lacks costs a microsecond.
    try:
        extra = value.__pydantic_extra__
    except AttributeError:
        return getattr(value, name, None)
    return extra.get(name) if extra else None


def reader(value: Any) -> Callable[[str], Any]:
    """``get_field`` of one value, for who reads several of its fields: a third of the cost of
    each."""
    if type(value) is dict:
        return value.get
    try:
        held, extra = value.__dict__, value.__pydantic_extra__
    except AttributeError:
        return functools.partial(get_field, value)
    return {**held, **extra}.get if extra else held.get


def pick(body: Mapping[str, Any], names: AbstractSet[str]) -> dict[str, Any]:
    """Those of ``names`` that the caller gave in the request body."""
    return {
        name: value
        for name, value in body.items()
        if name in names and value is not None and type(value).__name__ not in _NOT_GIVEN
    }


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are known."""
    return {name: value for name, value in values.items() if value is not None}


def tool_call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """One tool call as events show it, in the form of the chat completions API.

    ``arguments``: a JSON text as the model wrote it, or the decoded object.
    """
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
