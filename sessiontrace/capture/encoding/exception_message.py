"""The message of an exception, as ``str`` writes it where that can do no input or output.

Runs in the user's thread. The ``__str__`` of the built-in exceptions writes the arguments, whose
own ``__str__`` and ``__repr__`` may be the user's; then this module writes them. A ``__str__`` that
the exception's class defines runs, as it does in a logger, unless the exception holds an object
that may load data, or a large container. Invariant: never raises.
"""

from __future__ import annotations

import types
from itertools import islice
from typing import Any

from sessiontrace.capture.encoding.known_types import is_text_like
from sessiontrace.capture.encoding.object_fields import ORMS
from sessiontrace.capture.encoding.safe_text import (
    cut,
    kind_name,
    sanitize_text,
    text_of,
    unprintable,
)
from sessiontrace.capture.encoding.short_repr import args_of, is_scalar, short_repr, short_text
from sessiontrace.capture.encoding.static_access import (
    MISSING,
    bases_of,
    class_attribute,
    instance_dict,
    module_of,
    slot_of,
)
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["message_of"]

_ITEMS = 1_000
_PARTS = 100  # of a container, of which there may be many
_CHARACTERS = 1 << 20
_LEVELS = 3  # of exceptions as arguments of exceptions, and of containers in containers
_LAZY = ("__getattr__", "__iter__", "__aiter__", "__len__", "__bool__", "__getitem__")
_NAMES = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
_CONTAINERS: tuple[Any, ...] = (list, tuple, dict, set, frozenset)


def message_of(error: BaseException, longest: int, levels: int = _LEVELS) -> str:
    """The message, of at most ``longest`` characters."""
    kind = type(error)
    try:
        args = args_of(error)
        if _runs_no_foreign_code(error, kind, args):
            return text_of(error, longest)
        return sanitize_text(cut(_written(args, levels), longest))
    except Exception as failure:
        raise_if_from_signal(failure)
        return unprintable(error, failure)


def _runs_no_foreign_code(error: BaseException, kind: type, args: tuple[Any, ...]) -> bool:
    """Whether ``str(error)`` is cheap and can load nothing."""
    if len(args) > _PARTS:
        return False
    if type(class_attribute(kind, "__str__")) is not types.FunctionType:  # a built-in class's
        if any(kind_name(base) == "BaseExceptionGroup" for base in bases_of(kind)):
            args = args[:1]  # it counts the others
        values = (*args, *(slot_of(error, kind, name) for name in _PLACES))
        return _is_cheap(tuple(value for value in values if value is not MISSING), _LEVELS)
    attributes = instance_dict(error, kind)
    values = (*args, *islice(attributes.values(), _ITEMS))
    return not any(_may_load(value, _LEVELS) for value in values)


_PLACES = ("filename", "filename2", "msg", "name", "path", "reason", "text")
"""What the ``__str__`` of ``OSError``, ``ImportError``, ``SyntaxError`` and their kin writes."""


def _is_cheap(value: Any, levels: int) -> bool:
    """Whether ``str`` and ``repr`` of the value are short, and run none of the user's code."""
    kind = type(value)
    if is_scalar(value):
        return not isinstance(value, (str, bytes)) or len(value) <= _CHARACTERS
    if any(kind is base for base in (list, tuple, set, frozenset)):
        parts = value
    elif kind is dict:
        parts = (
            [part for pair in list(value.items()) for part in pair] if len(value) <= _PARTS else ()
        )
    else:
        return is_text_like(kind)
    if levels < 0 or len(value) > _PARTS:
        return False
    return all(_is_cheap(part, levels - 1) for part in parts)


def _may_load(value: Any, levels: int) -> bool:
    """Whether to write the value might load data, or take long."""
    kind = type(value)
    if is_scalar(value):
        return type(value) is str and len(value) > _CHARACTERS
    for base in _CONTAINERS:
        if issubclass(kind, base):
            if base.__len__(value) > _ITEMS or levels <= 0:
                return True
            items = dict.values(value) if base is dict else base.__iter__(value)
            return any(_may_load(item, levels - 1) for item in list(items))
    if issubclass(kind, (BaseException, *_NAMES)) or is_text_like(kind):
        return False
    if "_sa_instance_state" in instance_dict(value, kind):
        return True
    if any(module_of(base).partition(".")[0] in ORMS for base in bases_of(kind)):
        return True
    return any(class_attribute(kind, name) is not MISSING for name in _LAZY)


def _written(args: tuple[Any, ...], levels: int) -> str:
    """The arguments as ``BaseException.__str__`` writes them."""
    if len(args) != 1:
        return short_repr(args) if args else ""
    (value,) = args
    if issubclass(type(value), str):
        return str.__str__(value)
    if issubclass(type(value), BaseException):
        return message_of(value, _CHARACTERS, levels - 1) if levels > 0 else short_repr(value)
    return short_text(value)
