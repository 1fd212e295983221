"""The record's pure functions."""

from __future__ import annotations

import orjson

from sessiontrace.model.fields import EVENT_FIELDS
from sessiontrace.model.record import (
    EVENT,
    START,
    Record,
    Records,
    abandoned_end,
    event_id_of,
    is_turn,
    session_id_of,
    turn_event,
)

A, B = "01a1fbc4-99d4-7001-8504-20c235de8c6e", "859ba55b-c02a-5974-ac2a-8920c5f6b9d6"


def body(event_id: str, session_id: str, **rest: object) -> bytes:
    return orjson.dumps({"event_id": event_id, "session_id": session_id, **rest})


def test_ids_are_cut_out_without_decoding() -> None:
    """The first bytes of every body are fixed, so a lane can sort records cheaply."""
    assert event_id_of(body(A, B)).decode() == A
    assert session_id_of(body(A, B)).decode() == B


def test_a_turn_is_told_from_a_session_by_its_ids() -> None:
    """A conversation's opening has an id of its own."""
    assert is_turn(body(A, B))
    assert not is_turn(body(A, A))


def test_an_abandoned_end_is_the_same_at_every_adoption() -> None:
    """Two adopters, or one that died half-way, must deliver the same bytes."""
    start = body(A, A, event_type="session", source="s", start_time=1_000, inputs={"q": 1})
    end = abandoned_end(start, 1_500)
    assert end == abandoned_end(start, 1_500)
    decoded = orjson.loads(end)
    assert decoded["end_time"] == 1_500
    assert decoded["duration"] == 500.0
    assert decoded["metadata"] == {"abandoned": True}
    assert decoded["inputs"] == {"q": 1}
    assert event_id_of(end).decode() == A


def test_an_abandoned_session_never_ends_before_it_starts() -> None:
    """The clock of the dead process may have been ahead of the last event seen."""
    start = body(A, A, start_time=1_000)
    assert orjson.loads(abandoned_end(start, 10))["end_time"] == 1_000


def test_a_turn_becomes_a_chain_event_below_its_session() -> None:
    """Vendors that know no turns get an event."""
    end = orjson.loads(body(A, B, event_type="session", user_properties={"user_id": "u"}))
    event = turn_event(end)
    assert event["parent_id"] == B
    assert event["event_type"] == "chain"
    assert event["inputs"] == {}
    assert "user_properties" not in event
    assert set(event) <= set(EVENT_FIELDS)


def test_records_in_columns_are_a_sequence_of_records() -> None:
    """Exporters walk through them, pick from them and slice them as they would a list."""
    one, two = Record(START, b"*", body(A, A)), Record(EVENT, b"x", body(B, A))
    records = Records.of([one, two])
    records.extend(Records.of([one]))
    records.append(two)
    assert list(records) == [one, two, one, two]
    assert (len(records), records[1], records[-1], records[1].kind) == (4, two, two, EVENT)
    assert list(records[1:3]) == [two, one]
    assert records.kinds == [START, EVENT, START, EVENT]
    records[0] = two
    assert list(records) == [two, two, one, two]
    assert two in records
