"""Wrappers with the parameters of the function they wrap, made from source text.

Calling an async or a generator function runs nothing but the interpreter's own binding of the
arguments. So only a wrapper with the same parameters raises TypeError where the bare function does:
at the call, not at the first step. ``build`` puts the parameters into a template. For ::

    async def ask(question, model="small", *, tools, limit=3): ...

it makes this source of ``decorators.function``'s template (``None`` and other defaults are not
copied; ``_st_missing`` marks an argument that the caller left out)::

    def make(_st_tracer, _st_fn, _st_begin, _st_finish):
        async def traced(question, model=_st_missing, *, tools, limit=_st_missing):
            _st_args, _st_kwargs = (question, ), {'tools': tools}
            if model is not _st_missing: _st_kwargs['model'] = model
            if limit is not _st_missing: _st_kwargs['limit'] = limit
            if _st_tracer.off or (_st_span := _st_begin(_st_args, _st_kwargs)) is None:
                return await _st_fn(*_st_args, **_st_kwargs)
            ...
        return traced

Pure. Invariant: the wrapper hands on what the caller gave, and defaults stay with the function.
"""

from __future__ import annotations

import keyword
import os
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

__all__ = ["ANY", "Signature", "build", "signature_of"]

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "<stand-in>")


class _Missing:
    """A copy, also one in another process, is the very object that wrappers compare with."""

    def __reduce__(self) -> str:
        return "_MISSING"


_MISSING: Any = _Missing()
"""The default of every optional parameter of a wrapper."""

_VARARGS, _VARKEYWORDS = 0x04, 0x08  # of a code object's flags


class Signature(NamedTuple):
    """``parameters``: what is between the parentheses of a ``def``.

    ``collect``: statements that leave the positional arguments in ``_st_args``, and those by name
    in ``_st_kwargs``.
    """

    parameters: str
    collect: tuple[str, ...]


ANY = Signature("*args, **kwargs", ("_st_args, _st_kwargs = args, kwargs",))


def signature_of(fn: Callable[..., Any]) -> Signature:
    """The signature of a plain function; ``ANY`` for every other callable."""
    if not isinstance(fn, types.FunctionType):
        return ANY
    code = fn.__code__
    count = code.co_argcount
    names = list(code.co_varnames)
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
        return ANY
    positional, keywords = names[:count], names[count : count + code.co_kwonlyargcount]
    stars = names[count + len(keywords) :]
    varargs = stars.pop(0) if code.co_flags & _VARARGS else ""
    varkeywords = stars.pop(0) if code.co_flags & _VARKEYWORDS else ""
    optional = {*positional[count - len(fn.__defaults__ or ()) :], *(fn.__kwdefaults__ or ())}

    parameters = [f"{name}=_st_missing" if name in optional else name for name in positional]
    if code.co_posonlyargcount:
        parameters.insert(code.co_posonlyargcount, "/")
    if varargs or keywords:
        parameters.append(f"*{varargs}")
    parameters += [f"{name}=_st_missing" if name in optional else name for name in keywords]
    if varkeywords:
        parameters.append(f"**{varkeywords}")

    unnamed = positional[: code.co_posonlyargcount]
    collect = _collect(positional, unnamed, keywords, optional, varargs, varkeywords)
    return Signature(", ".join(parameters), tuple(collect))


def _collect(
    positional: list[str],
    unnamed: list[str],
    keywords: list[str],
    optional: set[str],
    varargs: str,
    varkeywords: str,
) -> list[str]:
    """The statements; ``unnamed``: the positional parameters that callers cannot name."""
    pairs = ", ".join(f"{name!r}: {name}" for name in keywords if name not in optional)
    required = _tuple_items(name for name in positional if name not in optional)
    lines = [f"_st_args, _st_kwargs = ({required}), {{{pairs}}}"]
    for name in positional:
        if name in optional:
            put = f"_st_args += ({name},)" if name in unnamed else f"_st_kwargs[{name!r}] = {name}"
            lines.append(f"if {name} is not _st_missing: {put}")
    if varargs:  # then the caller gave all parameters before it by position
        every = f"({_tuple_items(positional)}*{varargs},)"
        lines.append(f"if {varargs}: _st_args, _st_kwargs = {every}, {{{pairs}}}")
    lines += [
        f"if {name} is not _st_missing: _st_kwargs[{name!r}] = {name}"
        for name in keywords
        if name in optional
    ]
    if varkeywords:
        lines.append(f"_st_kwargs.update({varkeywords})")
    return lines


def _tuple_items(names: Iterable[str]) -> str:
    return "".join(f"{name}, " for name in names)


def build(template: str, signature: Signature) -> Callable[..., Any]:
    """The function ``make`` of the template, its marks PARAMETERS and COLLECT filled in."""
    lines = []
    for line in template.splitlines():
        if line.strip() == "COLLECT":
            margin = line[: -len("COLLECT")]
            lines += [margin + statement for statement in signature.collect]
        else:
            lines.append(line.replace("PARAMETERS", signature.parameters))
    namespace: dict[str, Any] = {"_st_missing": _MISSING}
    exec(compile("\n".join(lines), _FILE, "exec"), namespace)  # noqa: S102  our text and identifiers
    make: Callable[..., Any] = namespace["make"]
    return make
