"""Finding the generator that an HTTP response has for a body; in the user's thread.

A response is known by what it has (a status, headers), not by its class: Starlette, Django,
Werkzeug, aiohttp, Litestar, Quart, sse_starlette. Only the dictionaries and slots of the response,
and of the payload object that some frameworks put around the body, are read and written.
Invariant: no code of the response runs.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, NamedTuple

from sessiontrace.capture.encoding.static_access import (
    MISSING,
    bases_of,
    class_attribute,
    members_of,
    slot_of,
)

__all__ = ["Body", "streamed_body"]

_GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)
_STATUS = ("status_code", "status", "_status")
_HEADERS = ("headers", "_headers", "raw_headers")
_PAYLOADS = frozenset({"body", "content", "iterator", "response", "stream"})
_STARLETTE = "body_iterator"  # may be any async iterator
_OF_A_RESPONSE = frozenset({*_STATUS, *_HEADERS, _STARLETTE})
_FIELDS_MAX = 64


class Body(NamedTuple):
    """The iterator of a body, the names under which the response has it, and how to write there."""

    iterator: Any
    names: tuple[str, ...]
    write: Callable[[str, Any], None]

    def replace(self, iterator: Any) -> None:
        """Put another iterator in its place."""
        for name in self.names:
            self.write(name, iterator)


def streamed_body(result: object, kind: type) -> Body | None:
    """The body of a response that is still to be produced; None for everything else."""
    fields = _dict_of(result, kind)
    if fields is None or _OF_A_RESPONSE.isdisjoint(fields):  # nearly every object
        if "__slots__" not in kind.__dict__ or class_attribute(kind, "headers") is MISSING:
            return None
        fields = _slots_of(result, kind)
    if _STARLETTE not in fields and not (
        _has(fields, kind, _STATUS) and _has(fields, kind, _HEADERS)
    ):
        return None
    body = _generator_in(result, kind, fields)
    if body is not None:
        return body
    for name, value in fields.items():
        if name.strip("_") in _PAYLOADS:
            inner_kind = type(value)
            for read in (_dict_of, _slots_of):
                if inner := read(value, inner_kind):
                    body = _generator_in(value, inner_kind, inner)
                    if body is not None:
                        return body
    return None


def _dict_of(value: object, kind: type) -> dict[str, Any] | None:
    for base in kind.__mro__:  # most results come here: no call per class
        descriptor = base.__dict__.get("__dict__")
        if descriptor is not None:
            if type(descriptor) is not types.GetSetDescriptorType:
                return None  # a proxy's, whose code would run
            fields = descriptor.__get__(value)
            return fields if type(fields) is dict and len(fields) <= _FIELDS_MAX else None
    return None


def _slots_of(value: object, kind: type) -> dict[str, Any]:
    """What the slots of an object hold, which is all that Litestar's responses have."""
    slots = {
        name: slot_of(value, kind, name)
        for base in bases_of(kind)
        for name, member in members_of(base).items()
        if type(member) is types.MemberDescriptorType
    }
    return slots if len(slots) <= _FIELDS_MAX else {}


def _has(fields: dict[str, Any], kind: type, names: tuple[str, ...]) -> bool:
    return any(name in fields or any(name in vars(base) for base in kind.__mro__) for name in names)


def _generator_in(value: Any, kind: type, fields: dict[str, Any]) -> Body | None:
    for name, item in fields.items():
        iterator: Any = None
        if isinstance(item, _GENERATORS):
            iterator = item
        elif name == _STARLETTE and hasattr(type(item), "__aiter__"):
            iterator = item if hasattr(type(item), "__anext__") else _items(item)
        if iterator is not None:
            names = tuple(other for other in fields if fields[other] is item)
            return Body(iterator, names, _writer(value, kind, fields))
    return None


async def _items(iterable: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in iterable:
        yield item


def _writer(value: Any, kind: type, fields: dict[str, Any]) -> Callable[[str, Any], None]:
    if fields is _dict_of(value, kind):
        return fields.__setitem__
    return lambda name, item: class_attribute(kind, name).__set__(value, item)
