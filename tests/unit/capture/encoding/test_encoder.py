"""Encoding: any value becomes bounded, legal JSON, on either path."""

from __future__ import annotations

import dataclasses
import datetime
import threading
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.subprocesses import run

from sessiontrace.capture.encoding.encoder import CAP, encode, encode_object


def decoded(value: object, cap: int = CAP) -> Any:
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    return orjson.loads(encoded)


@dataclasses.dataclass
class Point:
    x: int
    y: object = None
    password: str = dataclasses.field(default="hunter2", repr=False)


@pytest.mark.parametrize("extra", [None, object()])
def test_both_paths_write_the_same_form(extra: object) -> None:
    """A value must not look different only because an object lies beside it in the same list."""
    utc = datetime.timezone.utc
    values = [float("nan"), 1e300, 2**63, datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=utc)]
    values += [datetime.datetime(2026, 1, 2), datetime.time(1), uuid.UUID(int=1), {"a": ("b",)}]
    assert decoded([*values, extra])[:-1] == decoded(values)


def test_a_role_that_is_not_a_text_is_a_value_like_any_other() -> None:
    """What looks like a message of a chat need not be one, the second time neither."""
    for _ in range(2):
        assert encode([{"role": ["admin"], "note": 1}]) == b'[{"role":["admin"],"note":1}]'


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
            value = decoded(shared)
            assert value["fixed"] == "<builtins.object object>"
            assert "unprintable" not in str(value)
    finally:
        stop.set()
        thread.join()


def test_encode_object_always_gives_an_object() -> None:
    """Inputs and outputs must be objects for every vendor."""
    assert encode_object({"a": 1}, "result") == b'{"a":1}'
    assert encode_object([1], "result") == b'{"result":[1]}'
    assert encode_object(Point(1), "result") == b'{"x":1,"y":null}'
    assert encode_object(None, "result") == b'{"result":null}'


def test_an_interrupt_in_the_middle_of_a_message_is_not_swallowed() -> None:
    """Ctrl-C while we read a value belongs to the user."""

    class Slow(Exception):  # noqa: N818  its message takes long
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(Slow())
