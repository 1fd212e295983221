"""The signature of a wrapper: the source that is made from a function's parameters."""

from __future__ import annotations

import functools
from typing import Any

from sessiontrace.capture.decorators.signature import ANY, build, signature_of

TEMPLATE = """
def make():
    def call(PARAMETERS):
        COLLECT
        return _st_args, _st_kwargs
    return call
"""


def test_the_source_is_that_of_the_modules_docstring() -> None:
    """What the docstring shows to a reader is what `build` compiles."""

    async def ask(question: str, model: str = "small", *, tools: Any, limit: int = 3) -> None: ...

    signature = signature_of(ask)
    assert signature.parameters == "question, model=_st_missing, *, tools, limit=_st_missing"
    docs = str(signature_of.__globals__["__doc__"])
    assert signature.parameters in docs
    assert all(statement in docs for statement in signature.collect)


def test_arguments_arrive_as_the_caller_gave_them_and_defaults_stay_away() -> None:
    """Positional-only, star and keyword parameters, with and without their defaults."""

    def bare(a: int, b: int = 2, /, c: int = 3, *others: int, d: int, e: int = 5, **f: int) -> None:
        """Every kind of parameter."""

    call = build(TEMPLATE, signature_of(bare))()
    assert call(1, d=4) == ((1,), {"d": 4})
    assert call(1, 2, d=4, e=6, g=7) == ((1, 2), {"d": 4, "e": 6, "g": 7})
    assert call(1, 2, 3, 8, 9, d=4) == ((1, 2, 3, 8, 9), {"d": 4})
    assert call(1, c=3, d=4) == ((1,), {"c": 3, "d": 4})


def test_a_callable_without_a_code_object_takes_anything() -> None:
    """Partials and builtins say nothing of their parameters that could be trusted."""
    assert signature_of(functools.partial(print, 1)) is ANY
    assert signature_of(len) is ANY
    assert build(TEMPLATE, ANY)()(1, b=2) == ((1,), {"b": 2})
