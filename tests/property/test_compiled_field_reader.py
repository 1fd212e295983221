"""The compiled reader of protobuf reads what its Python form reads, whatever the bytes are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrace.wire.decoded import _field_reader_py
from sessiontrace.wire.protobuf import GarbledError, TooManyFieldsError, field, varint

_field_reader_c: Any = pytest.importorskip(
    "sessiontrace.wire.decoded._field_reader_c", reason="not compiled"
)


def sized(number: int) -> Callable[[bytes], bytes]:
    return lambda body: field(bytes([number << 3 | 2]), body)


scalars = st.one_of(
    st.text(max_size=5).map(lambda text: sized(1)(text.encode())),
    st.binary(max_size=5).map(sized(1)),
    st.binary(max_size=5).map(sized(7)),
    st.integers(0, 2**64 - 1).map(lambda number: b"\x10" + varint(number)),
    st.integers(0, 2**64 - 1).map(lambda number: b"\x18" + varint(number)),
    st.floats(allow_nan=False).map(lambda number: b"\x21" + struct.pack("<d", number)),
    st.just(b""),
    st.binary(max_size=6),
)


def pair(value: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    parts = st.one_of(st.text(max_size=3).map(lambda key: sized(1)(key.encode())), value)
    return st.lists(parts, max_size=3).map(b"".join)


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner.map(sized(1)), max_size=3).map(b"".join).map(sized(5)),
        st.lists(pair(inner.map(sized(2))).map(sized(1)), max_size=3).map(b"".join).map(sized(6)),
        st.lists(inner, max_size=2).map(b"".join),
    ),
    max_leaves=8,
)


def read(reader: Any, messages: list[bytes], depth: int) -> Any:
    """What a reader makes of messages, and how many fields it has left."""
    answers: list[Any] = []
    for message in messages:
        for question in (
            lambda message=message: dict(reader.fields(message)),
            lambda message=message: reader.value(message, depth),
            lambda message=message: reader.attributes([message, message], depth),
        ):
            try:
                answers.append(question())
            except (GarbledError, TooManyFieldsError) as error:
                answers.append(type(error))
    return answers


def numbered(number: int, contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return contents.map(sized(number))


ids = st.sampled_from([bytes(8), bytes(16), b"\x01" * 8, b"\x01" * 16, b"\x01"])
times = st.binary(min_size=8, max_size=8)
attribute = pair(values.map(sized(2)))
statuses = st.lists(
    st.one_of(st.integers(0, 3).map(lambda code: b"\x18" + varint(code)), numbered(2, ids))
).map(b"".join)
events = st.lists(st.one_of(numbered(2, ids), numbered(3, attribute))).map(b"".join)
links = st.lists(st.one_of(numbered(1, ids), numbered(2, ids), numbered(4, attribute)))
span_parts = st.one_of(
    *(numbered(number, ids) for number in (1, 2, 3, 4, 5)),
    *(times.map(lambda time, tag=tag: tag + time) for tag in (b"\x39", b"\x41")),
    numbered(9, attribute),
    numbered(11, events),
    numbered(13, links.map(b"".join)),
    numbered(15, statuses),
)
spans = st.lists(span_parts, max_size=10).map(
    lambda parts: b"".join([sized(1)(b"\x07" * 16), sized(2)(b"\x08" * 8), *parts])
)


def span(reader: Any, message: bytes) -> Any:
    """The span that a reader makes of a message, and then how many fields it has left."""
    try:
        received = reader.span(message, {"service.name": "s"}, "scope")
    except (GarbledError, TooManyFieldsError) as error:
        return type(error)
    return received and attrs.asdict(received), left(reader)


def left(reader: Any) -> int:
    """How many fields a reader may still read."""
    for count in range(200):
        try:
            reader.fields(b"\x08\x00")
        except TooManyFieldsError:
            return count
    return -1


@given(message=st.one_of(spans, st.binary(max_size=30)), most=st.integers(0, 40))
@settings(max_examples=80, deadline=None)
def test_both_forms_read_the_same_span(message: bytes, most: int) -> None:
    """Ids of wrong sizes, fields that come twice, events, links, a limit that is reached."""
    forms = (_field_reader_c.FieldReader(most), _field_reader_py.FieldReader(most))
    compiled, plain = (span(form, message) for form in forms)
    assert repr(compiled) == repr(plain)


def test_names_that_meet_in_one_place_of_the_cache_stay_themselves() -> None:
    """The compiled form keeps one text of each name, in fewer places than there are names."""
    names = [f"gen_ai.name.{number}" for number in range(3000)] + ["é" * 9, "n" * 100, ""]
    messages = [sized(1)(name.encode()) + sized(2)(b"\x18\x01") for name in names]
    reader = _field_reader_c.FieldReader()
    for _ in range(2):
        assert list(reader.attributes(messages)) == names


@given(
    messages=st.lists(values | pair(values.map(sized(2))) | st.binary(max_size=20), max_size=3),
    depth=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_both_forms_read_the_same(messages: list[bytes], depth: int) -> None:
    """Attributes of every type, fields that come twice, and bytes that are not a message."""
    forms = (_field_reader_c.FieldReader(), _field_reader_py.FieldReader())
    compiled, plain = (read(form, messages, depth) for form in forms)
    assert repr(compiled) == repr(plain)  # two values of NaN are not equal


def test_both_forms_count_the_same_fields() -> None:
    """The limit holds for all messages of a request together, those within attributes too."""
    inner = sized(5)(sized(1)(b"\x10\x01") * 7)
    message = sized(1)(b"k") + sized(2)(inner)
    for form in (_field_reader_c.FieldReader, _field_reader_py.FieldReader):
        assert form(17).attributes([message]) == {"k": [True] * 7}
        with pytest.raises(TooManyFieldsError):
            form(16).attributes([message])
