"""From the arguments of a call to named inputs; pure.

Invariant: the names are looked up once, when a function is decorated; a call costs a ``zip``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any

__all__ = ["Binder", "binder", "label_of"]

Binder = Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]

_OWNERS = frozenset({"self", "cls", "mcs"})


def label_of(fn: Callable[..., Any]) -> str:
    """The qualified name of a function, without the functions around it."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    return name.rpartition("<locals>.")[2] if isinstance(name, str) else type(fn).__qualname__


def binder(fn: Callable[..., Any], ignore: Collection[str]) -> Binder:
    """A function from call arguments to ``{name: value}``, without ``self``, ``cls``, ignored.

    ``inspect.Signature.bind`` would cost more than everything else in a span.
    """
    names, varargs = _parameters(fn)
    skip = 1 if names and names[0] in _OWNERS else 0
    names = names[skip:]
    count = len(names)
    hidden = frozenset((ignore,) if isinstance(ignore, str) else ignore)

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        values = args[skip:] if skip else args
        bound = dict(zip(names, values))  # noqa: B905  the word `strict` doubles its cost
        if len(values) > count:
            bound[varargs] = values[count:]
        if kwargs:
            bound.update(kwargs)
        if hidden:
            for name in hidden:
                bound.pop(name, None)
        return bound

    return bind


def _parameters(fn: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """Names of the positional parameters, and the name of ``*args``."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return (), "args"
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(parameter.name for parameter in parameters if parameter.kind in positional)
    varargs = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
    return names, varargs[0] if varargs else "args"
