"""Catalogue D: whatever is put into an event, its neighbours and the program are not harmed.

Each row goes the whole way: captured, spooled, sent, and read back from what the backend got. The
tables of single values are in unit/test_encode.py.
"""

from __future__ import annotations

import asyncio
import collections
import decimal
import fractions
import io
import math
import socket
import threading
import time
import types
import unittest.mock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.fake_backend import Backend
from support.subprocesses import run
from support.tracers import arrived, hive, settled, tracing

CAP = 512 << 10


@pytest.fixture
def send(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Puts a value beside a good one into a span; what of it arrived at the backend."""
    with Backend() as backend, tracing(tmp_path / "spool", hive(backend)) as tracer:

        def send(value: Any) -> Any:
            backend.requests.clear()
            with tracer.span("one", inputs={"value": value, "good": 1}):
                pass
            tracer.flush(5)
            assert not tracer.stats().dropped
            assert settled(tracer).rejected == 0
            (found,) = arrived(backend)
            assert all(len(request.body) < CAP + 2048 for request in backend.requests)
            assert found["inputs"]["good"] == 1
            return found["inputs"]["value"]

        yield send


class Raising:
    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__

    def __json__(self) -> str:
        raise ValueError("no")


class Recursing:
    def __repr__(self) -> str:
        return repr(self)


class NoText:
    def __repr__(self) -> Any:
        return 7


class Changing:
    def __init__(self) -> None:
        self.seen: list[int] = []

    def __repr__(self) -> str:
        self.seen.append(1)
        return f"seen {len(self.seen)}"


def test_D01_objects_that_cannot_be_shown_leave_a_mark(send: Callable[..., Any]) -> None:
    """A repr that raises, recurses for ever, returns no text or changes its own object: it does
    not run. A mark with the type's name or the attributes take its place, and the other values are
    as they are.
    """
    found = send([Raising(), Recursing(), NoText(), Changing(), "whole"])
    assert "Raising" in found[0]
    assert "Recursing" in found[1]
    assert "NoText" in found[2]
    assert found[3] == {"seen": []}
    assert found[4] == "whole"
    assert len(found) == 5


def test_D02_circles_end_and_shared_parts_do_not_explode(send: Callable[..., Any]) -> None:
    """A list in itself, two dicts in one another, and 2**60 paths through a shared part."""
    mine: list[Any] = [1]
    mine.append(mine)
    left: dict[str, Any] = {}
    right = {"left": left}
    left["right"] = right
    shared: list[Any] = ["x"]
    for _ in range(60):
        shared = [shared, shared]
    begun = time.thread_time()
    assert "cycle" in str(send(mine))
    assert "cycle" in str(send(left))
    assert len(str(send(shared))) < CAP
    assert time.thread_time() - begun < 5


def test_D03_ten_thousand_levels_are_cut_and_say_so(send: Callable[..., Any]) -> None:
    """Nesting deeper than any JSON reader bears, in lists, dicts and objects."""

    @attrs.define
    class Node:
        below: Any = None

    deep_list: list[Any] = []
    deep_dict: dict[str, Any] = {}
    deep_node = Node()
    for _ in range(10_000):
        deep_list, deep_dict, deep_node = [deep_list], {"k": deep_dict}, Node(deep_node)
    for value in (deep_list, deep_dict, deep_node):
        found, depth = send(value), 0
        while isinstance(found, (list, dict)) and found:
            found = found[0] if isinstance(found, list) else next(iter(found.values()))
            depth += 1
        assert depth < 100
        assert isinstance(found, str), "a mark stands where it was cut"


GIANTS = pytest.mark.parametrize(
    "make",
    ["'x' * 100_000_000", "b'x' * 100_000_000", "list(range(5_000_000))",
     "dict.fromkeys(range(1_000_000))"],
    ids=["text", "bytes", "list", "keys"],
)  # fmt: skip


@GIANTS
def test_D04_giants_arrive_cut_and_quickly(send: Callable[..., Any], make: str) -> None:
    """A hundred megabytes are recorded by accident: the caller's thread works on it for a moment,
    and what is kept of them arrives soon.
    """
    value = eval(make)
    send("warm")
    begun = time.thread_time()
    found = send(value)
    assert time.thread_time() - begun < 2
    assert found != value


@GIANTS
def test_D04_giants_cost_no_memory_for_what_is_not_kept(make: str, tmp_path: Path) -> None:
    """Encoding alone, in a process without other threads: to stop tracemalloc beside them may crash
    the interpreter.
    """
    text = f"""
import tracemalloc
from sessiontrace.capture.encoding.encoder import encode
value = {make}
tracemalloc.start()
encode({{"value": value}})
print(tracemalloc.get_traced_memory()[1])
"""
    assert int(run(text, tmp_path).stdout) < 16 << 20


def test_D05_numbers_that_json_has_not_arrive_as_something(send: Callable[..., Any]) -> None:
    """NaN and infinities, integers beyond 64 bits, decimals, fractions, complex numbers."""
    odd = [math.nan, math.inf, -math.inf, -0.0, decimal.Decimal("1.10"), fractions.Fraction(1, 3),
           1 + 2j, 2**64, -(2**63) - 1, 2**63, True]  # fmt: skip
    found = send(odd)
    assert len(found) == len(odd)
    assert found[-1] is True
    assert str(found[4]) in {"1.10", "1.1"}
    assert str(found[7]) == str(2**64)


@pytest.mark.parametrize(
    "text",
    ["\ud800", "a\udfffb", "\x00", "\u2028\u2029", "\u0065\u0301", "\u202eabc", "line\nline\r\n",
     '"quoted\\"', "\x1b[31mred", "\U0001f600"],
)  # fmt: skip
def test_D06_D08_any_text_passes_and_none_breaks_a_frame(
    send: Callable[..., Any], text: str
) -> None:
    """Lone surrogates, NUL, separators, right-to-left marks, line feeds (which frames end with):
    legal text arrives as it is, the rest replaced, as value and as key.
    """
    legal = text.encode("utf-8", "ignore").decode() == text
    found = send({"text": text, text: "as key"})
    if legal:
        assert found == {"text": text, text: "as key"}
    assert found["text"]
    assert "as key" in found.values()
    assert send(b"\xff\xfe\x00") is not None


def test_D07_odd_keys_all_survive(send: Callable[..., Any]) -> None:
    """JSON keys are text: numbers beside their own names, None, tuples, empty and huge ones."""
    value = {1: "a", "1": "b", None: "c", (1, 2): "d", "": "e", "k" * 10_000: "f", 'q"\n': "g"}
    found = send(value)
    assert sorted(found.values()) == list("abcdefg")
    assert max(map(len, found)) <= 10_000


def test_D09_live_things_are_named_and_not_touched(send: Callable[..., Any]) -> None:
    """Handles, sockets, locks, generators and coroutines turn up among arguments: each is named;
    nothing is read, consumed or awaited.
    """
    steps: list[int] = []

    def generator() -> Iterator[int]:
        steps.append(1)
        yield 1

    async def coroutine() -> None:
        steps.append(2)

    waiting = coroutine()
    chained = ValueError("outer")
    chained.__cause__ = chained
    handle = io.BytesIO(b"content")
    with socket.socket() as sock:
        things = [generator(), waiting, handle, sock, threading.Lock(), types, Raising, generator,
                  chained, unittest.mock.MagicMock(), memoryview(b"12"), iter([1]),
                  collections.ChainMap({"a": 1}), asyncio.Event(), object()]  # fmt: skip
        found = send(things)
    waiting.close()
    assert len(found) == len(things)
    assert steps == []
    assert handle.read() == b"content"
    assert next(things[11]) == 1


def test_D10_a_value_that_another_thread_changes_is_no_danger(send: Callable[..., Any]) -> None:
    """A dict that grows and shrinks while it is encoded."""
    shared: dict[int, int] = {}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared[number] = number
            shared.pop(number - 50, None)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(20):
            assert send(shared) is not None
    finally:
        stop.set()
        changer.join()


def test_D11_what_is_recorded_is_what_was_there(tmp_path: Path) -> None:
    """Inputs are changed in place by the traced code, and outputs after it: neither shows."""
    with Backend() as backend, tracing(tmp_path / "spool", hive(backend)) as tracer:
        messages = ["first"]
        out = {"text": "good"}
        with tracer.span("one", inputs={"messages": messages}) as span:
            messages.append("second")
            span.set(outputs=out)
            out["text"] = "changed"
        out.clear()
        tracer.flush(5)
        (found,) = arrived(backend)
    assert found["inputs"] == {"messages": ["first"]}
    assert found["outputs"] == {"text": "good"}


def test_D09_exceptions_with_endless_causes_are_recorded(tmp_path: Path) -> None:
    """An exception that is its own cause leaves a span: it is re-raised as it is, and recorded."""
    with Backend() as backend, tracing(tmp_path / "spool", hive(backend)) as tracer:
        circular = RuntimeError("round and round")
        circular.__cause__ = circular
        with pytest.raises(RuntimeError) as caught, tracer.span("one"):
            raise circular
        assert caught.value is circular
        tracer.flush(5)
        (found,) = arrived(backend)
    assert "round and round" in found["error"]
