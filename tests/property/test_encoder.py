"""Encoding under arbitrary values: never raises, always parses, never over the cap."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recording_tracer import Captured

from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.capture.encoding.record_body import EVENT_MAX
from sessiontrace.model.fields import BUCKETS, EVENT_FIELDS


class Raising:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


class Shade(enum.Enum):
    DARK = 1


texts = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates included
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | texts
    | st.binary(max_size=40)
    | st.datetimes()
    | st.dates()
    | st.timedeltas()
    | st.decimals()
    | st.uuids()
    | st.complex_numbers()
    | st.just(Shade.DARK)
    | st.builds(Raising)
    | st.builds(object)
)
keys = texts | st.integers() | st.none() | st.floats() | st.binary(max_size=8) | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(keys, inner, max_size=6)
        | st.tuples(inner, inner)
        | st.builds(lambda items: iter(items), st.lists(inner, max_size=2))
        | st.builds(ValueError, inner)
    ),
    max_leaves=30,
)


@given(values, st.sampled_from([128, 600, 10_000]))
@settings(max_examples=300, deadline=None)
def test_D13_anything_becomes_json_within_the_cap(value: object, cap: int) -> None:
    """Whatever it is: bytes that parse, and not one too many."""
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    orjson.loads(encoded)


@given(st.lists(texts, min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_text_comes_back_as_it_was_unless_json_cannot_carry_it(items: list[str]) -> None:
    """Only lone surrogates change, and they become their escapes."""
    found = orjson.loads(encode([*items, object()]))[:-1]
    for item, back in zip(items, found, strict=True):
        assert back == item.encode("utf-8", "backslashreplace").decode()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(plain)
@settings(max_examples=150, deadline=None)
def test_both_roads_agree_on_plain_values(value: Any) -> None:
    """A foreign object beside a value sends it down the slow path; nothing else changes."""
    assert orjson.loads(encode([value, Raising()]))[0] == orjson.loads(encode(value))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "inputs": values,
            "outputs": values,
            **{
                bucket: st.dictionaries(keys, values, max_size=3) | values for bucket in BUCKETS[2:]
            },
        },
    ),
    texts | values,
    st.sampled_from(["chain", "model", "tool"]) | values,
)
@settings(max_examples=250, deadline=None)
def test_every_body_is_a_legal_event(parts: dict[str, Any], name: Any, type_: Any) -> None:
    """PostEventRequest is closed and typed; no argument of a user's may break that."""
    captured = Captured()
    with captured.session(name), captured.span(name, type_) as span:
        span.set(**parts)
    assert captured.drops == []
    assert [kind for kind, _ in captured.records] == ["start", "event", "end"]
    for encoded, (_, body) in zip(captured.bodies, captured.records, strict=True):
        assert len(encoded) <= EVENT_MAX
        assert set(body) <= set(EVENT_FIELDS)
        for bucket in BUCKETS:
            assert isinstance(body.get(bucket, {}), dict)
        for ident in ("event_id", "session_id"):
            uuid.UUID(body[ident])
        assert isinstance(body["event_name"], str)
        assert isinstance(body["start_time"], int)
    assert captured.events[0]["event_type"] in {"chain", "model", "tool"}


def test_the_strategies_reach_both_roads() -> None:
    """A property test that only ever saw plain values would prove little."""
    assert encode(decimal.Decimal(1)) == b'"1"'
    assert encode(datetime.datetime(2026, 1, 1)) == b'"2026-01-01T00:00:00"'
