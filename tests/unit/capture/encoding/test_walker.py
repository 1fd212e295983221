"""Every usual type has one readable form, and hostile values spoil only themselves."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import time
import types
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from unittest import mock

import attrs
import numpy as np
import orjson
import pydantic
import pydantic.v1
import pytest

from sessiontrace.capture.encoding.encoder import CAP, encode


def decoded(value: object, cap: int = CAP) -> Any:
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    return orjson.loads(encoded)


@dataclasses.dataclass
class Point:
    x: int
    y: object = None
    password: str = dataclasses.field(default="hunter2", repr=False)


@attrs.define
class Slotted:
    name: str
    secret: str = attrs.field(default="hunter2", repr=False)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str
    key: pydantic.SecretStr = pydantic.SecretStr("hunter2")
    hidden: str = pydantic.Field(default="hunter2", repr=False)


class OldModel(pydantic.v1.BaseModel):
    name: str
    inner: Any = None


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: object


PLAIN = [
    (None, None),
    (True, True),
    (7, 7),
    (1.5, 1.5),
    ("text", "text"),
    ([1, (2, 3)], [1, [2, 3]]),
    ({"a": {"b": []}}, {"a": {"b": []}}),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.time(3, 4), "03:04:00"),
    (datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), "2026-01-02T00:00:00+00:00"),
    (datetime.timedelta(seconds=90), 90.0),
    (decimal.Decimal("1.10"), "1.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (1 + 2j, "(1+2j)"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (Colour.RED, "red"),
    (Pair(1, {2}), {"left": 1, "right": [2]}),
    (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}),
    (Slotted("a"), {"name": "a"}),
    (Model(name="a", more=1), {"name": "a", "key": "SecretStr('**********')", "more": 1}),
    (OldModel(name="a", inner=Point(1)), {"name": "a", "inner": {"x": 1, "y": None}}),
    (collections.deque([1, 2]), [1, 2]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.UserDict(a=1), {"a": 1}),
    (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (types.SimpleNamespace(a=1), {"a": 1}),
    (range(3), [0, 1, 2]),
    ({"a": 1}.values(), [1]),
    ({"a": 1}.keys(), ["a"]),
    (frozenset({1}), [1]),
    (array.array("i", [1, 2]), [1, 2]),
    (b"plain bytes", "plain bytes"),
    (b"\xff\x00", "<2 bytes: ff00>"),
    (bytearray(b"ab"), "ab"),
    (memoryview(b"ab"), "ab"),
    (np.float64(1.5), 1.5),
    (np.int32(4), 4),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (
        np.zeros((2000, 3)),
        {"type": "numpy.ndarray", "shape": [2000, 3], "dtype": "float64", "head": [[0.0] * 3] * 5},
    ),
    (np.array([np.nan]), [None]),
    (ValueError("no"), {"type": "ValueError", "message": "no"}),
    (len, "<builtin_function_or_method builtins.len>"),
    (Point, "<type tests.Point>"),
    (object(), "<builtins.object object>"),
    (float("nan"), None),
    ([float("inf"), object()], [None, "<builtins.object object>"]),
    (2**63, 2**63),
    (2**64, str(2**64)),
    (-(2**63) - 1, str(-(2**63) - 1)),
    (10**5000, "<int of 16610 bits>"),
    ("lone \ud83d half", "lone \\ud83d half"),
    ({"\ud83d": 1}, {"\\ud83d": 1}),
]


@pytest.mark.parametrize(("value", "expected"), PLAIN, ids=[str(e)[:40] for _, e in PLAIN])
def test_every_usual_type_has_a_form_people_can_read(value: object, expected: object) -> None:
    """What users hand over is rarely JSON; each usual type has one readable form."""
    if isinstance(expected, str):
        expected = expected.replace("tests.Point", f"{__name__}.Point")
    assert decoded(value) == expected


def test_keys_that_are_not_texts_or_collide_all_survive() -> None:
    """JSON has only text keys: 1 and "1" would overwrite one another."""
    value = {1: "a", "1": "b", None: "c", False: "d", (1, 2): "e", b"x": "f", 2**70: "g", 1.5: "h"}
    assert sorted(decoded(value).values()) == list("abcdefgh")
    assert decoded({Colour.RED: 1}) == {"red": 1}


def test_a_thousand_keys_that_all_read_the_same_cost_no_quadratic_time() -> None:
    """Keys with one text must be numbered without searching from the start each time."""
    value = decoded({object(): number for number in range(1000)})
    assert len(value) == 1000
    assert value["<builtins.object object>~1000"] == 999


class Hostile:
    """Raises wherever it is touched."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    def __hash__(self) -> int:
        return 1

    def __len__(self) -> int:
        raise RuntimeError("no len")

    def __bool__(self) -> bool:
        raise RuntimeError("no bool")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


class Endless:
    """Has every attribute, each of which has every attribute."""

    def __getattr__(self, name: str) -> Endless:
        return Endless()

    def __iter__(self) -> Iterator[Any]:
        return iter([self])


class LyingMeta(type):
    def __getattr__(cls, name: str) -> Any:
        return lambda *args: cls

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Lying(metaclass=LyingMeta):
    def __repr__(self) -> str:
        raise ValueError


class HashlessMeta(type):
    def __eq__(cls, other: object) -> bool:
        return False


class Hashless(metaclass=HashlessMeta):
    pass


class LyingDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")

    def __iter__(self) -> Any:
        raise RuntimeError("no iteration")

    def __len__(self) -> int:
        return -5

    def values(self) -> Any:
        raise RuntimeError("no values")


class LyingList(list[int]):
    def __iter__(self) -> Any:
        while True:
            yield 1

    def __len__(self) -> int:
        return 10**12


class LyingText(str):  # noqa: SLOT000  as users write it
    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        raise RuntimeError("no encode")


class EndlessMapping(Mapping[int, int]):
    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    def __len__(self) -> int:
        return 1 << 40


class FailingSequence(Sequence[int]):
    def __getitem__(self, index: Any) -> Any:
        raise OSError("gone")

    def __len__(self) -> int:
        return 3


class Impostor:
    __class__ = dict  # type: ignore[assignment]


class HostileZone(datetime.tzinfo):
    def utcoffset(self, when: object) -> Any:
        raise RuntimeError("no offset")

    dst = tzname = utcoffset  # type: ignore[assignment]


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_hostile_values_are_named_and_spoil_only_themselves() -> None:
    """One bad value in a payload must neither raise nor take its neighbours with it."""
    hostile = [Hostile(), Endless(), Lying(), Impostor(), EndlessMapping(), FailingSequence()]
    hostile += [LyingText("x"), mock.MagicMock(), mock.Mock(spec=dict), mock.MagicMock(spec=list)]
    hostile += [datetime.datetime(2026, 1, 1, tzinfo=HostileZone()), deep(3000), Lying]
    hostile += [Hashless(), Hashless]
    value = decoded({"good": 1, "bad": hostile, "also good": Point(1)})
    assert value["good"] == 1
    assert value["also good"] == {"x": 1, "y": None}
    assert value["bad"][0] == f"<{__name__}.Hostile object>"
    assert value["bad"][2] == f"<{__name__}.Lying object>"
    assert len(value["bad"]) == len(hostile)
    for item in hostile:  # alone too
        assert encode(item)


def test_subclasses_of_containers_are_read_through_their_base() -> None:
    """A dict subclass may lie about its items and its length; what it holds is still its own."""
    assert decoded(LyingDict(a=1)) == {"a": 1}
    assert decoded(LyingList([1, 2])) == [1, 2]
    assert decoded([LyingText("x"), object()])[0] == "x"
    assert decoded(collections.defaultdict(list, a=[1])) == {"a": [1]}


def test_iterators_and_coroutines_are_named_and_not_consumed() -> None:
    """Logging a generator must not eat it."""
    numbers = (number for number in range(3))
    assert decoded({"numbers": numbers})["numbers"].startswith("<generator ")
    assert list(numbers) == [0, 1, 2]

    async def work() -> None: ...

    coroutine = work()
    assert " at 0x" not in decoded([coroutine])[0]
    coroutine.close()


def test_cycles_and_shared_parts_end() -> None:
    """A list in itself is marked; a graph that shares its nodes a billion times ends soon."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert decoded(cycle) == [1, "<cycle>"]
    shared: Any = {"leaf": 1}
    for _ in range(30):
        shared = {"left": shared, "right": shared}
    started = time.perf_counter()
    assert encode(shared)
    assert time.perf_counter() - started < 3.0
