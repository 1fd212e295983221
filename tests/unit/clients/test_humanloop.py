"""Humanloop's typed client against a real server that its own document watches over."""

from __future__ import annotations

import urllib.parse
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

import pytest
import pytest_asyncio
from support.fake_vendor_api import Api, Seen
from support.published_contracts import judge_of

from sessiontrace.clients import Humanloop, NotFoundError, UnexpectedAnswerError, ValidationError
from sessiontrace.model.errors import ConfigError

SESSION = {
    "id": "sesh_1",
    "reference_id": None,
    "projects": [{"id": "pr_1", "name": "probe", "type": "prompt"}],
    "datapoints_count": 5,
    "first_inputs": {"q": "hello"},
    "last_output": "2",
    "created_at": "2024-01-02T03:04:05.678901",
    "updated_at": "2024-01-02T03:04:05Z",
}
LOG = {
    "id": "data_1",
    "config": {"id": "config_1", "type": "model", "model": "m"},
    "evaluation_results": [],
    "observability_status": "completed",
    "updated_at": "2024-01-02T03:04:05Z",
    "feedback": [{"id": "ann_1", "type": "rating", "value": "good"}],
    "output": "so",
}
MODEL = {"type": "model", "model": "gpt-9"}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    check = judge_of("humanloop", {"X-API-KEY": "k"})
    async with Api(check, "/v4") as api:
        yield api


@pytest_asyncio.fixture
async def client(api: Api) -> AsyncIterator[Humanloop]:
    async with Humanloop("hl_key", api.url.removesuffix("/v4")) as client:
        yield client


def pages(items: list[Any], first: int) -> Any:
    """A listing of these items, as Humanloop pages it."""

    def respond(seen: Seen) -> Any:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(seen.path).query))
        page, size = int(query["page"]), int(query["size"])
        at = (page - first) * size
        assert at >= 0
        return {"records": items[at : at + size], "page": page, "size": size, "total": len(items)}

    return respond


@pytest.mark.asyncio
async def test_a_session_is_created_and_read(api: Api, client: Humanloop) -> None:
    """201 with an id, without a body in the request; 200 with the whole session."""
    api.answer("POST", "/sessions", {"id": "sesh_1"}, status=201)
    api.answer("GET", "/sessions/sesh_1", {**SESSION, "colour": "blue"})
    created = await client.sessions.create()
    session = await client.sessions.get(created.id)
    assert api.seen[0].body == b""
    assert api.seen[0].headers["x-api-key"] == "hl_key"
    assert session.datapoints_count == 5
    assert session.projects[0].name == "probe"
    assert session.extra == {"colour": "blue"}


@pytest.mark.asyncio
async def test_pages_of_sessions_are_turned_in_both_directions(api: Api, client: Humanloop) -> None:
    """25 sessions in tens, counted from 1: three pages forth, three back, never page 0."""
    api.respond("GET", "/sessions", pages([{**SESSION, "id": f"sesh_{n}"} for n in range(25)], 1))
    page = await client.sessions.list("pr_1")
    assert (page.page, page.size, page.total, len(page.data)) == (1, 10, 25, 10)
    assert not page.has_previous
    page = await page.next()
    page = await page.next()
    assert [len(page.data), page.has_next] == [5, False]
    with pytest.raises(LookupError):
        await page.next()
    page = await (await page.previous()).previous()
    assert page.data[0].id == "sesh_0"
    with pytest.raises(LookupError):
        await page.previous()
    assert api.seen[0].path == "/sessions?project_id=pr_1&page=1&size=10"


@pytest.mark.asyncio
async def test_all_sessions_come_by_async_for(api: Api, client: Humanloop) -> None:
    """Over every page, from the one asked for."""
    api.respond("GET", "/sessions", pages([{**SESSION, "id": f"sesh_{n}"} for n in range(25)], 1))
    found = [session.id async for session in client.sessions.list("pr_1", size=10)]
    assert found == [f"sesh_{n}" for n in range(25)]
    assert len(api.seen) == 3
    rest = [session.id async for session in client.sessions.list("pr_1", page=3, size=10)]
    assert rest == [f"sesh_{n}" for n in range(20, 25)]
    with pytest.raises(ValueError, match="start at 1"):
        client.sessions.list("pr_1", page=0)


@pytest.mark.asyncio
async def test_logs_and_projects_count_their_pages_from_zero(api: Api, client: Humanloop) -> None:
    """Another base of numbers, the same way to walk; arguments not given are not sent."""
    api.respond("GET", "/logs", pages([{**LOG, "id": f"data_{n}"} for n in range(5)], 0))
    api.respond("GET", "/projects", pages([_project(n) for n in range(3)], 0))
    logs = [log.id async for log in client.logs.list("pr_1", search="x", size=2)]
    assert logs == [f"data_{n}" for n in range(5)]
    assert api.seen[0].path == "/logs?project_id=pr_1&search=x&page=0&size=2"
    assert len(api.seen) == 3
    names = [one.name async for one in client.projects.list(sort_by="name", order="asc")]
    assert names == ["p0", "p1", "p2"]


def _project(n: int) -> dict[str, Any]:
    return {
        "id": f"pr_{n}",
        "name": f"p{n}",
        "users": [],
        "data_count": 0,
        "feedback_types": [],
        "team_id": "tm_1",
        "created_at": "2024-01-02T03:04:05Z",
        "updated_at": "2024-01-02T03:04:05Z",
    }


@pytest.mark.asyncio
async def test_logs_are_created_one_by_one_and_many_at_once(api: Api, client: Humanloop) -> None:
    """An object gets an object, a list gets a list in its order."""
    api.answer("POST", "/logs", {"id": "data_1", "project_id": "pr_1", "session_id": None})
    api.answer("POST", "/logs", [{"id": "data_2", "project_id": "pr_1"}, {"id": "data_3"}])
    at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    log = await client.logs.create(
        project="p", config=MODEL, inputs={"a": 1}, output="x", duration=0.5, created_at=at
    )
    assert log.id == "data_1"
    assert api.seen[0].json["created_at"] == "2024-01-02T03:04:05+00:00"
    many = await client.logs.create_many(
        [
            {"project": "p", "config": MODEL, "reference_id": "a"},
            {"project_id": "pr_1", "config_id": "config_1"},
        ]
    )
    assert [one.id for one in many] == ["data_2", "data_3"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("log", "words"),
    [
        ({"config": MODEL}, "project or project_id"),
        ({"project": "p"}, "config or config_id"),
        (
            {"project": "p", "config": MODEL, "session_id": "s", "session_reference_id": "r"},
            "not both",
        ),
        (
            {"project": "p", "config": MODEL, "parent_id": "s", "parent_reference_id": "r"},
            "not both",
        ),
        ({"project": "p", "config": MODEL, "output": {"a": 1}}, "output must be a text"),
        ({"project": "p", "config": MODEL, "duration": "1 s"}, "duration must be"),
        ({"project": "p", "config": MODEL, "colour": 1}, "no field colour"),
    ],
)
async def test_what_the_document_forbids_is_refused_here(
    api: Api, client: Humanloop, log: Any, words: str
) -> None:
    """The reason names the field, and nothing is sent."""
    with pytest.raises(TypeError, match=words):
        await client.logs.create(**log)
    assert not api.seen


@pytest.mark.asyncio
async def test_a_parent_of_the_same_call_is_refused_here(api: Api, client: Humanloop) -> None:
    """Humanloop's document says that it cannot be referred to."""
    log: Any = {"project": "p", "config": MODEL}
    with pytest.raises(ValueError, match="log 1 names a parent of the same call"):
        await client.logs.create_many(
            [{**log, "reference_id": "a"}, {**log, "parent_reference_id": "a"}]
        )
    assert not api.seen


@pytest.mark.asyncio
async def test_a_log_is_read_updated_by_either_id_and_deleted(api: Api, client: Humanloop) -> None:
    """GET, both PATCHes, DELETE with its ids repeated, which is answered by 204."""
    api.answer("GET", "/logs/data_1", LOG)
    api.answer("PATCH", "/logs/data_1", LOG)
    api.answer("PATCH", "/logs", LOG)
    api.answer("DELETE", "/logs", status=204)
    assert (await client.logs.get("data_1")).feedback[0].value == "good"
    await client.logs.update("data_1", output="x", duration=1.5)
    await client.logs.update_by_reference("ref 1/ü", error="bad")
    await client.logs.delete("data_1", "data_2")
    assert api.seen[1].json == {"output": "x", "duration": 1.5}
    sent = urllib.parse.parse_qs(urllib.parse.urlsplit(api.seen[2].path).query)
    assert sent == {"reference_id": ["ref 1/ü"]}
    assert api.seen[3].path == "/logs?id=data_1&id=data_2"


@pytest.mark.asyncio
async def test_feedback_and_projects_are_created(api: Api, client: Humanloop) -> None:
    """200 and 201."""
    api.answer("POST", "/feedback", {"id": "ann_1", "type": "rating", "value": "good"})
    api.answer("POST", "/projects", _project(7), status=201)
    feedback = await client.feedback.create(type="rating", value="good", data_id="data_1")
    assert feedback.id == "ann_1"
    assert (await client.projects.create("p7")).id == "pr_7"
    with pytest.raises(TypeError, match="type"):
        await client.feedback.create(value=True)


@pytest.mark.asyncio
async def test_a_422_tells_each_faulty_field(api: Api, client: Humanloop) -> None:
    """FastAPI's detail list, typed."""
    detail = [
        {"loc": ["query", "project_id"], "msg": "field required", "type": "value_error.missing"},
        {"loc": ["body", 0, "duration"], "msg": "not a number", "type": "type_error.float"},
    ]
    api.answer("GET", "/sessions", {"detail": detail}, status=422)
    with pytest.raises(ValidationError, match=r"query\.project_id: field required") as caught:
        await client.sessions.list("pr_1")
    first, second = caught.value.detail
    assert first.loc == ("query", "project_id")
    assert (second.loc, second.msg, second.type) == (
        ("body", 0, "duration"),
        "not a number",
        "type_error.float",
    )


@pytest.mark.asyncio
async def test_other_refusals_and_wrong_pages(api: Api, client: Humanloop) -> None:
    """404 with FastAPI's text; a page that is none names what it lacks."""
    api.answer("GET", "/sessions/sesh_x", {"detail": "Session not found"}, status=404)
    api.answer("GET", "/sessions", {"records": [], "page": 1})
    with pytest.raises(NotFoundError, match="Session not found"):
        await client.sessions.get("sesh_x")
    with pytest.raises(UnexpectedAnswerError, match="lacks size, total"):
        await client.sessions.list("pr_1")


def test_without_an_address_the_error_tells_that_the_service_has_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no default any more."""
    monkeypatch.delenv("HUMANLOOP_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="closed in September 2025"):
        Humanloop("hl_key")
