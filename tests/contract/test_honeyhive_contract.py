"""Every request that the HoneyHive exporter can make is legal by HoneyHive's own OpenAPI document.

The document (1.9.0, MIT) is looked for beside the repository, or where HONEYHIVE_OPENAPI points.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessiontrace.export.protocol import Batch, Request
from sessiontrace.model.fields import EVENT_FIELDS
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record
from sessiontrace.vendors.honeyhive.exporter import HoneyHiveExporter

yaml = pytest.importorskip("yaml")
openapi_core = pytest.importorskip("openapi_core")
from openapi_core import OpenAPI  # noqa: E402
from openapi_core.testing import MockRequest  # noqa: E402

pytestmark = pytest.mark.contract

REPO = Path(__file__).resolve().parents[2]
NAME = "honeyhive-openapi.yaml"


def find() -> Path | None:
    named = os.environ.get("HONEYHIVE_OPENAPI")
    places = [Path(named)] if named else [
        REPO / "specs" / NAME,
        REPO / "tests" / "contract" / NAME,
        REPO.parent / "shared" / "specs" / NAME,
        REPO.parent / "specs" / NAME,
    ]  # fmt: skip
    return next((place for place in places if place.is_file()), None)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    place = find()
    if place is None:
        pytest.skip(f"{NAME} is not there; put it into specs/ or set HONEYHIVE_OPENAPI")
    loaded = yaml.safe_load(place.read_text())
    kept = {"/v1/sessions", "/v1/events/batch", "/v1/events/{event_id}"}
    # The rest of the API is none of our business and makes reading it slow.
    loaded["paths"] = {path: item for path, item in loaded["paths"].items() if path in kept}
    return loaded


@pytest.fixture(scope="module")
def api(document: dict[str, Any]) -> OpenAPI:
    return OpenAPI.from_dict(document)


def check(api: OpenAPI, request: Request) -> None:
    """Method, path, path parameters and body against the document."""
    assert len(request.body) < 5_000_000
    api.validate_request(
        MockRequest(
            "https://api.dp1.us.honeyhive.ai",
            request.method.lower(),
            request.path,
            headers={"Authorization": "Bearer hh_x"},
            data=request.body,
            content_type="application/json",
        )
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
        **dict.fromkeys(
            ("inputs", "outputs", "config", "metadata", "metrics", "feedback", "user_properties"),
            objects,
        ),
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


def test_the_record_has_no_field_that_an_event_may_not_have(document: dict[str, Any]) -> None:
    """An event goes as it is, and PostEventRequest is closed."""
    schema = document["components"]["schemas"]["PostEventRequest"]
    assert schema["additionalProperties"] is False
    assert set(EVENT_FIELDS) <= set(schema["properties"])
    assert set(schema["required"]) <= set(EVENT_FIELDS)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batch=batches())
def test_every_request_is_legal_to_the_letter(api: OpenAPI, batch: Batch) -> None:
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
            check(api, request)
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


def test_the_checker_does_find_faults(api: OpenAPI) -> None:
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
            check(api, request)
