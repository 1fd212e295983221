"""Checks of what a decorated function still is: to pickle, copy, inspect and the class around it.

Invariant: each check passes with a decorator that returns the bare function.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
import functools
import importlib
import importlib.util
import inspect
import pickle
import typing
from collections.abc import Callable
from typing import Any

from sessiontrace.conformance.subject import Subject, same

__all__ = ["CHECKS"]


def check_a_function_is_pickled_by_value(subject: Subject) -> None:
    """As the functions of scripts and notebooks are; nothing to check without cloudpickle."""
    if importlib.util.find_spec("cloudpickle") is None:
        return
    by_value = importlib.import_module("cloudpickle")

    def work(a: int, b: int = 2) -> int:
        return a + b

    there = pickle.loads(by_value.dumps(subject.decorate(work)))  # noqa: S301  pickled above
    same(there(1), 3, "result of the copy")


def check_copies_of_a_function_are_the_function(subject: Subject) -> None:
    traced = subject.decorate(_typed)
    same(copy.copy(traced) is traced, True, "copy")
    same(copy.deepcopy({"call": traced})["call"] is traced, True, "deepcopy")


def check_hints_and_source_are_kept(subject: Subject) -> None:
    traced = subject.decorate(_typed)
    same(typing.get_type_hints(traced), typing.get_type_hints(_typed), "hints")
    same(inspect.getsource(traced), inspect.getsource(_typed), "source")
    same(inspect.unwrap(traced) is _typed, True, "unwrapped")


def check_singledispatch_on_top_and_below(subject: Subject) -> None:
    @functools.singledispatch
    @subject.decorate
    def show(value: Any) -> str:
        return "any"

    @show.register
    @subject.decorate
    def _(value: int) -> str:
        return "int"

    same((show(1), show("a")), ("int", "any"), "on top")
    below: Any = subject.decorate(show)
    same((below(1), below("a"), below.dispatch(int)(1)), ("int", "any", "int"), "below")


def check_caches_and_partials(subject: Subject) -> None:
    runs: list[int] = []

    def double(number: int) -> int:
        runs.append(number)
        return 2 * number

    cached = functools.lru_cache(subject.decorate(double))
    same((cached(2), cached(2), runs), (4, 4, [2]), "cache on top")
    below: Any = subject.decorate(functools.lru_cache(double))
    same((below(3), below(3), runs), (6, 6, [2, 3]), "cache below")
    same(below.cache_info().hits, 1, "hits")
    same(functools.partial(subject.decorate(double), 4)(), 8, "partial on top")
    same(subject.decorate(functools.partial(double, 5))(), 10, "partial below")


def check_methods_of_every_kind(subject: Subject) -> None:
    decorate: Callable[[Any], Any] = subject.decorate

    @dataclasses.dataclass
    class Point:
        x: int

        @decorate
        def method(self) -> int:
            return self.x

        @classmethod
        @decorate
        def of(cls, x: int) -> Point:
            return cls(x)

        @staticmethod
        @decorate
        def fixed(x: int) -> int:
            return x

        @property
        @decorate
        def value(self) -> int:
            return self.x

        @functools.cached_property
        @decorate
        def cached(self) -> int:
            return self.x

    point = Point.of(3)
    same(
        (point.method(), Point.fixed(3), point.value, point.cached, point),
        (3, 3, 3, 3, Point(3)),
        "results",
    )


def check_abstract_methods_stay_abstract(subject: Subject) -> None:
    class Base(abc.ABC):
        @subject.decorate
        @abc.abstractmethod
        def work(self) -> None: ...

    try:
        Base()  # type: ignore[abstract]
    except TypeError:
        return
    raise AssertionError("a class with an abstract method was instantiated")


def _typed(a: int, *, b: str = "b") -> dict[str, Any]:
    """Docs."""
    return {"a": a, "b": b}


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    check_a_function_is_pickled_by_value,
    check_copies_of_a_function_are_the_function,
    check_hints_and_source_are_kept,
    check_singledispatch_on_top_and_below,
    check_caches_and_partials,
    check_methods_of_every_kind,
    check_abstract_methods_stay_abstract,
)
