"""Reads of classes and instances that run none of the user's code.

Ordinary attribute access may run a property, a descriptor, ``__getattr__`` or a metaclass, and each
of these may query a database. These functions look names up in the dictionaries of the classes, and
read an instance only through its own dictionary and its slots. Invariant: each costs at most one
pass over the classes that a value's class derives from.
"""

from __future__ import annotations

import sys
import types
from typing import Any

__all__ = [
    "MISSING",
    "bases_of",
    "class_attribute",
    "instance_dict",
    "is_dynamic",
    "is_standard",
    "members_of",
    "module_of",
    "qualified_name",
    "slot_of",
]

MISSING: Any = type("Missing", (), {})()
"""In place of a value that an instance or class does not have."""

bases_of = type.__dict__["__mro__"].__get__
"""The classes of a method resolution order, whatever a metaclass says."""

members_of = type.__dict__["__dict__"].__get__
"""What a class itself defines, without its bases."""

_module = type.__dict__["__module__"].__get__
_qualname = type.__dict__["__qualname__"].__get__
_STANDARD = sys.stdlib_module_names
_DICT_TYPES = (types.GetSetDescriptorType, types.MemberDescriptorType)


def class_attribute(kind: type, name: str) -> Any:
    """What a class or its nearest base defines under the name, not bound; or ``MISSING``."""
    for base in bases_of(kind):
        members = members_of(base)
        if name in members:
            return members[name]
    return MISSING


def module_of(kind: type) -> str:
    """The name of the module that defines a class."""
    try:
        module = _module(kind)
    except AttributeError:
        return "?"
    return module if type(module) is str else "?"


def is_standard(kind: type) -> bool:
    """Whether the standard library defines the class."""
    return module_of(kind).partition(".")[0] in _STANDARD


def qualified_name(kind: type) -> str:
    """``module.Class``."""
    return f"{module_of(kind)}.{_qualname(kind)}"


def is_dynamic(kind: type) -> bool:
    """Whether the class computes attributes: ``__getattr__`` or its own ``__getattribute__``."""
    if class_attribute(kind, "__getattr__") is not MISSING:
        return True
    return type(class_attribute(kind, "__getattribute__")) is not types.WrapperDescriptorType


def instance_dict(value: object, kind: type) -> dict[Any, Any]:
    """The attributes that an instance itself holds; empty if it has no dictionary of its own."""
    descriptor = class_attribute(kind, "__dict__")
    if type(descriptor) in _DICT_TYPES:  # else a proxy's: its code would run
        attributes = descriptor.__get__(value)
        if type(attributes) is dict:
            return attributes
    return {}


def slot_of(value: object, kind: type, name: str) -> Any:
    """What an instance holds in one slot, or ``MISSING``."""
    descriptor = class_attribute(kind, name)
    if type(descriptor) is not types.MemberDescriptorType:
        return MISSING
    try:
        return descriptor.__get__(value)
    except AttributeError:  # a slot that was never set
        return MISSING
