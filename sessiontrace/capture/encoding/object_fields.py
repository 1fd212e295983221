"""The fields of an object, read without running any of its code.

Runs in the user's thread. Fields of a dataclass or of an attrs, pydantic or msgspec class come from
the instance's dictionary and slots, and so do the public attributes of any other plain class. A
field that the instance does not hold, such as a relationship or column that an ORM has not loaded,
is never loaded.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from itertools import islice
from typing import Any

from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.encoding.static_access import (
    MISSING,
    bases_of,
    class_attribute,
    instance_dict,
    is_standard,
    members_of,
    module_of,
    slot_of,
)

__all__ = ["ORMS", "attributes_of", "field_of", "fields_of"]

Fields = list[tuple[str, Any]]

NOT_LOADED = "<not loaded>"
"""In place of a declared field that the instance does not hold."""

# A class with one of these computes its content, or is a resource or a service rather than data.
_OPAQUE = frozenset(
    {
        "__getattr__",
        "__iter__",
        "__next__",
        "__len__",
        "__aiter__",
        "__anext__",
        "__await__",
        "__call__",
        "__enter__",
        "__aenter__",
        "__del__",
        "close",
        "aclose",
        "dispose",
        "acquire",
        "fileno",
        "shutdown",
    }
)
ORMS = frozenset({"django", "mongoengine", "peewee", "pony", "sqlalchemy", "sqlmodel", "tortoise"})
"""Packages whose own objects are queries and connections, and whose models load what is missing."""

_NEUTRAL = frozenset({("abc", "ABC"), ("typing", "Generic"), ("typing", "Protocol")})


def fields_of(value: object, kind: type, longest: int) -> Fields | None:
    """The declared fields of an object, without those its author hid from repr; None: it has none.

    ``longest``: most fields to return.
    """
    declared = class_attribute(kind, "__dataclass_fields__")
    if type(declared) is dict:
        import dataclasses  # imported already, or this would not be a dataclass

        names = (field.name for field in dataclasses.fields(kind) if field.repr)
        return _declared(value, kind, islice(names, longest))
    declared = class_attribute(kind, "__attrs_attrs__")
    if isinstance(declared, tuple):
        names = (attribute.name for attribute in declared if attribute.repr)
        return _declared(value, kind, islice(names, longest))
    if class_attribute(kind, "__pydantic_core_schema__") is not MISSING:
        declared = class_attribute(kind, "__pydantic_fields__")
        if declared is MISSING:
            declared = class_attribute(kind, "model_fields")  # before pydantic 2.10
        return _pydantic(value, kind, declared if type(declared) is dict else {}, longest)
    declared = class_attribute(kind, "__struct_fields__")  # of msgspec
    if type(declared) is tuple:
        return _declared(value, kind, islice(declared, longest))
    if (
        type(class_attribute(kind, "__fields__")) is dict
        and class_attribute(kind, "__validators__") is not MISSING
    ):
        return _snapshot(instance_dict(value, kind), longest)  # pydantic v1
    return None


def _declared(value: object, kind: type, names: Iterable[str]) -> Fields:
    attributes = instance_dict(value, kind)
    fields: Fields = []
    for name in names:
        item = attributes.get(name, MISSING)
        fields.append((name, _absent(value, kind, name) if item is MISSING else item))
    return fields


def _absent(value: object, kind: type, name: str) -> Any:
    """A field that is not in the instance's dictionary: a slot, or the default in the class."""
    attribute = class_attribute(kind, name)
    if type(attribute) is types.MemberDescriptorType:
        attribute = slot_of(value, kind, name)
    elif attribute is not MISSING and class_attribute(type(attribute), "__get__") is not MISSING:
        attribute = MISSING  # a descriptor: an ORM would load the value
    return NOT_LOADED if attribute is MISSING else attribute


def _snapshot(attributes: dict[Any, Any], longest: int) -> Fields:
    """The first attributes, copied by one C call: another thread may add to them."""
    return list(islice(attributes.items(), longest))


def _pydantic(value: object, kind: type, declared: dict[str, Any], longest: int) -> Fields:
    hidden = {name for name, field in declared.items() if not field.repr}
    fields = [
        (name, item)
        for name, item in _snapshot(instance_dict(value, kind), longest)
        if name not in hidden and not name.startswith("_")  # SQLModel keeps its state there
    ]
    extra = slot_of(value, kind, "__pydantic_extra__")
    if type(extra) is dict:
        fields += _snapshot(extra, longest - len(fields))
    return fields


def field_of(value: object, kind: type, name: str) -> Any:
    """What an object holds under the name; None if it holds nothing there."""
    item = instance_dict(value, kind).get(name, MISSING)
    if item is MISSING:
        item = slot_of(value, kind, name)
    if item is MISSING:
        extra = slot_of(value, kind, "__pydantic_extra__")
        return extra.get(name) if type(extra) is dict else None
    return item


def attributes_of(value: object, kind: type, longest: int) -> Fields:
    """The public attributes of an instance of a plain class; empty where the class is not plain."""
    if not _is_plain(kind):
        return []
    attributes = [
        (name, item)
        for name, item in _snapshot(instance_dict(value, kind), longest)
        if type(name) is str and not name.startswith("_")
    ]
    for base in reversed(bases_of(kind)[:-1]):
        for name, member in islice(members_of(base).items(), longest - len(attributes)):
            if type(member) is types.MemberDescriptorType and not name.startswith("_"):
                item = slot_of(value, kind, name)
                if item is not MISSING:
                    attributes.append((name, item))
    return attributes


def _is_plain(kind: type) -> bool:
    """Whether instances are plain data: attributes, and no code that makes up content."""
    if type(class_attribute(kind, "__getattribute__")) is not types.WrapperDescriptorType:
        return False
    is_model = any(kind_name(base) == "Model" for base in bases_of(kind))
    if module_of(kind).partition(".")[0] in ORMS and not is_model:
        return False
    for base in bases_of(kind)[:-1]:
        if is_standard(base):
            if (module_of(base), kind_name(base)) not in _NEUTRAL:
                return False
        elif not _OPAQUE.isdisjoint(members_of(base)):
            return False
    return True
