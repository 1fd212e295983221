"""Encoding: anything at all becomes bounded, legal JSON, and nobody notices."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import hashlib
import pathlib
import threading
import time
import types
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import attrs
import numpy as np
import orjson
import pydantic
import pydantic.v1
import pytest
from support.subprocesses import run

from sessiontrace.capture.encoding.encoder import CAP, encode, encode_object
from sessiontrace.capture.encoding.truncate import truncate_to


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
    (types.SimpleNamespace(a=1), "namespace(a=1)"),
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
    (np.zeros((2000, 3)), "<ndarray (2000, 3) float64>"),
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


@pytest.mark.parametrize("extra", [None, object()])
def test_both_roads_write_the_same_form(extra: object) -> None:
    """A value must not look different only because an object lies beside it in the same list."""
    utc = datetime.timezone.utc
    values = [float("nan"), 1e300, 2**63, datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=utc)]
    values += [datetime.datetime(2026, 1, 2), datetime.time(1), uuid.UUID(int=1), {"a": ("b",)}]
    assert decoded([*values, extra])[:-1] == decoded(values)


def test_a_role_that_is_no_text_is_a_value_like_any_other() -> None:
    """What looks like a message of a chat need not be one, the second time neither."""
    for _ in range(2):
        assert encode([{"role": ["admin"], "note": 1}]) == b'[{"role":["admin"],"note":1}]'


def test_keys_that_are_no_text_or_collide_all_survive() -> None:
    """JSON has only text keys: 1 and "1" would overwrite one another."""
    value = {1: "a", "1": "b", None: "c", False: "d", (1, 2): "e", b"x": "f", 2**70: "g", 1.5: "h"}
    assert sorted(decoded(value).values()) == list("abcdefgh")
    assert decoded({Colour.RED: 1}) == {"red": 1}


def test_a_thousand_keys_that_all_read_the_same_cost_no_quadratic_time() -> None:
    """Keys with one repr must be numbered without searching from the start each time."""

    class Same:
        def __repr__(self) -> str:
            return "same"

    found = decoded({Same(): number for number in range(1000)})
    assert len(found) == 1000
    assert found["same~1000"] == 999


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
    found = decoded({"good": 1, "bad": hostile, "also good": Point(1)})
    assert found["good"] == 1
    assert found["also good"] == {"x": 1, "y": None}
    assert found["bad"][0] == "<unprintable Hostile: RuntimeError>"
    assert found["bad"][2] == "<unprintable Lying: ValueError>"
    assert len(found["bad"]) == len(hostile)
    for one in hostile:  # alone too, where there is no neighbour to be careful for
        assert encode(one)


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


def test_what_is_cut_says_how_much_is_gone() -> None:
    """A reader must see that there was more, and how much."""
    assert decoded("x" * 300_000).endswith("… [cut: 168928 of 300000 characters]")
    assert decoded(list(range(20_000)))[-1] == "… [cut: 19000 more items]"
    assert decoded({str(n): n for n in range(20_000)})["…"] == "… [cut: 19000 more keys]"
    assert "nested deeper than 20" in encode(deep(40)).decode()


def test_the_longest_texts_are_cut_first() -> None:
    """Ten short answers beside a huge document stay whole; only the document is cut."""
    value = {"document": "d" * 400_000, "answers": ["a" * 500 for _ in range(10)]}
    found = decoded(value, cap=20_000)
    assert found["answers"] == value["answers"]
    assert 10_000 < len(found["document"]) < 20_000


@pytest.mark.parametrize("cap", [128, 1_000, 50_000])
@pytest.mark.parametrize(
    "value",
    [
        ["\x00" * 100_000],
        [["x"] * 900] * 900,
        {f"key {n:0200}": "v" * 90 for n in range(999)},
        "\U0001f600" * 100_000,
    ],
    ids=["escapes", "items", "keys", "astral"],
)
def test_no_shape_gets_over_the_cap(value: object, cap: int) -> None:
    """Escapes, many small items, long keys and wide characters all end under the cap."""
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    orjson.loads(encoded)


def test_a_decoded_value_is_truncated() -> None:
    """Vendors cut decoded records with it to their own limits."""
    assert len(truncate_to({"a": ["x" * 5_000, "y"], "b": 1}, 1_000)) <= 1_000


def test_a_huge_string_is_not_copied_and_a_nested_giant_is_not_walked_through(
    tmp_path: Path,
) -> None:
    """100 MB of text must cost the caller next to nothing, in memory above all. In a process of its
    own, since to stop tracemalloc beside other threads may crash the interpreter.
    """
    text = """
import tracemalloc
from sessiontrace.capture.encoding.encoder import encode
text = "x y " * 25_000_000
nested = [{"role": "user", "content": "y " * 500, "n": [1, 2, 3]} for _ in range(5_000)]
tracemalloc.start()
encode({"text": text})
encode(nested)
print(tracemalloc.get_traced_memory()[1])
"""
    assert int(run(text, tmp_path).stdout) < 12_000_000


def test_media_becomes_what_it_is() -> None:
    """A picture in base64 would drown the trace; its type, size and hash say all that helps."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
    expected = {
        "media_type": "image/png",
        "bytes": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
    }
    bare = b64encode(picture).decode()
    assert decoded(f"data:image/png;base64,{bare}") == expected
    assert decoded({"type": "base64", "data": bare})["data"] == expected
    assert decoded(picture) == expected
    assert decoded([{"image_url": {"url": f"data:image/jpeg;base64,{bare}"}}, object()])[0] == {
        "image_url": {"url": {**expected, "media_type": "image/jpeg"}}
    }


@pytest.mark.parametrize(
    "text",
    ["x" * 5_000, "0123456789abcdef" * 400, "word " * 2_000, "a/b/c/" * 1_000, "data: x" * 400],
    ids=["one letter", "hexadecimal", "words", "paths", "not a URI"],
)
def test_long_text_is_not_taken_for_media(text: str) -> None:
    """Only what is certainly base64 may be replaced by its hash."""
    assert decoded(text) == text


def test_values_that_another_thread_changes_meanwhile_still_give_json() -> None:
    """The application may mutate a dict while it is encoded: no error, no half JSON."""
    shared: dict[str, Any] = {"fixed": object()}
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            shared[f"k{number % 500}"] = [number]
            shared.pop(f"k{(number * 7) % 500}", None)
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(300):
            found = decoded(shared)
            assert found["fixed"] == "<builtins.object object>"
            assert "unprintable" not in str(found)
    finally:
        stop.set()
        thread.join()


def test_encode_object_always_gives_an_object() -> None:
    """Inputs and outputs must be objects for every vendor."""
    assert encode_object({"a": 1}, "result") == b'{"a":1}'
    assert encode_object([1], "result") == b'{"result":[1]}'
    assert encode_object(Point(1), "result") == b'{"x":1,"y":null}'
    assert encode_object(None, "result") == b'{"result":null}'


def test_an_interrupt_in_the_middle_of_a_repr_is_not_swallowed() -> None:
    """Ctrl-C while we look at a value belongs to the user."""

    class Slow:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(Slow())
