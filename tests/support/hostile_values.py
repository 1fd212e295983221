"""Arguments that have been seen to break tracers, each made afresh."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["HOSTILE", "hostile"]


class BadRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Endless:
    def __getattr__(self, name: str) -> Endless:
        return Endless()


class HashlessMeta(type):
    def __eq__(cls, other: object) -> bool:
        return False


class Hashless(metaclass=HashlessMeta):
    """Its class cannot be looked up in a set."""


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(3000):
        value = [value]
    return value


HOSTILE: dict[str, Callable[[], Any]] = {
    "plain": lambda: "text",
    "raising repr": BadRepr,
    "3000 deep": deep,
    "endless attributes": Endless,
    "NaN": lambda: float("nan"),
    "surrogate": lambda: "\ud83d",
    "2 to the 80": lambda: 2**80,
    "a lock": threading.Lock,
    "a class without a hash": Hashless,
}

hostile = pytest.mark.parametrize("argument", list(HOSTILE.values()), ids=list(HOSTILE))
"""The test runs with each of them; it gets what makes one."""
