"""Whether ``init`` asks for what is in force already: cheap enough for every request.

Called in the user's thread. Invariant: two configurations are the same when every destination and
option has the same value; functions are the same when they run the same code on the same values.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

import attrs

from sessiontrace.config import Options, resolve
from sessiontrace.model.destination import Destination, Env

__all__ = ["ConfigMemo", "Configuration", "same_configuration"]

Configuration = tuple[tuple[Destination, ...], Options]


class _EnvReads(Mapping[str, str]):
    """An environment that remembers what was read of it; ``iterated``: that was everything."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self.values_read: dict[str, str | None] = {}
        self.iterated = False

    def __getitem__(self, name: str) -> str:
        value = self.values_read[name] = self._env.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        self.iterated = True
        return iter(self._env)

    def __len__(self) -> int:
        self.iterated = True
        return len(self._env)


class ConfigMemo:
    """The last arguments of ``init``, what they came to, and the variables that this rested on."""

    def __init__(self) -> None:
        self._arguments: tuple[tuple[object, ...], dict[str, Any]] | None = None
        self._env: tuple[tuple[str, str | None], ...] = ()
        self._configuration: Configuration | None = None

    def resolve(self, targets: tuple[object, ...], options: Mapping[str, Any]) -> Configuration:
        """As ``config.resolve``; the same object as before when nothing has changed."""
        arguments = (targets, {name: value for name, value in options.items() if value is not None})
        if self._configuration is not None and self._is_current(arguments):
            return self._configuration
        env = _EnvReads(os.environ)
        configuration = resolve(targets, options, env)
        self._env = tuple(env.values_read.items())
        self._arguments = None if env.iterated else arguments
        self._configuration = configuration
        return configuration

    def _is_current(self, arguments: tuple[tuple[object, ...], dict[str, Any]]) -> bool:
        if self._arguments is None:
            return False
        (targets, options), (last_targets, last_options) = arguments, self._arguments
        if options.keys() != last_options.keys() or not _equal(targets, last_targets):
            return False
        if not all(_same_value(value, last_options[name]) for name, value in options.items()):
            return False
        read = os.environ.get
        return all(read(name) == value for name, value in self._env)


def same_configuration(one: Configuration, other: Configuration) -> bool:
    """Whether both send the same records to the same places."""
    if one is other:
        return True
    (destinations, options), (other_destinations, other_options) = one, other
    if not _equal(destinations, other_destinations):
        return False
    if not _same_value(options.redact, other_options.redact):
        return False
    return _equal(attrs.evolve(options, redact=other_options.redact), other_options)


def _same_value(one: Any, other: Any) -> bool:
    """Equality of an option, which may be or hold functions."""
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same_value, one, other))
    return _same_callable(one, other) if callable(one) else _equal(one, other)


def _same_callable(one: Any, other: Any) -> bool:
    """Whether two functions do the same: a lambda is a new object at every call of ``init``."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, FunctionType):
        return (
            one.__code__ is other.__code__
            and _equal(one.__defaults__, other.__defaults__)
            and _equal(one.__kwdefaults__, other.__kwdefaults__)
            and _equal(_cells(one), _cells(other))
        )
    if isinstance(one, MethodType):
        return one.__self__ is other.__self__ and _same_callable(one.__func__, other.__func__)
    if isinstance(one, functools.partial):
        return (
            _same_callable(one.func, other.func)
            and _equal(one.args, other.args)
            and _equal(one.keywords, other.keywords)
        )
    return _equal(one, other)


def _cells(function: FunctionType) -> list[object]:
    try:
        return [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:  # an empty cell: a name that is not bound yet
        return [function]


def _equal(one: object, other: object) -> bool:
    """Equality by the objects' own opinion; an object that fails to compare is another one."""
    try:
        return bool(one == other)
    except Exception:
        return False
