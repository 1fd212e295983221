"""The bounded walk: any object to None, bool, int, float, str, list and dict of legal size.

Runs in the user's thread, for values that are not plain (``fast_path``). Containers are read
through their built-in base types and by one C call each, so that neither a subclass nor another
thread can lead the walk astray. Objects are read through their dictionaries and slots
(``object_fields``), or by an allowlist (``known_types``, ``arrays``); any other is named.
Invariant: none of the user's code runs but ``__str__`` of exceptions, so a walk does no input or
output; and the budgets below bound time and result, whatever the value.
"""

from __future__ import annotations

import datetime
import enum
import types
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from sessiontrace.capture.encoding import media
from sessiontrace.capture.encoding.arrays import array_form
from sessiontrace.capture.encoding.exception_message import message_of
from sessiontrace.capture.encoding.known_types import known_form
from sessiontrace.capture.encoding.moments import iso_text
from sessiontrace.capture.encoding.object_fields import attributes_of, fields_of
from sessiontrace.capture.encoding.safe_text import (
    SHORT_MAX,
    cut,
    kind_name,
    name_of_object,
    omitted,
    sanitize_text,
    unprintable,
)
from sessiontrace.capture.encoding.short_repr import integer_text, short_text
from sessiontrace.capture.encoding.static_access import (
    MISSING,
    class_attribute,
    instance_dict,
    is_standard,
    module_of,
    qualified_name,
)
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["DEPTH", "ITEMS", "TEXT_MAX", "BoundedWalker"]

NODES = 10_000  # values of one walk, scalars included
DEPTH = 20
ITEMS = 1_000  # of one container
TEXT_MAX = 128 * 1024  # characters kept of one string
TEXT_TOTAL = 384 * 1024  # characters kept of all strings of one value
_KEY_MAX = 256
_BYTES_MAX = 1_024  # longer byte strings are described, not kept


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
            raise_if_from_signal(error)
            return unprintable(value, error)
        finally:
            self._path.discard(id(value))

    def _object(self, value: Any, kind: type, depth: int) -> Any:
        """By the true type: ``__class__`` may lie."""
        self._nodes -= 1
        if issubclass(kind, dict):
            return self._pairs(dict.items(value), dict.__len__(value), depth)
        if issubclass(kind, enum.Enum):
            return self.plain(instance_dict(value, kind).get("_value_"), depth + 1)
        for base in _CONTAINERS:
            if issubclass(kind, base):
                names = class_attribute(kind, "_fields") if base is tuple else None
                if type(names) is tuple and len(names) == tuple.__len__(value):
                    pairs = zip(names, tuple.__iter__(value), strict=True)
                    return self._pairs(pairs, len(names), depth)
                return self._items(base.__iter__(value), base.__len__(value), depth)
        for kinds, convert in _CONVERT:
            if issubclass(kind, kinds):
                return self.plain(convert(value), depth + 1)
        return self._foreign(value, kind, depth)

    def _foreign(self, value: Any, kind: type, depth: int) -> Any:
        fields = fields_of(value, kind, self._room())
        if fields is None:
            for form in (known_form, array_form):
                simpler = form(value, kind)
                if simpler is not MISSING:
                    return self._simpler(simpler, depth)
            fields = attributes_of(value, kind, self._room())
            if not fields:
                return self._string(_name(value, kind))
        return self._pairs(fields, len(fields), depth)

    def _simpler(self, value: Any, depth: int) -> Any:
        if issubclass(type(value), _VIEWS):
            return self._items(value, len(value), depth)
        return self.plain(value, depth + 1)

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


def _scalar(value: Any, kind: type) -> Any:
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 64 else integer_text(value)
    if kind is float:
        # As orjson writes it on the fast path, so that a value has the same form on both.
        return value if value - value == 0.0 else None
    return value


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


def _name(value: Any, kind: type) -> str:
    if is_standard(kind) and class_attribute(kind, "__next__") is not MISSING:
        return f"<{kind_name(kind)}>"
    return name_of_object(value)


def _name_of_class(value: type) -> str:
    return f"<{kind_name(type(value))} {qualified_name(value)}>"


def _name_of_function(value: Any) -> str:
    """A function or method by its name; the callable of a method may be of any class."""
    function: Any = value.__func__ if type(value) is types.MethodType else value
    kind = type(function)
    if kind is types.FunctionType:
        module = function.__module__
        name = f"{module if type(module) is str else '?'}.{function.__qualname__}"
    elif kind is types.BuiltinFunctionType:
        owner = function.__self__
        own = owner is None or type(owner) is types.ModuleType
        name = f"{function.__module__ if own else module_of(type(owner))}.{function.__name__}"
    else:
        name = qualified_name(kind)
    return f"<{kind_name(type(value))} {name}>"


def _failure(error: BaseException) -> dict[str, Any]:
    return {"type": kind_name(type(error)), "message": message_of(error, SHORT_MAX)}


_CONTAINERS: tuple[Any, ...] = (list, tuple, set, frozenset, deque, range)

_VIEWS: Any = (type(dict.keys({})), type(dict.values({})), type(dict.items({})))

_CONVERT: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),  # subclasses, whose own __str__ is user code
    (int, int.__int__),
    (float, float.__float__),
    ((datetime.date, datetime.time), iso_text),
    (datetime.timedelta, datetime.timedelta.total_seconds),
    (complex, complex.__repr__),
    ((bytes, bytearray, memoryview), _bytes),
    (BaseException, _failure),
    (type, _name_of_class),
    ((types.FunctionType, types.MethodType, types.BuiltinFunctionType), _name_of_function),
)


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
    if issubclass(type(key), enum.Enum):
        key = instance_dict(key, type(key)).get("_value_")
    return short_text(key)
