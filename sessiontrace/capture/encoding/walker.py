"""The bounded walk: any object to None, bool, int, float, str, list and dict of legal size.

Runs in the user's thread, for values that are not plain (``fast_path``). Containers are read
through their built-in base types and by one C call each, so that neither a subclass nor another
thread can lead the walk astray; the only user code that runs is ``repr``, properties of fields, and
iteration of foreign ABCs. Invariant: the budgets below bound time and result, whatever the value.
"""

from __future__ import annotations

import datetime
import enum
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from sessiontrace.capture.encoding import media
from sessiontrace.capture.encoding.safe_text import (
    cut,
    kind_name,
    omitted,
    repr_of,
    sanitize_text,
    text_of,
    unprintable,
)

__all__ = ["DEPTH", "ITEMS", "TEXT_MAX", "BoundedWalker"]

NODES = 10_000  # values of one walk, scalars included
DEPTH = 20
ITEMS = 1_000  # of one container
TEXT_MAX = 128 * 1024  # characters kept of one string
TEXT_TOTAL = 384 * 1024  # characters kept of all strings of one value
_KEY_MAX = 256
_BYTES_MAX = 1_024  # longer byte strings are described, not kept

_ARRAY_MODULES = frozenset({"numpy", "torch", "jax", "jaxlib", "tensorflow", "pandas", "polars"})


class BoundedWalker:
    """One bounded walk over one value: ``BoundedWalker().plain(value)``."""

    __slots__ = ("_nodes", "_path", "_text")

    def __init__(self) -> None:
        self._nodes = NODES
        self._text = TEXT_TOTAL
        self._path: set[int] = set()

    def plain(self, value: Any, depth: int = 0) -> Any:
        """The value in JSON's own types."""
        kind = type(value)
        if kind is str:
            return self._string(value)
        if value is None or kind is int or kind is float or kind is bool:
            return _scalar(value, kind)
        if self._nodes <= 0:
            return "… [cut: too many values]"
        if depth > DEPTH:
            return f"… [cut: {kind_name(kind)} nested deeper than {DEPTH}]"
        if id(value) in self._path:
            return "<cycle>"
        self._path.add(id(value))
        try:
            return self._object(value, kind, depth)
        except Exception as error:
            return unprintable(value, error)
        finally:
            self._path.discard(id(value))

    def _object(self, value: Any, kind: type, depth: int) -> Any:
        """By the true type: ``__class__`` may lie."""
        self._nodes -= 1
        if issubclass(kind, dict):
            return self._pairs(dict.items(value), dict.__len__(value), depth)
        if issubclass(kind, enum.Enum):
            return self.plain(value.value, depth + 1)
        for base in _CONTAINERS:
            if issubclass(kind, base):
                names = getattr(kind, "_fields", None) if base is tuple else None
                if isinstance(names, tuple):
                    return self._fields(value, names, depth)
                return self._items(base.__iter__(value), base.__len__(value), depth)
        for kinds, convert in _CONVERT:
            if issubclass(kind, kinds):
                return self.plain(convert(value), depth + 1)
        return self._foreign(value, kind, depth)

    def _foreign(self, value: Any, kind: type, depth: int) -> Any:
        if kind.__module__.partition(".")[0] in _ARRAY_MODULES:
            return self._array(value, kind, depth)
        names = _field_names(value, kind)
        if names is not None:
            return self._fields(value, names, depth)
        for base in type.__dict__["__mro__"].__get__(kind)[:-1]:
            convert = _BY_NAME.get((base.__module__, kind_name(base)))
            if convert is not None:
                return self.plain(convert(value), depth + 1)
        if issubclass(kind, Mapping):
            return self._pairs(value.items(), len(value), depth)
        if issubclass(kind, (AbstractSet, Sequence, ValuesView)):
            return self._items(value, len(value), depth)
        if issubclass(kind, Iterator):  # its repr says nothing, and it must not be consumed
            return f"<{kind_name(kind)} {getattr(value, '__qualname__', '')}".rstrip() + ">"
        return self._string(repr_of(value))

    def _string(self, text: str) -> Any:
        if len(text) >= media.MEDIA_MIN and media.is_media(text):
            return media.of_text(text)
        longest = min(TEXT_MAX, max(self._text, 0))
        self._text -= min(len(text), longest)
        return sanitize_text(cut(text, longest))

    def _room(self) -> int:
        return max(0, min(ITEMS, self._nodes))

    def _items(self, values: Iterable[Any], length: int, depth: int) -> list[Any]:
        snapshot = list(islice(values, self._room()))
        self._nodes -= len(snapshot)
        plain = self.plain
        depth += 1
        items = [plain(value, depth) for value in snapshot]
        if length > len(items):
            items.append(omitted(length - len(items), "items"))
        return items

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], length: int, depth: int) -> dict[str, Any]:
        snapshot = list(islice(pairs, self._room()))
        self._nodes -= len(snapshot)
        plain = self.plain
        depth += 1
        items: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        for key, value in snapshot:
            if type(key) is not str or key in items or len(key) > _KEY_MAX or not key.isascii():
                key = _free_key(items, numbers, key)
            items[key] = plain(value, depth)
        if length > len(snapshot):
            items["…"] = omitted(length - len(snapshot), "keys")
        return items

    def _fields(self, value: Any, names: Iterable[str], depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for name in islice(names, self._room()):
            self._nodes -= 1
            try:
                item = getattr(value, name)
            except Exception as error:  # a slot never set, a property that fails
                items[name] = unprintable(value, error)
            else:
                items[name] = self.plain(item, depth + 1)
        return items

    def _array(self, value: Any, kind: type, depth: int) -> Any:
        shape = getattr(value, "shape", None)
        if shape == () and hasattr(value, "item"):
            item = value.item()
            return text_of(item) if type(item) is kind else self.plain(item, depth + 1)
        size = getattr(value, "size", None)
        if isinstance(size, int) and size <= ITEMS and hasattr(value, "tolist"):
            return self.plain(value.tolist(), depth + 1)
        if shape is None:
            return self._string(repr_of(value))
        dtype = text_of(getattr(value, "dtype", ""))
        return f"<{kind_name(kind)} {text_of(tuple(shape))} {dtype}".rstrip() + ">"


def _scalar(value: Any, kind: type) -> Any:
    if kind is int:
        return _integer(value)
    if kind is float:
        # As orjson writes it on the fast path, so that a value has the same form on both.
        return value if value - value == 0.0 else None
    return value


def _integer(value: int) -> int | str:
    if -(1 << 63) <= value < 1 << 64:
        return value
    bits = value.bit_length()
    return str(value) if bits <= 4096 else f"<int of {bits} bits>"


def _bytes(value: Any) -> Any:
    view = memoryview(value)
    if view.nbytes <= _BYTES_MAX:
        head = view.tobytes()
        try:
            return head.decode()
        except UnicodeDecodeError:
            if len(head) <= 32:
                return f"<{len(head)} bytes: {head.hex()}>"
    return media.of_bytes(view.cast("B")) if view.contiguous else f"<{view.nbytes} bytes>"


def _qualified_name(value: Any) -> str:
    """A class, function or method by its name: its repr may be user code."""
    kind = type(value)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "?")
    return f"<{kind_name(kind)} {getattr(value, '__module__', None)}.{name}>"


def _failure(error: BaseException) -> dict[str, Any]:
    return {"type": kind_name(type(error)), "message": text_of(error)}


def _array_items(value: Any) -> Any:
    return value.tolist() if len(value) <= ITEMS else f"<array '{value.typecode}' of {len(value)}>"


_CONTAINERS: tuple[Any, ...] = (list, tuple, set, frozenset, deque, range)

_CONVERT: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),  # subclasses, whose own __str__ is user code
    (int, int.__int__),
    (float, float.__float__),
    ((datetime.date, datetime.time), lambda value: value.isoformat()),
    (datetime.timedelta, datetime.timedelta.total_seconds),
    (complex, str),
    ((bytes, bytearray, memoryview), _bytes),
    (BaseException, _failure),
    ((type, types.FunctionType, types.MethodType, types.BuiltinFunctionType), _qualified_name),
)


# By name: importing these modules costs time, and most programs use none of them.
_BY_NAME: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("uuid", "UUID"): str,
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("pathlib", "PurePath"): str,
    ("pathlib._local", "PurePath"): str,
    ("array", "array"): _array_items,
}


def _free_key(items: dict[str, Any], numbers: dict[str, int], key: object) -> str:
    """The key as text, with a number where another key has the same text."""
    name = sanitize_text(cut(key, _KEY_MAX)) if type(key) is str else cut(_key_text(key), _KEY_MAX)
    if name not in items:
        return name
    number = numbers.get(name, 1)
    free = name
    while free in items:
        number += 1
        free = f"{name}~{number}"
    numbers[name] = number
    return free


def _key_text(key: object) -> str:
    kind = type(key)
    if issubclass(kind, enum.Enum):
        key = getattr(key, "_value_", key)
        kind = type(key)
    if issubclass(kind, str):
        return sanitize_text(str.__str__(key))
    if kind is int:
        return str(_integer(key))  # type: ignore[arg-type]
    if key is None or kind in {bool, float} or issubclass(kind, datetime.date):
        return text_of(key)
    if (kind.__module__, kind_name(kind)) in _BY_NAME:
        return text_of(key)
    return repr_of(key)


def _field_names(value: Any, kind: type) -> Iterable[str] | None:
    """The fields of a dataclass, attrs or pydantic object, save those its author hid from repr."""
    fields = getattr(kind, "__dataclass_fields__", None)
    if isinstance(fields, dict):
        import dataclasses  # imported already, or this would not be a dataclass

        return [field.name for field in dataclasses.fields(kind) if field.repr]
    attributes = getattr(kind, "__attrs_attrs__", None)
    if isinstance(attributes, tuple):
        return [attribute.name for attribute in attributes if attribute.repr]
    if _has(kind, "__pydantic_core_schema__"):  # v2
        hidden = {name for name, field in kind.__pydantic_fields__.items() if not field.repr}  # type: ignore[attr-defined]
        extra = getattr(value, "__pydantic_extra__", None)
        names = [*vars(value), *(extra if isinstance(extra, dict) else ())]
        return [name for name in names if name not in hidden]
    if _has(kind, "__validators__") and isinstance(getattr(kind, "__fields__", None), dict):
        return list(vars(value))  # v1
    return None


def _has(kind: type, name: str) -> bool:
    """Whether the class or a base really has the name; a metaclass may make names up."""
    return any(name in vars(base) for base in type.__dict__["__mro__"].__get__(kind))
