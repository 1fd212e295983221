"""Heads: the parameters of a function as text, for a stand-in that takes the very same arguments.

Calling an async or a generator function runs nothing but the interpreter's own binding of
arguments; so only a stand-in with those parameters fails where the bare one fails. Pure. Invariant:
what the stand-in hands on is what the caller gave, defaults left out.
"""

from __future__ import annotations

import keyword
import os
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

__all__ = ["ANY", "Signature", "build", "signature_of"]

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "<stand-in>")

_MISSING: Any = object()
"""The default of every parameter of a stand-in that has one."""

_VARARGS, _VARKEYWORDS = 0x04, 0x08  # of a code object's flags


class Signature(NamedTuple):
    """``parameters``: what is between the parentheses of a ``def``.

    ``given``: statements that leave the positional arguments in ``_st_args``, and those by name in
    ``_st_kwargs``.
    """

    parameters: str
    given: tuple[str, ...]


ANY = Signature("*args, **kwargs", ("_st_args, _st_kwargs = args, kwargs",))


def signature_of(fn: Callable[..., Any]) -> Signature:
    """The head of a plain function; ``ANY`` for everything that says less of itself."""
    if not isinstance(fn, types.FunctionType):
        return ANY
    code = fn.__code__
    count = code.co_argcount
    names = list(code.co_varnames)
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
        return ANY
    positional, named = names[:count], names[count : count + code.co_kwonlyargcount]
    stars = names[count + len(named) :]
    rest = stars.pop(0) if code.co_flags & _VARARGS else ""
    more = stars.pop(0) if code.co_flags & _VARKEYWORDS else ""
    optional = {*positional[count - len(fn.__defaults__ or ()) :], *(fn.__kwdefaults__ or ())}

    text = [f"{name}=_st_missing" if name in optional else name for name in positional]
    if code.co_posonlyargcount:
        text.insert(code.co_posonlyargcount, "/")
    if rest or named:
        text.append(f"*{rest}")
    text += [f"{name}=_st_missing" if name in optional else name for name in named]
    if more:
        text.append(f"**{more}")

    only = positional[: code.co_posonlyargcount]
    return Signature(", ".join(text), tuple(_given(positional, only, named, optional, rest, more)))


def _given(
    positional: list[str],
    only: list[str],
    named: list[str],
    optional: set[str],
    rest: str,
    more: str,
) -> list[str]:
    """The statements; ``only``: those of the positional ones that have no name for callers."""
    pairs = ", ".join(f"{name!r}: {name}" for name in named if name not in optional)
    sure = _listed(name for name in positional if name not in optional)
    lines = [f"_st_args, _st_kwargs = ({sure}), {{{pairs}}}"]
    for name in positional:
        if name in optional:
            put = f"_st_args += ({name},)" if name in only else f"_st_kwargs[{name!r}] = {name}"
            lines.append(f"if {name} is not _st_missing: {put}")
    if rest:  # then every one before it was given by its place
        whole = f"({_listed(positional)}*{rest},)"
        lines.append(f"if {rest}: _st_args, _st_kwargs = {whole}, {{{pairs}}}")
    lines += [
        f"if {name} is not _st_missing: _st_kwargs[{name!r}] = {name}"
        for name in named
        if name in optional
    ]
    if more:
        lines.append(f"_st_kwargs.update({more})")
    return lines


def _listed(names: Iterable[str]) -> str:
    return "".join(f"{name}, " for name in names)


def build(text: str, head: Signature) -> Callable[..., Any]:
    """The function ``make`` that the text defines, with the head in the place of its marks."""
    lines = []
    for line in text.splitlines():
        if line.strip() == "GIVEN":
            margin = line[: -len("GIVEN")]
            lines += [margin + statement for statement in head.given]
        else:
            lines.append(line.replace("PARAMETERS", head.parameters))
    names: dict[str, Any] = {"_st_missing": _MISSING}
    exec(compile("\n".join(lines), _FILE, "exec"), names)  # noqa: S102  our text, and identifiers
    made: Callable[..., Any] = names["make"]
    return made
