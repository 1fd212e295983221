"""The texts by which filters find a session: which there are, and how many at most."""

from __future__ import annotations

from sessiontrace.model.record import EVENT, START, UPDATE
from sessiontrace.store import facets


def of(kind: bytes = EVENT, **fields: object) -> list[str]:
    return facets.facets_of(kind, {"event_id": "e", "session_id": "s", **fields})


def test_a_record_has_a_facet_for_each_value_that_a_filter_may_ask_for():
    """Types, names, models, tags, metadata and user properties; no counts, and no content."""
    found = of(
        event_type="model", event_name="Ask", config={"model": "GPT-5", "top_p": 1},
        metadata={"tags": ["a", "b\nc"], "plan": "Pro", "cost": 1, "total_tokens": 3,
                  "deep": {"er": {"est": {"x": 1}, "ok": True}}, "none": None, "list": [1, "z"]},
        user_properties={"team": "red"}, error="KeyError: 'x'", inputs={"text": "secret"},
        feedback={"quality": 1, "comment": "fine"},
    )  # fmt: skip
    assert set(found) == {
        "type=model", "step=ask", "model=gpt-5", "tag=a", "tag=b c", "metadata.tags=a",
        "metadata.tags=b c", "metadata.plan=pro", "metadata.deep.er.ok=true", "metadata.list=1",
        "metadata.list=z", "user.team=red", "error=keyerror", "score=quality",
    }  # fmt: skip
    assert "type=turn" in of(START, event_type="session", event_name="chat", start_time=1)
    assert of(UPDATE, metadata={"plan": "x"}) == ["metadata.plan=x"]


def test_hostile_fields_make_no_facet_and_no_error():
    """The server takes whatever JSON a client sends."""
    for value in (None, 1, "text", [1], {"": ""}, True):
        of(config=value, metadata=value, user_properties=value, event_type=value, error=value)
    assert of(metadata={"tags": {"a": 1}, "x" * 200: "y", "nothing": ""}) == ["metadata.tags.a=1"]


def test_a_session_keeps_so_many_facets_and_no_more():
    """Each step has an id of its own in its metadata: the row of a session stays small."""
    gathered = facets.Facets()
    for number in range(2_000):
        metadata = {"request": number, f"k{number}": "x", "tags": "vip"}
        gathered.add(EVENT, {"event_id": "e", "session_id": "s", "metadata": metadata})
        if number == 5:  # written to the store, and read again by the next request
            gathered = facets.Facets(str(gathered))
    text = str(gathered)
    lines = facets.split(text)
    assert len(lines) == len(set(lines)) == 300
    assert sum(line.startswith("metadata.request=") for line in lines) == 25
    assert "tag=vip" in lines
    gathered.add(EVENT, {"event_id": "e", "session_id": "s", "metadata": {"tags": "vip"}})
    assert str(gathered) == text
    assert not str(facets.Facets())
