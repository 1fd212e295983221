"""Finding the generator that an HTTP response has for a body; in the user's thread.

A response is known by what it has (a status, headers), not by its class: Starlette, Django,
Werkzeug, aiohttp, sse_starlette. Only the dictionaries of the response, and of the payload object
that some frameworks put around the body, are read and written. Invariant: no code of the response
runs.
"""

from __future__ import annotations

import types
from typing import Any, NamedTuple

__all__ = ["Body", "streamed_body"]

_GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)
_STATUS = ("status_code", "status", "_status")
_HEADERS = ("headers", "_headers", "raw_headers")
_PAYLOADS = frozenset({"body", "content", "iterator", "response", "stream"})
_STARLETTE = "body_iterator"  # may be any async iterator
_OF_A_RESPONSE = frozenset({*_STATUS, *_HEADERS, _STARLETTE})
_FIELDS_MAX = 64


class Body(NamedTuple):
    """The iterator of a body, and where it is: the dictionary and the names in it."""

    iterator: Any
    fields: dict[str, Any]
    names: tuple[str, ...]

    def replace(self, iterator: Any) -> None:
        """Put another iterator in its place."""
        for name in self.names:
            self.fields[name] = iterator


def streamed_body(result: object, kind: type) -> Body | None:
    """The body of a response that is still to be produced; None for everything else."""
    fields = _fields_of(result)
    if not fields or _OF_A_RESPONSE.isdisjoint(fields):  # nearly every object
        return None
    if _STARLETTE not in fields and not (
        _has(fields, kind, _STATUS) and _has(fields, kind, _HEADERS)
    ):
        return None
    body = _generator_in(fields)
    if body is not None:
        return body
    for name, value in fields.items():
        if name.strip("_") in _PAYLOADS and (inner := _fields_of(value)):
            body = _generator_in(inner)
            if body is not None:
                return body
    return None


def _fields_of(value: object) -> dict[str, Any] | None:
    try:
        fields = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return fields if type(fields) is dict and len(fields) <= _FIELDS_MAX else None


def _has(fields: dict[str, Any], kind: type, names: tuple[str, ...]) -> bool:
    return any(name in fields or any(name in vars(base) for base in kind.__mro__) for name in names)


def _generator_in(fields: dict[str, Any]) -> Body | None:
    iterator = None
    for name, value in fields.items():
        if isinstance(value, _GENERATORS) or (
            name == _STARLETTE and hasattr(type(value), "__anext__")
        ):
            iterator = value
            break
    if iterator is None:
        return None
    return Body(iterator, fields, tuple(name for name in fields if fields[name] is iterator))
