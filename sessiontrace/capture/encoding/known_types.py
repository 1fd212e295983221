"""Classes whose content may be read, and how: an allowlist, by module and name.

Runs in the user's thread, for values without fields. The code of these classes is pure: it computes
from memory. A subclass is read through the class on the list, so that what the subclass overrides
does not run. The list names its classes because importing their modules costs time, and most
programs use few of them. Invariant: each conversion takes bounded time.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from sessiontrace.capture.encoding.safe_text import cut, kind_name
from sessiontrace.capture.encoding.static_access import (
    MISSING,
    bases_of,
    class_attribute,
    instance_dict,
    is_dynamic,
    is_standard,
    module_of,
    slot_of,
)

__all__ = ["is_text_like", "known_form"]

_ARRAY_ITEMS = 1_000
_FRACTION_BITS = 4_096

Convert = Callable[[Any, type], Any]
"""From a value, and the class on the list that it belongs to, to a simpler value."""


def is_text_like(kind: type) -> bool:
    """Whether the class is on the list, and its own ``str`` and ``repr`` run only code of its own.

    Those of a ``SimpleNamespace`` or a ``partial`` write their parts, of any class.
    """
    convert = _EXACT.get((module_of(kind), kind_name(kind)))
    if convert is None:
        for base in bases_of(kind)[:-1] if is_standard(kind) else (kind,):
            convert = convert or _WITH_SUBCLASSES.get((module_of(base), kind_name(base)))
    return convert in (_text, _repr, _pairs, _masked, _fraction)


def known_form(value: object, kind: type) -> Any:
    """A simpler value of the same content; ``MISSING`` if the class is not on the list."""
    convert = _EXACT.get((module_of(kind), kind_name(kind)))
    if convert is not None:
        return convert(value, kind)
    for base in bases_of(kind)[:-1]:
        convert = _WITH_SUBCLASSES.get((module_of(base), kind_name(base)))
        if convert is not None:
            # The code of the base reads attributes: a subclass must not make them up.
            if base is not kind and is_dynamic(kind) and convert not in _OF_DYNAMIC_CLASSES:
                return MISSING
            return convert(value, base)
    return MISSING


def _text(value: Any, base: type) -> str:
    return str(class_attribute(base, "__str__")(value))


def _fraction(value: Any, base: type) -> str:
    parts = [slot_of(value, base, name) for name in ("_numerator", "_denominator")]
    if any(part.bit_length() > _FRACTION_BITS for part in parts):  # quadratic time
        return f"<Fraction of {max(part.bit_length() for part in parts)} bits>"
    return _text(value, base)


def _repr(value: Any, base: type) -> str:
    return cut(str(class_attribute(base, "__repr__")(value)), 1_000)


def _masked(value: Any, base: type) -> str:
    return f"{kind_name(type(value))}('**********')"


def _attributes(value: Any, base: type) -> Any:
    return instance_dict(value, type(value))


def _columns(value: Any, base: type) -> Any:
    """The values that a model of peewee or mongoengine has loaded, by field."""
    kind = type(value)
    for values in (instance_dict(value, kind).get("__data__"), slot_of(value, kind, "_data")):
        if issubclass(type(values), dict):
            return values
    return MISSING


def _source_text(value: Any, base: type) -> Any:
    """The text that Django would translate; to translate it would read a catalogue from disk."""
    attributes = instance_dict(value, type(value))
    for name in ("_args", "_proxy____args"):
        args = attributes.get(name)
        if type(args) is tuple and args and type(args[-1]) is str:
            return args[-1]
    return MISSING


def _data(value: Any, base: type) -> Any:
    data = instance_dict(value, type(value)).get("data", MISSING)
    return data if isinstance(data, (dict, list, str)) else MISSING


def _array(value: Any, base: type) -> Any:
    length = class_attribute(base, "__len__")(value)
    if length <= _ARRAY_ITEMS:
        return class_attribute(base, "tolist")(value)
    typecode = class_attribute(base, "typecode").__get__(value)
    return f"<array '{typecode}' of {length}>"


def _merged(value: Any, base: type) -> Any:
    """A ``ChainMap`` as one dict, if it is small and made of plain dicts; else its maps."""
    maps = instance_dict(value, type(value)).get("maps")
    if type(maps) is not list:
        return MISSING
    if sum(len(m) if type(m) is dict else _ARRAY_ITEMS for m in maps) >= _ARRAY_ITEMS:
        return {"maps": maps}
    if not all(type(key) is str for m in maps for key in m):
        return {"maps": maps}
    merged: dict[str, Any] = {}
    for mapping in reversed(maps):
        merged.update(mapping)
    return merged


def _referent(value: Any, base: type) -> Any:
    """The dict behind a proxy or a view, whose own methods would run those of a subclass."""
    for mapping in gc.get_referents(value):
        if issubclass(type(mapping), dict):
            return mapping
    return MISSING


def _keys(value: Any, base: type) -> Any:
    mapping = _referent(value, base)
    return mapping if mapping is MISSING else dict.keys(mapping)


def _module(value: Any, base: type) -> str:
    name = instance_dict(value, type(value)).get("__name__")
    return f"<module {name if type(name) is str else '?'}>"


def _partial(value: Any, base: type) -> dict[str, Any]:
    names = ("func", "args", "keywords")
    return {name: slot_of(value, base, name) for name in names}


def _generator(value: Any, base: type) -> str:
    return f"<{kind_name(base)} {value.__qualname__}>"


def _row(value: Any, base: type) -> Any:
    """A row of a result, of SQLAlchemy: its values were fetched with it."""
    data, places = (class_attribute(base, name) for name in ("_data", "_key_to_index"))
    data, places = data.__get__(value), places.__get__(value)
    if type(data) is not tuple or type(places) is not dict:
        return MISSING
    names = {place: name for name, place in places.items() if type(name) is str}
    return {names.get(place, place): item for place, item in enumerate(data)}


def _pairs(value: Any, base: type) -> dict[Any, Any] | str:
    length = len(value)
    return dict(value.items()) if length <= _ARRAY_ITEMS else f"<{kind_name(base)} of {length}>"


def _sqlite_row(value: Any, base: type) -> dict[str, Any]:
    return dict(zip(value.keys(), tuple(value), strict=False))


def _slice(value: slice, base: type) -> dict[str, Any]:
    return {"start": value.start, "stop": value.stop, "step": value.step}


_WITH_SUBCLASSES: dict[tuple[str, str], Convert] = {
    ("uuid", "UUID"): _text,
    ("decimal", "Decimal"): _text,
    ("fractions", "Fraction"): _fraction,
    ("pathlib", "PurePath"): _text,
    ("pathlib._local", "PurePath"): _text,
    ("array", "array"): _array,
    ("types", "SimpleNamespace"): _attributes,
    ("argparse", "Namespace"): _attributes,
    ("functools", "partial"): _partial,
    ("collections", "UserDict"): _data,
    ("collections", "UserList"): _data,
    ("collections", "UserString"): _data,
    ("collections", "ChainMap"): _merged,
    ("builtins", "module"): _module,
    ("pydantic.types", "_SecretBase"): _masked,
    ("pydantic.v1.types", "SecretField"): _masked,
    ("pydantic.networks", "_BaseUrl"): _text,
    ("sqlalchemy.engine._row_cy", "BaseRow"): _row,
    ("sqlalchemy.cyextension.resultproxy", "BaseRow"): _row,
    ("sqlalchemy.engine._py_row", "BaseRow"): _row,
    ("django.utils.functional", "Promise"): _source_text,
    ("bson.objectid", "ObjectId"): _text,
    ("peewee", "Model"): _columns,
    ("mongoengine.base.document", "BaseDocument"): _columns,
}

_OF_DYNAMIC_CLASSES = (_row, _source_text, _columns)
"""What reads the state of an instance, whatever attributes its class computes."""

_EXACT: dict[tuple[str, str], Convert] = {
    ("builtins", "mappingproxy"): _referent,
    ("builtins", "dict_keys"): _keys,
    ("builtins", "dict_values"): lambda value, base: _view(value, dict.values),
    ("builtins", "dict_items"): lambda value, base: _view(value, dict.items),
    ("builtins", "odict_keys"): _keys,
    ("builtins", "odict_values"): lambda value, base: _view(value, dict.values),
    ("builtins", "odict_items"): lambda value, base: _view(value, dict.items),
    ("builtins", "generator"): _generator,
    ("builtins", "coroutine"): _generator,
    ("builtins", "async_generator"): _generator,
    ("builtins", "slice"): _slice,
    ("builtins", "ellipsis"): _repr,
    ("builtins", "NotImplementedType"): _repr,
    ("datetime", "timezone"): _text,
    ("ipaddress", "IPv4Address"): _repr,
    ("ipaddress", "IPv4Interface"): _repr,
    ("ipaddress", "IPv4Network"): _repr,
    ("ipaddress", "IPv6Address"): _repr,
    ("ipaddress", "IPv6Interface"): _repr,
    ("ipaddress", "IPv6Network"): _repr,
    ("zoneinfo", "ZoneInfo"): _text,
    ("re", "Pattern"): _repr,
    ("sqlite3", "Row"): _sqlite_row,
    ("httpx", "Headers"): _pairs,
    ("httpx", "URL"): _repr,
    ("httpx", "Response"): _repr,
    ("httpx", "Request"): _repr,
    ("requests.models", "Response"): _repr,
    ("requests.structures", "CaseInsensitiveDict"): _pairs,
    ("starlette.datastructures", "Headers"): _pairs,
    ("starlette.datastructures", "QueryParams"): _pairs,
    ("multidict._multidict", "CIMultiDict"): _pairs,
    ("multidict._multidict", "CIMultiDictProxy"): _pairs,
    ("multidict._multidict", "MultiDict"): _pairs,
    ("multidict._multidict", "MultiDictProxy"): _pairs,
    ("yarl", "URL"): _repr,
    ("yarl._url", "URL"): _repr,
    ("pydantic_core._pydantic_core", "Url"): _text,
    ("pydantic_core._pydantic_core", "MultiHostUrl"): _text,
    ("pandas.api.typing", "NAType"): lambda value, base: None,
    ("pandas._libs.missing", "NAType"): lambda value, base: None,
}


def _view(value: Any, view: Callable[[dict[Any, Any]], Any]) -> Any:
    mapping = _referent(value, type(value))
    return mapping if mapping is MISSING else view(mapping)
