"""The compiled forms of the work on encoded bytes do what their Python forms do."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessiontrace.model.ids import TRACE_ID
from sessiontrace.wire.encoded import (
    _event_span_py,
    _filling_py,
    _flat_metadata_py,
    _key_values_py,
    _plain_chat_py,
    _record_layout_py,
)
from sessiontrace.wire.span_templates.metadata_rules import rules_for

_event_span_c: Any
_filling_c: Any
_flat_metadata_c: Any
_key_values_c: Any
_plain_chat_c: Any
_record_layout_c: Any
_event_span_c, _filling_c, _flat_metadata_c, _key_values_c, _plain_chat_c, _record_layout_c = (
    pytest.importorskip(f"sessiontrace.wire.encoded.{module}", reason="not compiled")
    for module in (
        "_event_span_c", "_filling_c", "_flat_metadata_c", "_key_values_c", "_plain_chat_c",
        "_record_layout_c",
    )
)  # fmt: skip

ID = "019aa3c1-8a5e-7000-9d2c-6f1b8f0e5a11"
OTHER = "019aa3c1-8a5e-7000-9d2c-6f1b8f0e5a12"

texts = st.text(max_size=20) | st.sampled_from(
    ["", '"', "\\", '\\"', "x" * 127, "é" * 64, "x" * 20_000, '","content":"', '"' * 33, "x\\" * 9]
)
values = (
    texts
    | texts.map(str.encode)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.lists(texts, max_size=3)
)


@given(attributes=st.dictionaries(texts, values, max_size=4), tag=st.sampled_from([b"\x4a", b""]))
@settings(max_examples=60)
def test_attributes_have_the_same_bytes(attributes: dict[str, Any], tag: bytes) -> None:
    """Texts, encoded texts, numbers, flags and lists, short and long."""
    assert _key_values_c.key_values(tag, attributes) == _key_values_py.key_values(tag, attributes)


def test_an_attribute_that_cannot_be_encoded_raises_in_both_forms() -> None:
    """A lone surrogate has no UTF-8: the record is rejected with a reason."""
    for form in (_key_values_c, _key_values_py):
        with pytest.raises(UnicodeEncodeError):
            form.key_values(b"\x4a", {"k": "\ud800"})


messages = st.lists(
    st.fixed_dictionaries(
        {"role": texts}, optional={"content": texts | st.none(), "name": texts, "k": st.none()}
    ),
    max_size=4,
)


@given(
    messages=messages, around=st.sampled_from([(b"", b""), (b"[", b"]"), (b'{"messages":[', b"]}")])
)
@settings(max_examples=60)
def test_the_same_messages_are_plain(
    messages: list[dict[str, Any]], around: tuple[bytes, bytes]
) -> None:
    """Texts with quotes and backslashes in any number, and messages with more than a text."""
    opening, closing = around
    raw = opening + b",".join(map(orjson.dumps, messages)) + closing
    for at in (len(opening), 0):
        assert _plain_chat_c.plain_parts(raw, at) == _plain_chat_py.plain_parts(raw, at)
        assert _plain_chat_c.plain_messages(raw, at) == _plain_chat_py.plain_messages(raw, at)


opaque = st.sampled_from(
    [
        b"{}",
        b'{"k":1}',
        b'{"k":"}"}',
        b'{"k":"\\"}","l":[1]}',
        b'{"k":{"l":1}}',
        b"[]",
        b"1",
        b"{",
        b"",
    ]
)
ids = st.lists(st.sampled_from([ID, OTHER, "x"]), max_size=3)
members = st.lists(
    st.one_of(
        opaque.map(lambda value: b',"metadata":%b' % value),
        opaque.map(lambda value: b',"config":%b' % value),
        ids.map(lambda value: b',"children_ids":%b' % orjson.dumps(value)),
        texts.map(lambda value: b',"event_name":%b' % orjson.dumps(value)),
    ),
    max_size=4,
).map(b"".join)
numbers = st.sampled_from(
    [
        b"0",
        b"1790000000000",
        b"1" * 15,
        b"1" * 16,
        b"-1",
        b"1.5",
        b"8.25e-05",
        b"1e",
        b"1e999",
        b"null",
        b"",
    ]
)
payloads = st.lists(
    st.tuples(st.sampled_from([b',"inputs":', b',"outputs":', b',"x":']), opaque).map(
        lambda pair: b"%b\t%b\t" % pair
    ),
    max_size=3,
).map(b"".join)


@given(
    parent=st.sampled_from(["", "x", OTHER, OTHER.upper(), OTHER[:8] + "0" + OTHER[9:]]).map(
        lambda text: b',"parent_id":"%b"' % text.encode() if text else b""
    ),
    start=numbers,
    end=numbers,
    duration=numbers,
    members=members,
    payloads=payloads,
    closing=st.sampled_from([b"}", b',"k":1}', b""]),
    cut=st.integers(0, 40) | st.just(0),
)
@example(b"", b"1", b"2", b"1.5", b',"event_name":"a"', b',"inputs":\t{}\t', b"}", 0)
@example(b"", b"1", b"2", b"1e999", b"", b',"inputs":\t{}\t', b"}", 0)
@settings(max_examples=150)
def test_a_body_has_the_same_layout(
    parent: bytes,
    start: bytes,
    end: bytes,
    duration: bytes,
    members: bytes,
    payloads: bytes,
    closing: bytes,
    cut: int,
) -> None:
    """As capture writes it, in another order, broken off, and with odd numbers."""
    body = (
        b'{"event_id":"%b","session_id":"%b"%b,"event_type":"model","source":"x","start_time":%b,'
        b'"end_time":%b,"duration":%b,"event_name":"step"%b%b%b'
    ) % (ID.encode(), OTHER.encode(), parent, start, end, duration, members, payloads, closing)
    for text in (body, body[: len(body) - cut], body[cut:]):
        assert _record_layout_c.layout_of(text) == _record_layout_py.layout_of(text)


@given(
    head=st.integers(0, 4100).map(lambda size: b"x" * size),
    nanos=st.sampled_from([b"1", b"999999", b"9999999", b""]),
    tail=st.sampled_from([b',"end_time":2}', b"}", b"", b',"start_nanos":1,"k":2}']),
    cut=st.integers(0, 30) | st.just(0),
)
@example(b"x" * 101, b"5", b',"end_time":2}', 0)
@example(b"x" * 4081, b"5", b',"end_time":2}', 0)
def test_the_same_nanoseconds_are_cut_out(head: bytes, nanos: bytes, tail: bytes, cut: int) -> None:
    """At the borders of the place where capture writes them, too long, and broken off."""
    body = b'%b,"start_nanos":%b%b' % (head, nanos, tail)
    for text in (body, body[: len(body) - cut], body[cut:]):
        assert _record_layout_c.without_nanos(text) == _record_layout_py.without_nanos(text)


@given(
    records=st.lists(
        st.tuples(
            st.sampled_from([b"event", b"start", b"end", b"update", b""]),
            st.sampled_from([b"model", b"tool", b"chain", b"agent", b"models", b"session"]),
            st.sampled_from([b"", b"x"]),
            st.integers(0, 200),
        ),
        max_size=9,
    )
)
def test_the_same_events_are_plain(records: list[tuple[bytes, bytes, bytes, int]]) -> None:
    """Of any type, moved by a byte and broken off, beside records of other kinds."""
    kinds, bodies = [], []
    for kind, event_type, moved, cut in records:
        body = b'%152b%b","event_type":"%b","start_time":1,"start_nanos":5,"end_time":2}'
        body %= (b"", moved, event_type)
        kinds.append(kind)
        bodies.append(body[: len(body) - cut])
    plain = _record_layout_c.plain_events(kinds, bodies)
    assert plain == _record_layout_py.plain_events(kinds, bodies)


@given(
    parts=st.lists(st.binary(max_size=9) | st.integers(0, 2), max_size=9).map(tuple),
    values=st.tuples(*[st.binary(max_size=300)] * 3),
)
def test_templates_are_filled_alike(
    parts: tuple[bytes | int, ...], values: tuple[bytes, ...]
) -> None:
    """With any parts, each value in its places."""
    assert _filling_c.fill(parts, values) == _filling_py.fill(parts, values)


def test_a_value_that_is_not_there_raises_in_both_forms() -> None:
    """No memory outside of the values is read."""
    for form in (_filling_c, _filling_py):
        with pytest.raises(IndexError):
            form.fill((b"a", 3), (b"b",))


words = st.text(max_size=9) | st.sampled_from(['"', "\\", '","content":"', "x" * 127, "é" * 64])
keys = st.sampled_from(
    ["prompt_tokens", "cache_write_tokens", "cost", "finish_reason", "tags", TRACE_ID, "k", "", "é"]
)
entry_values = (
    words | st.booleans() | st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e300, 1e300)
    | st.sampled_from(["ab" * 16, "0" * 32, "tool_calls", "[", "{}", -0.0, 0, [1]])
)  # fmt: skip
objects = st.dictionaries(keys | words, entry_values, max_size=4).map(orjson.dumps) | st.just(
    b'{"k":1,"k":2}'
)


@given(encoded=objects, cut=st.integers(0, 9) | st.just(0))
@example(orjson.dumps(dict.fromkeys(map(str, range(32)), 1)), 0)
@example(orjson.dumps(dict.fromkeys(map(str, range(33)), 1)), 0)
@example(b'{"k":-0}', 0)
def test_metadata_has_the_same_entries(encoded: bytes, cut: int) -> None:
    """Numbers at the borders of 18 digits, escaped texts, a key that comes twice, and pieces."""
    for text in (encoded, encoded[: len(encoded) - cut]):
        assert _flat_metadata_c.entries_of(text) == _flat_metadata_py.entries_of(text)


chats = st.lists(
    st.fixed_dictionaries({"role": words}, optional={"content": words | st.none(), "k": st.none()}),
    max_size=3,
)
contents = st.one_of(
    st.sampled_from([{}, {"q": 1}, {"role": 1}, {"messages": []}, {"k": "x" * 17_000}]),
    st.fixed_dictionaries({"role": words, "content": words}),
    st.tuples(st.sampled_from(["messages", "chat_history", "k"]), chats).map(
        lambda pair: {pair[0]: pair[1]}
    ),
).map(orjson.dumps) | opaque  # fmt: skip
CONTENT = 9  # the number of inputs and outputs, which every plan has
span_parts = st.lists(st.binary(max_size=9) | st.integers(0, 14), max_size=16).map(
    lambda parts: (*parts, CONTENT)
)


@given(
    base=st.sampled_from(["model", "tool", "chain"]),
    parts=span_parts,
    payloads=st.tuples(contents, st.none() | contents),
    ids=st.sampled_from([(ID, ""), (ID, OTHER), (OTHER, "")]),
    times=st.tuples(
        st.sampled_from([b"0", b"1790000000000", b"9" * 15]),
        st.sampled_from([b"", b',"start_nanos":999999']),
        st.sampled_from([b"0", b"0.5", b"8.25e-05", b"0.0000005", b"9e11", b"9.3e12"]),
    ),
    metadata=st.none() | objects,
    children=st.sampled_from([b"", b',"children_ids":["%b"]' % ID.encode()]),
    is_end=st.booleans(),
    user=words,
    number=st.integers(0, 2),
    source=st.sampled_from(["tests", "tests", None]),
)
@settings(max_examples=120)
def test_an_event_has_the_same_span(
    base: str,
    parts: tuple[bytes | int, ...],
    payloads: tuple[bytes, bytes | None],
    ids: tuple[str, str],
    times: tuple[bytes, bytes, bytes],
    metadata: bytes | None,
    children: bytes,
    is_end: bool,
    user: str,
    number: int,
    source: str | None,
) -> None:
    """Chats, metadata and answers of any form, borders of times, and sessions without a plan."""
    body = b'{"event_id":"%b","session_id":"%b"' % (ids[0].encode(), OTHER.encode())
    body += b',"parent_id":"%b"' % ids[1].encode() if ids[1] else b""
    body += b',"event_type":"model","start_time":%b%b,"end_time":1,"duration":%b' % times
    body += b',"event_name":"step"' + (b"" if metadata is None else b',"metadata":%b' % metadata)
    body += b'%b,"inputs":\t%b\t' % (children, payloads[0])
    body += b"}" if payloads[1] is None else b',"outputs":\t%b\t}' % payloads[1]
    pairs = (("user.id", 0), ("gen_ai.conversation.id", 1), ("sessiontrace.children_ids", 2))
    rules = rules_for(base)
    plan = _event_span_py.plan_of(parts, pairs, base, "look_up", "tests", rules, 3)
    session = _event_span_py.SessionValues(number, user.encode(), b"chat", {source: "an origin"})
    shapes: list[bytes] = []

    def plans_of(shape: bytes) -> list[Any]:
        shapes.append(shape)
        return [plan, plan, None]

    session_of = {OTHER.encode(): session}.get
    span = _event_span_c.event_span(body, is_end, plans_of, session_of)
    assert span == _event_span_py.event_span(body, is_end, plans_of, session_of)
    assert shapes[: len(shapes) // 2] == shapes[len(shapes) // 2 :]


def test_an_event_of_an_unknown_shape_or_session_has_no_span() -> None:
    """Then the span is written in another way."""
    body = (
        b'{"event_id":"%b","session_id":"%b","event_type":"model","start_time":1,"end_time":1,'
        b'"duration":1.0,"event_name":"step","inputs":\t{}\t}'
    ) % (ID.encode(), OTHER.encode())
    session = _event_span_py.SessionValues(0, b"", b"", {})
    plan = _event_span_py.plan_of((), (), "chain", "step", None, {}, 0)
    for form in (_event_span_c, _event_span_py):
        assert form.event_span(body, False, {}.get, lambda _: session) is None
        assert form.event_span(body, False, lambda _: [plan], {}.get) is None
        assert form.event_span(body, False, lambda _: [plan], lambda _: session) is None
