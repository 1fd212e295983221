"""HoneyHive's typed client against a real server that its own document watches over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from support.fake_vendor_api import Api, Seen
from support.published_contracts import judge_of

from sessiontrace.clients import Filter, HoneyHive, NotFoundError, UnexpectedAnswerError

SESSION = "01890000-0000-7000-8000-000000000001"
EVENT = "01890000-0000-7000-8000-000000000002"
STARTED = {
    "event_id": SESSION,
    "session_id": SESSION,
    "org_id": "o",
    "workspace_id": "w",
    "project_id": "p",
    "event_type": "session",
    "start_time": 5.0,
    "tomorrow": {"new": 1},
}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    check = judge_of("honeyhive", {"Authorization": "Bearer k"})
    async with Api(check) as api:
        yield api


@pytest_asyncio.fixture
async def client(api: Api) -> AsyncIterator[HoneyHive]:
    async with HoneyHive("hh_key", api.url) as client:
        yield client


@pytest.mark.asyncio
async def test_a_session_starts_with_all_thirteen_fields(api: Api, client: HoneyHive) -> None:
    """The document allows the request; the answer's known fields are typed, the unknown kept."""
    api.answer("POST", "/v1/sessions", STARTED)
    fields: dict[str, Any] = {
        "session_id": SESSION,
        "session_name": "chat",
        "event_name": "chat",
        "source": "tests",
        "start_time": 1_790_000_000_000,
        "end_time": 1_790_000_001_000.5,
        "duration": 1000.5,
        "config": {"a": 1},
        "inputs": {"q": "why?"},
        "outputs": {"r": "so"},
        "metadata": {"m": [1]},
        "user_properties": {"user_id": "ada"},
        "children_ids": [EVENT],
    }
    session = await client.sessions.start(**fields)
    assert api.seen[0].json == fields
    assert api.seen[0].headers["authorization"] == "Bearer hh_key"
    assert session.session_id == SESSION
    assert session.start_time == 5.0
    assert session.extra == {"tomorrow": {"new": 1}}


@pytest.mark.asyncio
async def test_a_session_may_start_with_nothing(api: Api, client: HoneyHive) -> None:
    """No field is required, and none is sent as null."""
    api.answer("POST", "/v1/sessions", STARTED)
    await client.sessions.start()
    assert api.seen[0].json == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "time", ["2026-01-01T00:00:00Z", "1790000000000", True, float("nan"), float("inf"), [1]]
)
async def test_a_time_that_is_no_number_is_refused_here(
    api: Api, client: HoneyHive, time: Any
) -> None:
    """HoneyHive would silently take the current time instead."""
    for name in ("start_time", "end_time", "duration"):
        with pytest.raises(TypeError, match=f"{name} must be a finite number"):
            await client.sessions.start(**{name: time})
    assert not api.seen


@pytest.mark.asyncio
async def test_an_answer_that_lacks_fields_names_them(api: Api, client: HoneyHive) -> None:
    """org_id and workspace_id are promised by the document."""
    api.answer(
        "POST", "/v1/sessions", {k: STARTED[k] for k in ("event_id", "session_id", "project_id")}
    )
    with pytest.raises(UnexpectedAnswerError, match="lacks org_id, workspace_id") as caught:
        await client.sessions.start()
    assert caught.value.missing == ("org_id", "workspace_id")


@pytest.mark.asyncio
async def test_starting_with_an_id_is_repeated_because_it_is_idempotent(
    api: Api, client: HoneyHive
) -> None:
    """With the caller's session_id a 500 is tried again; without it nobody knows what was made."""
    api.answer("POST", "/v1/sessions", {"message": "oh"}, status=500)
    api.answer("POST", "/v1/sessions", STARTED)
    client._rest._sleep = _at_once  # type: ignore[assignment]
    assert (await client.sessions.start(session_id=SESSION)).session_id == SESSION
    assert len(api.seen) == 2


async def _at_once(seconds: float) -> None:
    return None


@pytest.mark.asyncio
async def test_events_are_added_to_a_session(api: Api, client: HoneyHive) -> None:
    """As a list, in order."""
    api.answer("POST", f"/v1/sessions/{SESSION}/events/batch", {"success": True})
    event = {"event_type": "tool", "inputs": {}, "event_name": "x", "error": None}
    assert await client.sessions.add_events(SESSION, [event, event]) is True
    assert api.seen[0].json == {"events": [event, event]}


@pytest.mark.asyncio
async def test_an_event_is_created_read_and_updated(api: Api, client: HoneyHive) -> None:
    """POST, GET, PUT; the update's empty answer is fine."""
    api.answer("POST", "/v1/events", {"success": True, "event_id": EVENT})
    api.answer("GET", f"/v1/events/{EVENT}", {"event": {"event_id": EVENT, "inputs": {"a": 1}}})
    api.answer("PUT", f"/v1/events/{EVENT}")
    created = await client.events.create(
        {"event_type": "model", "inputs": {"q": 1}, "start_time": 1.0, "duration": 2}
    )
    assert (created.event_id, created.success) == (EVENT, True)
    event = await client.events.get(EVENT)
    assert event.inputs == {"a": 1}
    assert event.outputs is None
    await client.events.update(EVENT, feedback={"ok": True}, outputs={"r": 1}, end_time=5)
    assert api.seen[-1].json == {"feedback": {"ok": True}, "outputs": {"r": 1}, "end_time": 5}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event_type": "span", "inputs": {}}, "event_type must be one of"),
        ({"event_type": "tool"}, "inputs is required"),
        ({"event_type": "tool", "inputs": "x"}, "inputs must be an object"),
        ({"event_type": "tool", "inputs": {}, "colour": 1}, "no field colour"),
        ({"event_type": "tool", "inputs": {}, "start_time": "now"}, "start_time must be"),
        ({"event_type": "tool", "inputs": {}, "error": 7}, "error must be a text"),
        ({"event_type": "tool", "inputs": {}, "session_id": 7}, "session_id must be a text"),
        ({"event_type": "tool", "inputs": {}, "children_ids": [7]}, "children_ids"),
    ],
)
async def test_what_the_closed_schema_forbids_is_refused_here(
    api: Api, client: HoneyHive, event: Any, words: str
) -> None:
    """The reason names the field, and nothing is sent."""
    with pytest.raises(TypeError, match=words):
        await client.events.create(event)
    assert not api.seen


@pytest.mark.asyncio
async def test_a_batch_may_make_its_own_session(api: Api, client: HoneyHive) -> None:
    """single_session and its properties; the answer names the session."""
    api.answer(
        "POST",
        "/v1/events/batch",
        {"event_ids": [EVENT], "success": True, "session_id": SESSION},
    )
    batch = await client.events.create_batch(
        [{"event_type": "chain", "inputs": {}}],
        single_session=True,
        session_properties={"session_name": "b", "start_time": 5},
    )
    assert batch.session_id == SESSION
    assert batch.event_ids == [EVENT]


@pytest.mark.asyncio
async def test_a_search_turns_the_pages_by_itself(api: Api, client: HoneyHive) -> None:
    """Five events in pages of two: three requests, five events, the same filters each time."""
    events = [{"event_id": f"e{n}"} for n in range(5)]

    def page(seen: Seen) -> Any:
        at = (seen.json["page"] - 1) * seen.json["limit"]
        return {"events": events[at : at + seen.json["limit"]], "count": 5}

    api.respond("POST", "/v1/events/search", page)
    found = client.events.search(
        [Filter("session_id", "is", SESSION), Filter("start_time", "after", 5, "datetime")],
        start_time=1_790_000_000_000,
        end_time=1_790_000_001_000,
        page_size=2,
    )
    assert [event.event_id async for event in found] == ["e0", "e1", "e2", "e3", "e4"]
    assert [one.json["page"] for one in api.seen] == [1, 2, 3]
    assert api.seen[0].json["filters"][0] == {
        "field": "session_id",
        "operator": "is",
        "value": SESSION,
    }
    limited = client.events.search(page_size=2, limit=3)
    assert [event.event_id async for event in limited] == ["e0", "e1", "e2"]


@pytest.mark.asyncio
async def test_a_wrong_search_is_refused_here(client: HoneyHive) -> None:
    """An unknown operator, a page too large, half a range of dates."""
    with pytest.raises(ValueError, match="operator"):
        Filter("a", "like", "b")
    with pytest.raises(ValueError, match="1 to 1000"):
        await anext(client.events.search(page_size=1001))
    with pytest.raises(TypeError, match="both or none"):
        await anext(client.events.search(start_time=5))


@pytest.mark.asyncio
async def test_an_event_that_is_not_there_is_not_found(api: Api, client: HoneyHive) -> None:
    """404 with HoneyHive's words."""
    told = {"statusCode": 404, "message": "Event not found", "success": False, "errorCode": "NF"}
    api.answer("GET", f"/v1/events/{EVENT}", told, status=404)
    with pytest.raises(NotFoundError, match="Event not found") as caught:
        await client.events.get(EVENT)
    assert caught.value.code == "NF"


@pytest.mark.asyncio
async def test_the_schema_says_which_fields_events_have(api: Api, client: HoneyHive) -> None:
    """Names by type of event; the time goes as one JSON text, as the document allows."""
    field = {"name": "metadata.cost", "event_type": "model", "later": 1}
    answer = {"fields": [field], "datasets": ["d"], "mappings": {}}
    api.answer("GET", "/v1/events/schema", answer)
    schema = await client.events.schema(start_time=0, evaluation_id="run")
    assert [(one.name, one.event_type) for one in schema.fields] == [("metadata.cost", "model")]
    assert (schema.datasets, schema.mappings) == (["d"], {})
    assert "evaluation_id=run" in api.seen[0].path
    assert "1970-01-01T00" in api.seen[0].path
    with pytest.raises(TypeError, match="start_time must be a finite number"):
        await client.events.schema(start_time="today")  # type: ignore[arg-type]
