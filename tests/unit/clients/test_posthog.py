"""PostHog's typed client against a real server that answers as PostHog's code does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from support.fake_vendor_api import Api

from sessiontrace.clients import (
    EmptyAnswerWarning,
    ForbiddenError,
    KeyRefusedError,
    NotFoundError,
    PostHog,
    RateLimitError,
    RequestError,
    UnexpectedAnswerError,
)
from sessiontrace.model.errors import ConfigError

DEFINITIONS = "/api/projects/@current/sessions/property_definitions/"
VALUES = "/api/projects/@current/sessions/values/"
NUMERIC = {
    "id": "$session_duration",
    "name": "$session_duration",
    "is_numerical": True,
    "property_type": "Duration",
    "is_seen_on_filtered_events": None,
    "tags": [],
}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    async with Api() as api:
        yield api


@pytest_asyncio.fixture
async def client(api: Api) -> AsyncIterator[PostHog]:
    async with PostHog("phx_key", api.url, retries=0) as client:
        yield client


@pytest.mark.asyncio
async def test_property_definitions_are_read(api: Api, client: PostHog) -> None:
    """With the trailing slash, the personal key, and the filters as PostHog spells them."""
    api.answer("GET", DEFINITIONS, {"count": 1, "results": [{**NUMERIC, "verified": True}]})
    (found,) = await client.sessions.property_definitions(search="duration", is_numerical=True)
    assert api.seen[0].path == f"{DEFINITIONS}?search=duration&is_numerical=true"
    assert api.seen[0].headers["authorization"] == "Bearer phx_key"
    assert (found.name, found.property_type, found.is_numerical) == (
        "$session_duration",
        "Duration",
        True,
    )
    assert found.extra == {"verified": True}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "refreshing"),
    [
        ({"results": [{"name": "news"}, {"name": "mail"}], "refreshing": True}, True),
        ({"results": [{"name": "news"}, {"name": "mail"}]}, False),
        ([{"name": "news"}, {"name": "mail"}], False),
    ],
)
async def test_values_are_read_in_both_shapes(
    api: Api, client: PostHog, body: Any, refreshing: bool
) -> None:
    """Newer PostHogs wrap the list, older ones do not."""
    api.answer("GET", VALUES, body)
    values = await client.sessions.values("$entry_utm_source", "a b&c")
    assert list(values) == ["news", "mail"]
    assert values[0] == "news"
    assert len(values) == 2
    assert values.refreshing is refreshing
    assert api.seen[0].path == f"{VALUES}?key=$entry_utm_source&value=a+b%26c"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("session_duration", "start with"),
        ("$session_duration", "a duration"),
        ("$start_timestamp", "a time"),
        ("$pageview_count", "a number"),
    ],
)
async def test_a_key_whose_values_are_never_listed_is_warned_of(
    api: Api, client: PostHog, key: str, words: str
) -> None:
    """PostHog answers 200 with nothing; the warning says why."""
    api.answer("GET", VALUES, {"results": [], "refreshing": False})
    with pytest.warns(EmptyAnswerWarning, match=words):
        assert list(await client.sessions.values(key)) == []


@pytest.mark.asyncio
async def test_values_that_are_there_need_no_warning(api: Api, client: PostHog) -> None:
    """The local server lists keys of its own, which have no '$'."""
    api.answer("GET", VALUES, [{"name": "ada"}])
    assert list(await client.sessions.values("user")) == ["ada"]


@pytest.mark.asyncio
async def test_each_refusal_is_typed(api: Api, client: PostHog) -> None:
    """PostHog's own bodies: missing key, wrong key, missing scope, wrong project, throttled."""

    def error_body(kind: str, code: str, detail: str) -> dict[str, Any]:
        return {"type": kind, "code": code, "detail": detail, "attr": None}

    api.answer(
        "GET",
        VALUES,
        error_body("validation_error", "invalid_input", "Key not provided"),
        status=400,
    )
    with pytest.raises(RequestError, match="Key not provided") as refused:
        await client.sessions.values("")
    assert refused.value.code == "invalid_input"
    refusals: list[tuple[int, type, str, str]] = [
        (401, KeyRefusedError, "authentication_failed", "Personal API key is invalid."),
        (403, ForbiddenError, "permission_denied", "API key missing required scope 'query:read'"),
        (404, NotFoundError, "not_found", "Project not found."),
        (429, RateLimitError, "throttled", "Request was throttled."),
    ]
    for status, kind, code, detail in refusals:
        async with Api() as other, PostHog("phx_key", other.url, retries=0) as asking:
            other.answer(
                "GET",
                DEFINITIONS,
                error_body("x_error", code, detail),
                status=status,
                headers={"Retry-After": "12"},
            )
            with pytest.raises(kind) as caught:
                await asking.sessions.property_definitions()
        assert caught.value.code == code
        if isinstance(caught.value, ForbiddenError):
            assert caught.value.scope == "query:read"
        if isinstance(caught.value, RateLimitError):
            assert caught.value.retry_after == 12


@pytest.mark.asyncio
async def test_an_answer_of_another_shape_is_unexpected(api: Api, client: PostHog) -> None:
    """Neither a list nor results."""
    api.answer("GET", VALUES, {"values": []})
    with pytest.raises(UnexpectedAnswerError, match="results"):
        await client.sessions.values("$channel_type")
    api.answer("GET", DEFINITIONS, {"results": [{"id": "x"}]})
    with pytest.raises(UnexpectedAnswerError, match="lacks name"):
        await client.sessions.property_definitions()


@pytest.mark.asyncio
async def test_a_project_may_be_named_by_its_number(api: Api) -> None:
    """/api/projects/7/..."""
    api.answer("GET", "/api/projects/7/sessions/values/", [])
    async with PostHog("phx_key", api.url, project_id=7) as client:
        assert list(await client.sessions.values("$channel_type")) == []


def test_a_projects_token_is_no_key_for_this_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """phc_ is for ingestion, phx_ for reading; and project_id is checked."""
    monkeypatch.delenv("POSTHOG_HOST", raising=False)
    with pytest.raises(ConfigError, match="query:read"):
        PostHog("phc_key")
    with pytest.raises(ConfigError, match="project_id"):
        PostHog("phx_key", project_id="../7")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://eu.i.posthog.com", "https://eu.posthog.com"),
        ("https://us.i.posthog.com/", "https://us.posthog.com"),
        ("https://posthog.example", "https://posthog.example"),
    ],
)
def test_the_ingestion_host_stands_for_its_api_host(
    monkeypatch: pytest.MonkeyPatch, given: str, used: str
) -> None:
    """POSTHOG_HOST is usually set for ingestion."""
    monkeypatch.setenv("POSTHOG_HOST", given)
    assert repr(PostHog("phx_key")) == f"PostHog('{used}')"
