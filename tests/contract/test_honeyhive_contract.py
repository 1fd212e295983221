"""Every request that the HoneyHive exporter can make is legal by HoneyHive's API.

The facts about that API (1.9.0) judge; its own OpenAPI document judges too where it is at hand.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import facts
from support.published_contracts import Check, judge_of

from sessiontrace.export.protocol import Batch, Request
from sessiontrace.model.fields import BUCKETS, EVENT_FIELDS
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record
from sessiontrace.vendors.honeyhive.exporter import HoneyHiveExporter

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def check() -> Check:
    return judge_of(
        "honeyhive", {"Authorization": "Bearer hh_x", "Content-Type": "application/json"}
    )


ids = st.uuids(version=4).map(str)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=3)
times = st.integers(0, 4_000_000_000_000)


@st.composite
def bodies(draw: Any, event_id: str, session_id: str, kind: bytes) -> dict[str, Any]:
    """A body as capture writes it: any subset of the optional fields."""
    body: dict[str, Any] = {"event_id": event_id, "session_id": session_id}
    if kind != UPDATE:
        body["event_type"] = (
            draw(st.sampled_from(["model", "tool", "chain"])) if kind == EVENT else "session"
        )
        body["start_time"] = draw(times)
        body["inputs"] = draw(objects)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "event_name": st.text(max_size=8),
        "source": st.text(max_size=8),
        "duration": st.floats(0, 1e9),
        "end_time": times,
        "start_nanos": st.integers(1, 999_999),
        **dict.fromkeys(BUCKETS, objects),
        "error": st.none() | st.text(max_size=8),
        "children_ids": st.lists(ids, min_size=1, max_size=3),
    }
    if kind == EVENT:
        optional["parent_id"] = ids
    for name in draw(st.sets(st.sampled_from(sorted(optional)))):
        body[name] = draw(optional[name])
    return {name: body[name] for name in EVENT_FIELDS if name in body}


@st.composite
def batches(draw: Any) -> Batch:
    """Records of a few sessions and conversations, in any order that a lane could meet."""
    sessions = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    records = []
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from([START, OPEN, EVENT, END, UPDATE]))
        session_id = draw(st.sampled_from(sessions))
        own = kind != EVENT and draw(st.booleans())
        event_id = session_id if own else draw(ids)
        body = draw(bodies(event_id, session_id, kind))
        records.append(Record(kind, b"*", orjson.dumps(body)))
    return Batch(records, replay=draw(st.booleans()))


def test_the_record_has_no_field_that_an_event_may_not_have() -> None:
    """An event goes as it is but for the start's nanoseconds, and PostEventRequest is closed."""
    event = facts.load("honeyhive").types["PostEventRequest"]
    assert event["others"] is False
    assert set(EVENT_FIELDS) - {"start_nanos"} <= {name.rstrip("!") for name in event["fields"]}
    required = {name[:-1] for name in event["fields"] if name.endswith("!")}
    assert required
    assert required <= set(EVENT_FIELDS)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batch=batches())
def test_every_request_is_legal_to_the_letter(check: Check, batch: Batch) -> None:
    """Whatever capture writes and however it is batched. Every record that says something is
    carried by a request, none twice by the same one, and PUT says nothing that is ignored."""
    known = {
        "metadata", "feedback", "metrics", "config", "user_properties", "outputs", "duration",
        "end_time", "children_ids",
    }  # fmt: skip
    carried: set[int] = set()
    posted: set[str] = set()
    for stage in HoneyHiveExporter().encode(batch):
        paths = set()
        for request in stage:
            assert len(request.body) < 5_000_000
            check(request.method, request.path, request.body)
            assert len(set(request.records)) == len(request.records)
            carried.update(request.records)
            if request.method == "PUT":
                assert set(orjson.loads(request.body)) <= known
                assert request.path not in paths, "PUTs of one id must not race each other"
                paths.add(request.path)
            elif request.path == "/v1/sessions":
                session_id = orjson.loads(request.body)["session_id"]
                assert session_id not in posted
                posted.add(session_id)
    for index, record in enumerate(batch.records):
        assert index in carried or record.kind in (UPDATE, END)


def test_the_checker_does_find_faults(check: Check) -> None:
    """A field of ours that is none of theirs, times as text, a missing type: all are refused."""
    for request in (
        Request("POST", "/v1/sessions", b'{"metrics":{}}', ()),
        Request("POST", "/v1/sessions", b'{"start_time":"now"}', ()),
        Request("POST", "/v1/events/batch", b'{"events":[{"inputs":{}}]}', ()),
        Request("POST", "/v1/events/batch", b'{"events":[{"inputs":{},"event_type":"agent"}]}', ()),
        Request("PUT", "/v1/events/not-a-uuid", b"{}", ()),
        Request("POST", "/v1/nothing", b"{}", ()),
    ):
        with pytest.raises(Exception, match=r"\w"):
            check(request.method, request.path, request.body)
