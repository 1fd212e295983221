"""A short text for a value, as ``repr`` writes it where ``repr`` runs none of the user's code.

For keys of dicts and the arguments of exceptions. Invariant: the cost and the length are bounded.
"""

from __future__ import annotations

import datetime
import enum
from itertools import islice
from typing import Any

from sessiontrace.capture.encoding.known_types import known_form
from sessiontrace.capture.encoding.moments import iso_text
from sessiontrace.capture.encoding.safe_text import (
    SHORT_MAX,
    cut,
    kind_name,
    name_of_object,
    omitted,
    sanitize_text,
)
from sessiontrace.capture.encoding.static_access import instance_dict

__all__ = ["args_of", "integer_text", "is_scalar", "short_repr", "short_text"]

_ITEMS = 20
_LEVELS = 3
_WITH_REPR = (tuple, list, set, frozenset, BaseException)
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
_args = BaseException.__dict__["args"].__get__
_BRACKETS: dict[type[Any], str] = {tuple: "()", list: "[]", set: "{}", frozenset: "{}"}


def is_scalar(value: object) -> bool:
    """Whether the value is exactly of a built-in type without parts."""
    return any(type(value) is kind for kind in _SCALARS)  # no hash: a metaclass may define it


def integer_text(value: int) -> str:
    """An integer in decimal digits, or its size: the digits of a huge one take quadratic time."""
    bits = value.bit_length()
    return str(value) if bits <= 4096 else f"<int of {bits} bits>"


def short_repr(value: Any, levels: int = _LEVELS) -> str:
    """The text of a value of any class."""
    kind = type(value)
    if is_scalar(value):
        if kind is int:
            return integer_text(value)
        if kind is str or kind is bytes:
            value = value[:SHORT_MAX]
        return sanitize_text(cut(repr(value), SHORT_MAX))
    for base in (tuple, list, set, frozenset):
        if issubclass(kind, base):
            return _items(value, base, levels)
    if issubclass(kind, BaseException):
        return f"{kind_name(kind)}({', '.join(_texts(args_of(value), tuple, levels))})"
    return short_text(value)


def short_text(value: Any) -> str:
    """As ``str`` writes the value, where ``str`` runs none of the user's code; else its repr."""
    kind = type(value)
    if issubclass(kind, str):
        return sanitize_text(cut(str.__str__(value), SHORT_MAX))
    if issubclass(kind, (datetime.date, datetime.time)):
        return iso_text(value)
    if issubclass(kind, enum.Enum):
        return short_text(instance_dict(value, kind).get("_value_"))
    if is_scalar(value) or issubclass(kind, _WITH_REPR):
        return short_repr(value)
    text = known_form(value, kind)
    return text if type(text) is str else name_of_object(value)


def args_of(error: BaseException) -> tuple[Any, ...]:
    """The arguments of an exception, whatever its class defines under that name."""
    args: tuple[Any, ...] = _args(error)
    return args


def _items(value: Any, base: type[Any], levels: int) -> str:
    texts = _texts(value, base, levels)
    brackets = _BRACKETS[base]
    comma = "," if base is tuple and len(texts) == 1 else ""
    return f"{brackets[0]}{', '.join(texts)}{comma}{brackets[1]}"


def _texts(value: Any, base: type[Any], levels: int) -> list[str]:
    if levels <= 0:
        return ["…"]
    texts = [short_repr(item, levels - 1) for item in islice(base.__iter__(value), _ITEMS)]
    length = base.__len__(value)
    if length > len(texts):
        texts.append(omitted(length - len(texts), "items"))
    return texts
