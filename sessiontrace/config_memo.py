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
from sessiontrace.runtime.signals import raise_if_from_signal

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


def same_configuration(left: Configuration, right: Configuration) -> bool:
    """Whether both send the same records to the same places."""
    if left is right:
        return True
    (destinations, options), (other_destinations, other_options) = left, right
    if not _equal(destinations, other_destinations):
        return False
    if not _same_value(options.redact, other_options.redact):
        return False
    return _equal(attrs.evolve(options, redact=other_options.redact), other_options)


def _same_value(left: Any, right: Any) -> bool:
    """Equality of an option, which may be or hold functions."""
    if isinstance(left, (tuple, list)) and isinstance(right, (tuple, list)):
        return len(left) == len(right) and all(map(_same_value, left, right))
    return _same_callable(left, right) if callable(left) else _equal(left, right)


def _same_callable(left: Any, right: Any) -> bool:
    """Whether two functions do the same: a lambda is a new object at every call of ``init``."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, FunctionType):
        return (
            left.__code__ is right.__code__
            and _equal(left.__defaults__, right.__defaults__)
            and _equal(left.__kwdefaults__, right.__kwdefaults__)
            and _equal(_cells(left), _cells(right))
        )
    if isinstance(left, MethodType):
        return left.__self__ is right.__self__ and _same_callable(left.__func__, right.__func__)
    if isinstance(left, functools.partial):
        return (
            _same_callable(left.func, right.func)
            and _equal(left.args, right.args)
            and _equal(left.keywords, right.keywords)
        )
    return _equal(left, right)


def _cells(function: FunctionType) -> list[object]:
    try:
        return [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:  # an empty cell: a name that is not bound yet
        return [function]


def _equal(left: object, right: object) -> bool:
    """Equality by the objects' own opinion; an object that fails to compare is another left."""
    try:
        return bool(left == right)
    except Exception as fault:
        raise_if_from_signal(fault)
        return False
