"""A compiled form does what its Python form does; skipped where nothing is compiled."""

from __future__ import annotations

import datetime
import mmap
import threading
import zlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessiontrace.capture.encoding import _fast_path_py, _record_body_py
from sessiontrace.capture.redaction.clean_text_cache import NO_REDACTION, CleanTextCache
from sessiontrace.capture.redaction.masker import Masker
from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.spool import _frame_py, frame
from sessiontrace.spool.frame import MAX_BODY

_fast_path_c: Any
_record_body_c: Any
_patterns_c: Any
_frame_c: Any
_fast_path_c, _record_body_c, _patterns_c, _frame_c = (
    pytest.importorskip(f"sessiontrace.{module}", reason="not compiled")
    for module in (
        "capture.encoding._fast_path_c",
        "capture.encoding._record_body_c",
        "capture.redaction._patterns_c",
        "spool._frame_c",
    )
)

ID = "019aa3c1-8a5e-7000-9d2c-6f1b8f0e5a11"

anything = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates included
long = st.sampled_from(["a", "é", "中", "\U0001f600", "\\", '"']).flatmap(
    lambda letter: st.integers(500, 530).map(lambda length: letter * length)
)
names = st.sampled_from(["step", ID]) | anything | long
moments = st.integers(0, 2**61) | st.integers(1_700_000_000_000_000_000, 1_900_000_000_000_000_000)
spans_ns = (
    st.integers(0, 2_000) | st.integers(0, 10**16) | st.integers(0, 53).map(lambda bit: 2**bit)
)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
simple = st.none() | st.booleans() | numbers | anything
parts = st.none() | st.dictionaries(
    st.sampled_from(["metadata", "config", "metrics", "error"]),
    st.dictionaries(anything, simple, max_size=3) | anything,
    max_size=3,
)
payloads = st.none() | st.sampled_from([b"{}", b'{"q":"a"}', b'{"q":"' + b"x" * 5_000 + b'"}'])


@given(
    texts=st.tuples(names, names, st.none() | names, names, names, names),
    start=moments,
    lasted=st.none() | spans_ns,
    parts=parts,
    children=st.none() | st.lists(st.just(ID) | anything, max_size=4),
    payloads=st.tuples(payloads, payloads),
)
@example((ID,) * 6, 0, 0, None, None, (None, None))
@example((ID,) * 6, 10**18, 10**15 - 1, {}, [], (b"{}", None))
@example((ID, ID, None, ID, ID, ID), 10**18 + 1, None, {}, None, (None, None))
@settings(max_examples=400)
def test_an_event_has_the_same_bytes(
    texts: tuple[str | None, ...],
    start: int,
    lasted: int | None,
    parts: dict[str, Any] | None,
    children: list[str] | None,
    payloads: tuple[bytes | None, bytes | None],
) -> None:
    """Whatever its name, however long it took, with children, buckets, inputs, outputs or none.

    A session has no parent, and its start no end.
    """
    *own, name = texts
    end = None if lasted is None else start + lasted
    arguments: Any = (*own, start, end, name, parts, children, *payloads)
    assert _record_body_c.encode_event(*arguments) == _record_body_py.encode_event(*arguments)


@given(st.integers(0, 10**15 - 1))
@settings(max_examples=1_000)
def test_a_duration_is_written_as_the_float_is(ns: int) -> None:
    """orjson writes the shortest text that reads as the same float."""
    arguments = (ID, ID, ID, "tool", "app", 0, ns, "step", None, None, None, None)
    assert _record_body_c.encode_event(*arguments) == _record_body_py.encode_event(*arguments)


class Own(str):
    __slots__ = ()


class Zone(datetime.tzinfo):
    pass


secrets = st.sampled_from(
    ["sk-" + "a1" * 10, "password=hunter2", "é token: abcdef", "4111 1111 1111 1111"]
)
media = st.just("data:image/png;base64," + "iVBORw0KGgo" * 200)
lengthy = st.sampled_from(["word ", "中 ", "key: ", "-"]).flatmap(
    lambda word: st.integers(90, 600).map(lambda count: word * count)
)
moment = datetime.datetime(2026, 1, 1)
times = [moment, moment.replace(tzinfo=datetime.timezone.utc), moment.replace(tzinfo=Zone())]
others = [*times, moment.date(), moment.time(), b"x", {1}, object(), Own("text"), 1j]
odd = st.integers(0, len(others) - 1).map(others.__getitem__) | st.uuids()
keys = st.sampled_from(["role", "content", "q", "password", "api_key", "x" * 70, 1, None])
values = st.recursive(
    simple | secrets | media | lengthy | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys | anything, inner, max_size=4)
        | st.fixed_dictionaries({"role": st.just("user"), "content": inner})
    ),
    max_leaves=8,
)
redactors = st.sampled_from(
    [
        lambda: Redactor().clean_texts,
        lambda: Redactor(emails=True).clean_texts,
        lambda: NO_REDACTION,
    ]
)


@given(st.lists(values, min_size=1, max_size=3), redactors)
@settings(max_examples=600)
def test_any_value_is_classified_the_same(samples: list[Any], make_cache: Any) -> None:
    """Twice: what the cache has remembered by then changes nothing."""
    cache, other = make_cache(), make_cache()
    for value in [*samples, *samples]:
        answer = _fast_path_py.classify(value, 1 << 20, 64, cache)
        assert _fast_path_c.classify(value, 1 << 20, 64, other) == answer
        assert _fast_path_c.encode_fast(value, other) == _fast_path_py.encode_fast(value, cache)


@pytest.mark.parametrize("form", [_fast_path_py, _fast_path_c], ids=["python", "compiled"])
def test_a_large_value_is_refused_early(form: Any) -> None:
    """Long texts, wide lists, deep ones, and a few objects that hold one another many times."""
    clean_texts = Redactor().clean_texts
    many: list[Any] = []
    for _ in range(60):
        many = [many, many]
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    for value in ("x" * 70_000, ["x" * 40_000] * 2, [0] * 10_000, many, deep, {"a": deep}):
        assert form.classify(value, _fast_path_py.ROOM, _fast_path_py.DEPTH, clean_texts) == -1
    assert form.encode_fast({"a": ["x" * 1_000]}, clean_texts) is not None


@pytest.mark.parametrize("form", [_fast_path_py, _fast_path_c], ids=["python", "compiled"])
def test_a_value_that_another_thread_changes_is_survived(form: Any) -> None:
    """Dicts and lists that grow and shrink while they are classified; orjson has the last word."""
    shared: dict[str, Any] = {"a": [], "b": {}}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared["a"].append("text" * (number % 50))
            shared[f"k{number % 100}"] = [number]
            if number % 100 == 0:
                shared["a"].clear()
                shared.pop(f"k{number % 7}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2_000):
            encoded = form.encode_fast(shared, CleanTextCache(Masker()))
            assert encoded is None or encoded.startswith(b'{"a":[')
    finally:
        stop.set()
        thread.join()


@given(
    at=st.integers(0, 300),
    size=st.integers(0, 256),
    crc=st.integers(0, 2**32 - 1),
    head=st.sampled_from([b" event * ", b" start a,b "]),
    body=st.binary(max_size=80) | st.just(b"x" * (MAX_BODY + 1)),
)
def test_a_frame_is_written_at_the_same_place(
    at: int, size: int, crc: int, head: bytes, body: bytes
) -> None:
    """Nothing is written where it does not fit, and nothing outside of its place."""
    view, expected = mmap.mmap(-1, 256), mmap.mmap(-1, 256)
    assert _frame_c.write_frame(view, at, size, crc, head, body) == _frame_py.write_frame(
        expected, at, size, crc, head, body
    )
    assert view[:] == expected[:]


def test_a_frame_beyond_the_memory_is_refused() -> None:
    """A wrong size must not become a write into other memory."""
    with mmap.mmap(-1, 64) as small:
        with pytest.raises(IndexError):
            _frame_c.write_frame(small, 60, 1_000, 0, b" event * ", b"{}")
        with pytest.raises(TypeError):
            _frame_c.write_frame(small, 0, 64, 0, b" event * ", "text")
        assert small[:] == bytes(64)
    with pytest.raises(ValueError, match="closed"):
        _frame_c.write_frame(small, 0, 64, 0, b" event * ", b"{}")


sound = st.tuples(
    st.sampled_from([b" event * ", b" start a,b ", b"  * "]), st.binary(max_size=40)
).map(lambda parts: frame.encode(7, parts[0], parts[1].replace(b"\n", b"")))
damaged = st.tuples(sound, st.integers(0, 40), st.integers(0, 255)).map(
    lambda parts: parts[0][: parts[1]] + bytes([parts[2]]) + parts[0][parts[1] + 1 :]
)
spaceless = st.binary(max_size=30).map(
    lambda raw: b"%08x %b\n" % (zlib.crc32(raw.replace(b"\n", b""), 7), raw.replace(b"\n", b""))
)


@given(
    lines=st.lists(sound | damaged | spaceless | st.binary(max_size=30), max_size=6),
    max_frames=st.integers(0, 7),
)
@example([b"\n", b" \n", b"01234567 a b\n", b"01234567"], 9)
@settings(max_examples=400)
def test_lines_are_split_into_the_same_frames(lines: list[bytes], max_frames: int) -> None:
    """Sound ones, such with a byte changed, without spaces, and anything, also without an end."""
    arguments = (b"".join(lines), 7, max_frames)
    assert _frame_c.split_frames(*arguments) == _frame_py.split_frames(*arguments)
