"""Smaller forms of a record."""

from __future__ import annotations

from typing import Any

import orjson
from support.exporters import Story, record

from sessiontrace.model.record import EVENT, Record
from sessiontrace.vendors.shared.truncate import replace_largest, truncate_record


def event(**objects: Any) -> Record:
    story = Story()
    return record(EVENT, story.event(story.start(), **objects))


def test_a_record_that_fits_is_not_touched() -> None:
    """None says that there is nothing to do."""
    assert truncate_record(event(), 64 << 10) is None


def test_the_largest_objects_are_cut_and_the_small_ones_stay() -> None:
    """Two large texts share the room that the small objects leave."""
    large = event(
        inputs={"text": "x" * 50_000}, outputs={"text": "y" * 70_000}, config={"model": "m"}
    )
    smaller = truncate_record(large, 20_000)
    assert smaller is not None
    assert len(smaller.body) <= 20_000
    before, after = orjson.loads(large.body), orjson.loads(smaller.body)
    assert after["config"] == before["config"]
    assert after["event_id"] == before["event_id"]
    for name in ("inputs", "outputs"):
        assert "[cut: " in after[name]["text"]
        assert 8_000 < len(after[name]["text"]) < 10_000
    assert truncate_record(smaller, 20_000) is None


def test_an_object_too_small_to_be_cut_by_texts_becomes_a_mark() -> None:
    """Even then it stays an object: every vendor expects one."""
    smaller = truncate_record(event(inputs={str(key): key for key in range(9_000)}), 400)
    assert smaller is not None
    assert isinstance(orjson.loads(smaller.body)["inputs"], dict)


def test_the_largest_object_can_be_replaced_whole() -> None:
    """With a mark that says how much is gone; a record without objects has nothing to give."""
    large = event(inputs={"text": "x" * 50_000})
    smaller = replace_largest(large, "[{size} bytes are gone]")
    assert smaller is not None
    assert orjson.loads(smaller.body)["inputs"] == {"cut": "[50011 bytes are gone]"}
    assert replace_largest(Record(EVENT, b"*", b'{"event_id":"e"}'), "") is None
