"""Objects are read without running any of their code."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from sessiontrace.capture.encoding.encoder import encode


def decoded(value: object) -> Any:
    return orjson.loads(encode(value))


class Descriptor:
    """Stands for an attribute of an ORM: to read it sends a statement."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise AssertionError("read")

    def __set__(self, instance: object, value: object) -> None:
        raise AssertionError("written")


class Account:
    related = Descriptor()

    def __init__(self) -> None:
        self.name = "Ada"
        self.parts = [1, {"a": 2}]
        self._password = "hunter2"

    @property
    def balance(self) -> int:
        raise AssertionError("computed")

    @functools.cached_property
    def history(self) -> int:
        raise AssertionError("computed")

    def __repr__(self) -> str:
        raise AssertionError("repr")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __hash__(self) -> int:
        raise AssertionError("hashed")

    def __bool__(self) -> bool:
        raise AssertionError("truth")


class Slotted:
    __slots__ = ("_hidden", "unset", "x")

    def __init__(self) -> None:
        self.x = 1
        self._hidden = 2


class LazyDict(Mapping[str, Any]):
    """A mapping that loads its items when they are read."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError("read")

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("iterated")

    def __len__(self) -> int:
        raise AssertionError("measured")


def test_an_object_with_attributes_is_recorded_by_its_public_ones() -> None:
    """Its properties, descriptors and text would run its code; what begins with _ is its own."""
    assert decoded(Account()) == {"name": "Ada", "parts": [1, {"a": 2}]}
    assert decoded({"inside": (Account(),)})["inside"] == [decoded(Account())]
    assert decoded(Slotted()) == {"x": 1}


def test_a_field_that_is_not_loaded_says_so() -> None:
    """A descriptor in the place of a field's default loads the value from somewhere else."""

    @dataclasses.dataclass
    class Row:
        name: str
        related: Any = dataclasses.field(default=None, init=False)
        constant: int = dataclasses.field(default=3, init=False)

    Row.related = Descriptor()  # as an ORM maps a dataclass
    row = Row.__new__(Row)
    row.__dict__["name"] = "Ada"
    assert decoded(row) == {"name": "Ada", "related": "<not loaded>", "constant": 3}


@pytest.mark.parametrize(
    "method",
    ["__getattr__", "__getattribute__", "__iter__", "__len__", "__next__", "__call__", "close"],
)
def test_D14_an_object_that_makes_up_its_content_is_named(method: str) -> None:
    """A query, a proxy or a client: its attributes are not data, and to read it may run it."""

    def fail(*args: object) -> Any:
        raise AssertionError(method)

    kind = type("Query", (), {method: fail, "__module__": "shop"})
    value = kind()
    object.__setattr__(value, "connection", "secret")
    assert decoded(value) == "<shop.Query object>"
    assert decoded({value: value}) == {"<shop.Query object>": "<shop.Query object>"}


def test_a_mapping_of_the_user_is_named() -> None:
    """Iteration of a lazy mapping loads its items."""
    assert decoded(LazyDict()) == f"<{__name__}.LazyDict object>"


def test_a_proxy_dictionary_does_not_hide_behind_the_real_one() -> None:
    """``__dict__`` as a property is the code of the class."""

    class Proxy:
        @property
        def __dict__(self) -> Any:
            raise AssertionError("resolved")

    assert decoded(Proxy()).endswith(".Proxy object>")


def test_a_metaclass_is_not_called() -> None:
    """Its attributes may be computed, its hash and its subclass check are its own."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise AssertionError(name)

        def __instancecheck__(cls, instance: object) -> bool:
            raise AssertionError("checked")

        def __hash__(cls) -> int:
            raise AssertionError("hashed")

    kind = Meta("Strange", (), {"__module__": "shop"})
    assert decoded(object.__new__(kind)) == "<shop.Strange object>"
    assert decoded(kind) == "<Meta shop.Strange>"
