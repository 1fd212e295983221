"""Applications of the web: whole routes, whole answers, and nothing that a stranger chooses."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.django_settings import configure_django

import sessiontrace as st
from sessiontrace.testing import Captured

pytestmark = [pytest.mark.contract, pytest.mark.filterwarnings("ignore")]


async def get(app: Any, path: str, headers: dict[str, str] | None = None) -> None:
    """A GET of an application, its answer read to the end."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "server": ("test", 80), "client": ("test", 1),
        "headers": [(n.encode(), v.encode()) for n, v in (headers or {}).items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    await app(scope, receive, send)


def application() -> Any:
    """A route within a mount."""
    starlette = pytest.importorskip("starlette.applications")
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def item(request: Any) -> Any:
        with st.span("work"):
            return PlainTextResponse("hello")

    routes = [Mount("/shop/{name}", routes=[Route("/items/{id}", item)])]
    return st.asgi(starlette.Starlette(routes=routes))


def test_a_mounted_route_has_its_whole_name(traces: Captured) -> None:
    """Two applications may both have a route ``/items/{id}``."""
    asyncio.run(get(application(), "/shop/one/items/7"))
    assert "/shop/{name}/items/{id}" in traces.session.name


def test_a_request_cannot_hide_itself_or_choose_its_session(traces: Captured) -> None:
    """A stranger's headers name a destination that does not exist, a session and a user, and say
    that the trace is not sampled.
    """
    headers = {
        "traceparent": "00-0123456789ab7def8123456789abcdef-0123456789abcdef-00",
        "baggage": "session.to=nowhere,session.id=chosen,user.id=admin",
    }
    asyncio.run(get(application(), "/shop/one/items/7", headers))
    assert "work" in [event["event_name"] for event in traces.events]
    for word in ("nowhere", "chosen", "admin"):
        assert word not in str(traces.records)


def pieces() -> Iterator[bytes]:
    with st.span("piece"):
        yield b"a"
    yield b"b"


@pytest.mark.parametrize("framework", ["django", "werkzeug"])
def test_a_view_lasts_as_long_as_its_streamed_answer(traces: Captured, framework: str) -> None:
    """What the body does is inside the view's span."""
    if framework == "django":
        configure_django()
        from django.http import StreamingHttpResponse as Response
    else:
        Response = pytest.importorskip("werkzeug").Response  # noqa: N806

    @st.trace
    def view() -> Any:
        return Response(pieces())

    reply = view()
    assert b"".join(getattr(reply, "response", reply)) == b"ab"
    events = {event["event_name"]: event for event in traces.events}
    assert events["piece"]["parent_id"] == events["view"]["event_id"]


def test_images_and_moderations_are_events(traces: Captured) -> None:
    """Every surface of the client, as the documentation says."""
    openai = pytest.importorskip("openai", reason="the contract group is not installed")
    httpx = pytest.importorskip("httpx", reason="the contract group is not installed")
    replies = {
        "/v1/images/generations": {"created": 1, "data": [{"url": "https://i/1.png"}]},
        "/v1/moderations": {"id": "m1", "model": "omni", "results": []},
    }

    def answer(request: Any) -> Any:
        return httpx.Response(200, json=replies[request.url.path])

    st.instrument("openai")
    try:
        with httpx.Client(transport=httpx.MockTransport(answer)) as http:
            client = openai.OpenAI(api_key="k", http_client=http)
            with st.session("s"):
                client.images.generate(model="gpt-image", prompt="A cat")
                client.moderations.create(model="omni", input="bad")
    finally:
        st.uninstrument()
    assert len(traces.events) == 2


def test_base64_in_lines_is_media(traces: Captured) -> None:
    """``encodebytes`` breaks its lines after 76 characters; nobody reads 100 KB of it."""
    text = base64.encodebytes(os.urandom(100_000)).decode()
    with st.session("s"), st.span("step", inputs={"file": text}):
        pass
    assert len(str(traces.events[0]["inputs"])) < 1_000
